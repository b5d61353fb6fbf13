import gc
import itertools
import os
import select
import shutil
import subprocess
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceedge.audio import wav
from voiceedge.audio.channel import Channel
from voiceedge.audio.events import Lost, Offset, Onset, Played
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.settings import ChannelSettings, VoiceSettings
from voiceedge.errors import NativeError

FADE = 160  # 20 ms at 8 kHz


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with Pipeline() as opened:
        yield opened


def noise(samples: int, peak: int = 20000, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(-peak, peak, samples).astype(np.int16)


def hiss(samples: int, level_dbov: float) -> np.ndarray:
    return (np.random.default_rng(5).standard_normal(samples) * 32768 * 10 ** (level_dbov / 20)).astype(np.int16)


def feed_all(channel: Channel, samples: np.ndarray, chunks: Iterator[int]) -> None:
    at = 0
    while at < len(samples):
        size = next(chunks)
        channel.feed(samples[at : at + size])
        at += size


def heard(channel: Channel) -> np.ndarray:
    return channel.read(0, channel.head)[0]


def fetch_all(channel: Channel, frame: int = 160, frames: int = 10_000) -> np.ndarray:
    parts = []
    while channel.playing and not channel.paused and len(parts) < frames:
        parts.append(channel.fetch(frame))
    return np.concatenate(parts) if parts else np.empty(0, np.int16)


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """A Korean sentence at 8 kHz with no silence around it, at -25 dBov."""
    if not shutil.which("espeak-ng"):
        pytest.skip("needs espeak-ng: apt-get install espeak-ng")
    path = tmp_path_factory.mktemp("speech") / "sentence.wav"
    subprocess.run(["espeak-ng", "-v", "ko", "-w", path, "배송 조회 부탁드립니다"], check=True, timeout=100)
    samples = wav.load(path, 8000).astype(float)
    loud = np.flatnonzero(np.abs(samples) > 0.03 * np.abs(samples).max())
    samples = samples[loud[0] : loud[-1]]
    return (samples * 32768 * 10 ** (-25 / 20) / np.sqrt((samples**2).mean())).clip(-32768, 32767).astype(np.int16)


class TestChopping:
    @settings(max_examples=40, deadline=None)
    @given(
        chops=st.lists(st.integers(1, 700), min_size=1, max_size=30),
        rate=st.sampled_from([8000, 16000]),
        voiced=st.booleans(),
    )
    def test_any_chopping_of_the_input_gives_the_same_audio_and_events(
        self, chops: list[int], rate: int, voiced: bool
    ) -> None:
        samples = noise(rate, 9000 if voiced else 40)
        with Pipeline() as pipeline:
            whole, chopped = pipeline.channel(rate), pipeline.channel(rate)
            whole.feed(samples)
            feed_all(chopped, samples, itertools.cycle(chops))
            assert np.array_equal(heard(whole), heard(chopped))
            events = pipeline.read_events()
            assert [event.position for event in events if event.channel is whole] == [
                event.position for event in events if event.channel is chopped
            ]


class TestRing:
    def test_reading_goes_on_where_it_left_off(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel(16000)
        samples = noise(16000)
        position, parts = 0, []
        for start in range(0, 16000, 320):
            channel.feed(samples[start : start + 320])
            part, position = channel.read(position, 250)
            parts.append(part)
        while position < channel.head:
            part, position = channel.read(position, 1000)
            parts.append(part)
        assert np.array_equal(np.concatenate(parts), samples)
        assert channel.stats().samples_lost == 0
        channel.release()

    def test_at_least_15_seconds_are_kept(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel(16000)
        samples = noise(40 * 16000)
        channel.feed(samples)
        part, _ = channel.read(25 * 16000, 16000)
        assert np.array_equal(part, samples[25 * 16000 : 26 * 16000])
        channel.release()

    def test_a_slow_reader_loses_the_oldest_and_is_told_how_much(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel(16000)
        samples = noise(20 * 16000)
        channel.feed(samples)
        pipeline.read_events()
        part, position = channel.read(1000, 500)
        oldest = 20 * 16000 - 2**18
        assert position == oldest + 500
        assert np.array_equal(part, samples[oldest : oldest + 500])
        assert channel.stats().samples_lost == oldest - 1000
        assert select.select([pipeline.fileno()], [], [], 1)[0]
        (lost,) = pipeline.read_events()
        assert isinstance(lost, Lost)
        assert lost.samples == oldest - 1000
        channel.release()

    def test_before_the_beginning_is_the_beginning(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel(16000)
        channel.feed(noise(320))
        part, position = channel.read(-4800, 1000)
        assert np.array_equal(part, noise(320))
        assert position == 320
        assert channel.stats().samples_lost == 0
        channel.release()

    def test_the_future_is_empty(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        part, position = channel.read(10_000, 500)
        assert len(part) == 0
        assert position == 10_000
        channel.release()


class TestVoiceActivity:
    def events_of(
        self, pipeline: Pipeline, samples: np.ndarray, rate: int = 8000, frame: int = 160
    ) -> list[tuple[float, object]]:
        """Each event with the time (s) at which it could be known."""
        channel = pipeline.channel(rate, 20)
        found: list[tuple[float, object]] = []
        for start in range(0, len(samples) - frame + 1, frame):
            channel.feed(samples[start : start + frame])
            found += [((start + frame) / rate, event) for event in pipeline.read_events()]
        channel.release()
        return found

    @pytest.mark.parametrize("frame_ms", [10, 20, 30, 40, 60])
    def test_an_onset_comes_within_100_ms_of_speech(
        self, pipeline: Pipeline, speech: np.ndarray, frame_ms: int
    ) -> None:
        for before_ms in (1000, 1007, 1013):
            lead = hiss(8 * before_ms, -65)
            (known, onset), *_ = self.events_of(pipeline, np.concatenate([lead, speech]), frame=8 * frame_ms)
            assert isinstance(onset, Onset)
            quantum = 0 if frame_ms <= 20 else (frame_ms - 20) / 1000  # a long frame is late before we see it
            assert before_ms / 1000 < known <= before_ms / 1000 + 0.100 + quantum

    @pytest.mark.parametrize("rate", [8000, 16000])
    def test_onset_points_300_ms_before_speech_and_offset_at_its_end(
        self, pipeline: Pipeline, speech: np.ndarray, rate: int
    ) -> None:
        at_rate = speech if rate == 8000 else soxr.resample(speech, 8000, 16000)
        silence = hiss(rate, -65)
        events = self.events_of(pipeline, np.concatenate([silence, at_rate, silence]), rate, rate // 50)
        first, last = events[0][1], events[-1][1]
        assert isinstance(first, Onset)
        assert isinstance(last, Offset)
        assert abs(first.position / 16000 - (1.0 - 0.3)) <= 0.06
        end = 1.0 + len(at_rate) / rate
        assert abs(last.position / 16000 - end) <= 0.12  # the detector itself hangs over a little
        assert 0.5 <= events[-1][0] - last.position / 16000 <= 0.52

    def test_speech_at_the_very_beginning_points_at_the_beginning(self, pipeline: Pipeline, speech: np.ndarray) -> None:
        assert self.events_of(pipeline, speech)[0][1].position == 0

    @pytest.mark.parametrize("level_dbov", [-100.0, -70.0, -55.0])
    def test_silence_and_low_noise_are_not_voice(self, pipeline: Pipeline, level_dbov: float) -> None:
        assert not self.events_of(pipeline, hiss(8000 * 20, level_dbov))

    def test_what_is_softer_than_the_threshold_is_not_voice(self, pipeline: Pipeline, speech: np.ndarray) -> None:
        channel = pipeline.channel(settings=ChannelSettings(VoiceSettings(threshold_dbov=-15.0)))
        channel.feed(speech // 2)
        assert not channel.speaking
        channel.release()
        assert not pipeline.read_events()

    def test_silence_frames_end_speech_as_silence_does(self, pipeline: Pipeline, speech: np.ndarray) -> None:
        channel = pipeline.channel()
        channel.feed(speech)
        assert channel.speaking
        channel.feed(np.zeros(8000, np.int16))
        assert not channel.speaking
        channel.release()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"mode": 4},
            {"onset_ms": 0},
            {"onset_ms": 200},
            {"window_ms": 1000},
            {"offset_ms": 0},
            {"threshold_dbov": 3.0},
            {"offset_ms": -1},
            {"pre_roll_ms": 2**40},
        ],
        ids=str,
    )
    def test_settings_out_of_range_are_refused(self, pipeline: Pipeline, wrong: dict[str, float]) -> None:
        with pytest.raises(NativeError, match=r"settings|range"):
            pipeline.channel(settings=ChannelSettings(VoiceSettings(**wrong)))

    def test_other_rates_are_refused(self, pipeline: Pipeline) -> None:
        for rate, frame_ms in ((44100, 20), (8000, 5), (8000, 100), (-8000, 20)):
            with pytest.raises(NativeError):
                pipeline.channel(rate, frame_ms)


class TestPlayer:
    @settings(max_examples=40, deadline=None)
    @given(lengths=st.lists(st.integers(1, 900), min_size=1, max_size=20), frame=st.sampled_from([80, 160, 240, 480]))
    def test_items_follow_each_other_without_a_gap(self, lengths: list[int], frame: int) -> None:
        with Pipeline() as pipeline:
            channel = pipeline.channel()
            items = [noise(length, seed=number) for number, length in enumerate(lengths)]
            numbers = [channel.play(item) for item in items]
            wanted = np.concatenate(items)
            got = fetch_all(channel, frame)
            assert np.array_equal(got[: len(wanted)], wanted)
            assert not got[len(wanted) :].any()
            played = [event for event in pipeline.read_events() if isinstance(event, Played)]
            assert [event.item for event in played] == numbers
            assert all(event.complete for event in played)
            assert channel.played_ms == len(wanted) * 1000 // 8000

    def test_nothing_queued_is_silence(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        assert not channel.fetch(160).any()
        assert not channel.playing
        assert channel.stats().silence_out == 1
        channel.release()

    def test_a_pause_fades_and_a_resume_says_again_what_was_faded(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        item = np.full(4000, 16000, np.int16)
        channel.play(item)
        before = np.concatenate([channel.fetch(160) for _ in range(5)])
        channel.pause()
        fading, silent = channel.fetch(160), channel.fetch(160)
        assert np.array_equal(before, item[:800])
        assert fading.tolist() == [16000 * gain // FADE for gain in range(FADE - 1, -1, -1)]
        assert not silent.any()
        assert channel.playing
        assert channel.played_ms == 100
        channel.resume()
        rising = channel.fetch(160)
        assert rising.tolist() == [16000 * gain // FADE for gain in range(1, FADE + 1)]
        assert np.array_equal(fetch_all(channel)[: 4000 - 960], item[960:])
        assert channel.played_ms == 500
        channel.release()

    @settings(max_examples=60, deadline=None)
    @given(
        pauses=st.lists(st.tuples(st.integers(1, 6), st.integers(2, 5)), max_size=6),
        frame=st.sampled_from([80, 160, 240, 480]),
    )
    def test_however_often_it_pauses_every_sample_is_said_in_full(
        self, pauses: list[tuple[int, int]], frame: int
    ) -> None:
        """What fades out and what fades in again add up to the whole."""
        with Pipeline() as pipeline:
            channel = pipeline.channel()
            item = np.full(6 * 6 * 480 + 480, FADE * 100, np.int16)
            channel.play(item)
            said = 0
            for playing, paused in pauses:
                for _ in range(playing):
                    said += int(channel.fetch(frame).sum(dtype=int))
                channel.pause()
                for _ in range(paused):
                    said += int(channel.fetch(frame).sum(dtype=int))
                assert not channel.fetch(frame).any()
                channel.resume()
            said += int(fetch_all(channel, frame).sum(dtype=int))
            whole = int(item.sum(dtype=int))
            interrupted = any(playing * frame < FADE for playing, _ in pauses[1:])  # paused again while fading in
            assert said > whole if interrupted else said == whole
            assert channel.played_ms == len(item) * 1000 // 8000

    def test_a_stop_fades_drops_the_queue_and_lets_the_next_play(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        long = np.full(8000, 8000, np.int16)
        first, second = channel.play(long), channel.play(long)
        channel.fetch(160)
        before_ns = time.monotonic_ns()
        channel.stop()
        following = noise(320)
        third = channel.play(following)
        fading = channel.fetch(160)
        assert fading.tolist() == [8000 * gain // FADE for gain in range(FADE - 1, -1, -1)]
        assert np.array_equal(np.concatenate([channel.fetch(160), channel.fetch(160)]), following)
        events = {event.item: event for event in pipeline.read_events() if isinstance(event, Played)}
        assert [events[item].complete for item in (first, second, third)] == [False, False, True]
        assert [events[item].played_ms for item in (first, second, third)] == [20, 0, 40]
        silent_at_ns = channel.stats().silent_at_ns
        assert silent_at_ns is not None
        assert before_ns < silent_at_ns < time.monotonic_ns()
        channel.release()

    def test_stopping_a_paused_player_is_silent_and_frees_the_way(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        channel.play(np.full(8000, 8000, np.int16))
        channel.fetch(160)
        channel.pause()
        channel.fetch(160)
        channel.stop()
        assert not channel.fetch(160).any()
        assert not channel.playing
        item = noise(160)
        channel.play(item)
        assert np.array_equal(channel.fetch(160), item)
        channel.release()

    def test_what_never_sounded_needs_no_fade(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        channel.play(np.full(8000, 8000, np.int16))
        channel.stop()
        assert not channel.fetch(160).any()
        channel.pause()
        item = noise(320)
        channel.play(item)
        assert not channel.fetch(160).any()
        channel.resume()
        assert np.array_equal(channel.fetch(160), item[:160])
        channel.release()

    def test_a_fade_may_end_with_the_prompt(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        channel.play(np.full(200, 8000, np.int16))
        channel.fetch(160)
        channel.pause()
        last = channel.fetch(160)
        assert last[:40].tolist() == [8000 * gain // FADE for gain in range(FADE - 1, FADE - 41, -1)]
        assert not last[40:].any()
        assert not channel.playing
        assert channel.stats().silent_at_ns
        channel.resume()
        item = noise(160)
        channel.play(item)
        assert np.array_equal(channel.fetch(160), item)
        channel.release()

    def test_the_samples_are_held_as_long_as_they_are_needed_and_no_longer(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        items = [noise(12345, seed=number) for number in range(5)]
        wanted = np.concatenate(items)
        for item in items:
            channel.play(item)
        alive = [weakref.ref(item) for item in items]
        del items, item
        gc.collect()
        assert all(item() is not None for item in alive)
        assert np.array_equal(fetch_all(channel)[: len(wanted)], wanted)
        pipeline.read_events()
        gc.collect()
        assert all(item() is None for item in alive)
        channel.release()

    def test_an_empty_prompt_and_too_many_are_refused(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        with pytest.raises(NativeError, match="out of range"):
            channel.play(np.empty(0, np.int16))
        for _ in range(128):
            channel.play(noise(10))
        with pytest.raises(NativeError, match="too many prompts"):
            channel.play(noise(10))
        assert np.count_nonzero(fetch_all(channel)) > 1200
        channel.play(noise(10)[::-1])  # a view that is not contiguous is copied
        assert np.array_equal(channel.fetch(10), noise(10)[::-1])
        channel.release()


class TestBargeIn:
    def test_an_armed_player_is_silent_one_frame_after_the_onset(self, pipeline: Pipeline, speech: np.ndarray) -> None:
        channel = pipeline.channel()
        channel.play(np.full(80_000, 8000, np.int16))
        channel.arm_barge_in(True)
        for start in range(0, 8000, 160):
            out = channel.fetch(160)
            channel.feed(speech[start : start + 160])
            if onsets := pipeline.read_events():
                break
            assert np.all(out == 8000)
        (onset,) = onsets
        assert isinstance(onset, Onset)
        assert onset.barged_in
        assert channel.paused
        fading, silent = channel.fetch(160), channel.fetch(160)
        assert fading[0] < 8000
        assert fading[-1] == 0
        assert not silent.any()
        assert channel.stats().silent_at_ns >= onset.at_ns
        channel.release()

    @pytest.mark.parametrize("state", ["not armed", "disarmed", "nothing playing", "paused"])
    def test_otherwise_the_onset_changes_nothing(self, pipeline: Pipeline, speech: np.ndarray, state: str) -> None:
        channel = pipeline.channel()
        if state != "not armed":
            channel.arm_barge_in(True)
        if state == "disarmed":
            channel.arm_barge_in(False)
        if state != "nothing playing":
            channel.play(np.full(80_000, 8000, np.int16))
            channel.fetch(160)
        if state == "paused":
            channel.pause()
            channel.fetch(320)
        channel.feed(speech)
        onset = pipeline.read_events()[0]
        assert isinstance(onset, Onset)
        assert not onset.barged_in
        assert channel.paused == (state == "paused")
        channel.release()

    def test_a_false_barge_in_is_taken_back(self, pipeline: Pipeline, speech: np.ndarray) -> None:
        channel = pipeline.channel()
        item = noise(16000)
        channel.play(item)
        channel.arm_barge_in(True)
        channel.fetch(160)
        channel.feed(speech[:1600])
        channel.fetch(320)
        assert channel.paused
        channel.resume()
        channel.fetch(160)
        assert np.array_equal(channel.fetch(160), item[320:480])
        channel.release()


class TestEvents:
    def test_the_descriptor_wakes_a_sleeper_once(self, pipeline: Pipeline, speech: np.ndarray) -> None:
        channels = [pipeline.channel() for _ in range(3)]
        assert not select.select([pipeline.fileno()], [], [], 0)[0]
        teller = threading.Thread(target=lambda: [channel.feed(speech) for channel in channels])
        teller.start()
        seen = []
        while len(seen) < 3:
            assert select.select([pipeline.fileno()], [], [], 20)[0]
            seen += pipeline.read_events()
        teller.join()
        assert {event.channel for event in seen if isinstance(event, Onset)} == set(channels)
        pipeline.read_events()
        assert not select.select([pipeline.fileno()], [], [], 0)[0]
        for channel in channels:
            channel.release()

    def test_events_carry_the_monotonic_clock(self, pipeline: Pipeline, speech: np.ndarray) -> None:
        channel = pipeline.channel()
        before = time.monotonic_ns()
        channel.feed(speech)
        assert before < pipeline.read_events()[0].at_ns < time.monotonic_ns()
        channel.release()

    def test_events_nobody_reads_are_dropped_and_counted(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        for _ in range(300):
            channel.play(noise(10))
            channel.fetch(10)
        assert channel.stats().events_dropped == 44
        assert not channel.playing
        assert len(pipeline.read_events()) == 256
        channel.release()

    def test_frames_are_counted(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        channel.play(noise(240))
        for _ in range(3):
            channel.feed(noise(160))
            channel.fetch(160)
        stats = channel.stats()
        assert (stats.frames_in, stats.frames_out, stats.silence_out, stats.short_frames) == (3, 3, 1, 1)
        assert stats.longest_gap_ms > 0
        assert stats.silent_at_ns is None
        channel.release()


class TestLife:
    def test_the_self_test_finds_nothing_wrong_here(self, pipeline: Pipeline) -> None:
        assert pipeline.self_test() == []

    def test_a_bridge_without_a_sip_stack_is_refused_not_fatal(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        for attempt in (pipeline.bridge_self_test, channel.open_port, lambda: channel.connect(1), channel.close_port):
            with pytest.raises(NativeError):
                attempt()
        channel.release()

    def test_a_released_channel_says_so(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        channel.release()
        channel.release()
        pipeline.read_events()
        for attempt in (
            channel.pause,
            channel.stats,
            lambda: channel.head,
            lambda: channel.play(noise(10)),
            lambda: channel.read(0, 10),
            channel.close_port,
        ):
            with pytest.raises(NativeError, match="released"):
                attempt()

    def test_a_closed_pipeline_says_so_and_its_channels_do_no_harm(self) -> None:
        with Pipeline() as pipeline:
            channel = pipeline.channel()
        pipeline.close()
        channel.release()
        pipeline.wake()
        for attempt in (pipeline.fileno, pipeline.read_events, pipeline.channel):
            with pytest.raises(NativeError, match="closed"):
                attempt()

    @pytest.mark.parametrize("wrong", [np.zeros(8, np.uint8), np.zeros(8, np.float32), np.zeros((2, 8), np.int16)])
    def test_only_mono_int16_samples_are_taken(self, pipeline: Pipeline, wrong: np.ndarray) -> None:
        channel = pipeline.channel()
        stream = channel.stream()
        for take in (channel.feed, channel.play, channel.background, stream.write):
            with pytest.raises(NativeError, match="int16"):
                take(wrong)

    def test_a_thousand_channels_leave_nothing_behind(self, pipeline: Pipeline) -> None:
        def footprint() -> tuple[int, int]:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE"), handles()

        def use(times: int) -> None:
            for _ in range(times):
                channel = pipeline.channel()
                channel.play(noise(320))
                channel.feed(noise(320))
                channel.fetch(160)
                channel.release()
                pipeline.read_events()

        use(100)
        gc.collect()
        memory, open_before = footprint()
        use(1000)
        gc.collect()
        memory_after, open_after = footprint()
        assert open_after == open_before
        assert memory_after - memory < 8 << 20  # one leaked ring in a hundred would show

    def test_pipelines_return_their_descriptors(self) -> None:
        before = handles()
        for _ in range(50):
            with Pipeline() as pipeline:
                pipeline.channel()
        assert handles() == before
