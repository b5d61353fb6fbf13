"""Detection on real recordings does not get worse unnoticed: some of scripts/bench-detection, with fixed floors."""

from dataclasses import dataclass

import numpy as np
import pytest
from detection import keys, recordings, tones, voice
from detection.hearing import Noticed, hear
from detection.line import CLEAN, LINES, Line
from detection.sounds import Taken, sounds, speech
from detection.truth import Span, spoken

from voiceedge.audio.events import Offset, Onset
from voiceedge.audio.silero import Silero, model_file
from voiceedge.audio.tones import load_plan
from voiceedge.errors import ModelMissingError
from voiceedge.speech.telephone import LINE_RATE_HZ

if missing := recordings.missing_packages():
    pytest.skip(f"needs recordings: apt-get install {' '.join(missing)}", allow_module_level=True)

BY_NAME = {line.name: line for line in LINES}
ECHO = LINES[-1]


@pytest.fixture(scope="module", name="silero")
def _silero() -> Silero:
    try:
        return Silero(model_file())
    except ModelMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", name="calls")
def _calls() -> list[voice.Call]:
    return voice.calls([*recordings.speakers(), *recordings.prompts(40)], seed=1)


def score(calls: list[voice.Call], line: Line, silero: Silero) -> voice.Score:
    found = voice.Score()
    for seed, call in enumerate(calls):
        pcm = line.carry(call.clean, seed)
        found.count(call, hear(pcm, silero=silero, prompt=line.prompt(len(pcm))))
    return found


@dataclass(frozen=True)
class Floor:
    """What was measured, and a little more."""

    line: str
    unheard: int  # missed, or hidden by what was taken for speech before
    within_ms: float  # 95 of 100 onsets
    false: int

    def __str__(self) -> str:
        return self.line


FLOORS = [
    Floor("clean", 1, 175, 1),
    Floor("hiss, 15 dB", 0, 180, 0),
    Floor("babble, 20 dB", 4, 200, 14),
    Floor("music, 15 dB", 1, 185, 6),
    Floor("5 % lost, silence", 1, 180, 1),
    Floor(ECHO.name, 1, 180, 1),
]


@pytest.mark.parametrize("floor", FLOORS, ids=str)
def test_the_beginning_of_speech_is_noticed(calls, silero: Silero, floor: Floor) -> None:
    found = score(calls, BY_NAME[floor.line], silero)
    assert len(found.onset_ms) > 20
    assert found.missed + found.hidden <= floor.unheard
    assert np.percentile(found.onset_ms, 95) <= floor.within_ms
    assert found.false <= floor.false


# Half a minute of each; music that is there at once is taken for a voice now and then.
TAKEN = {"music: macroform-robot_dity": 2, "music: macroform-the_simplicity": 1, "music in pieces of 4 s": 1}


@pytest.mark.parametrize("name", sounds(0.5))
def test_what_is_no_voice_is_not_taken_for_one(silero: Silero, name: str) -> None:
    assert Taken.of(sounds(0.5)[name](), silero).onsets <= TAKEN.get(name, 0)


def test_nobody_talks_a_key_or_a_tone() -> None:
    found = Taken.of(speech(12), None)
    assert found.minutes > 2
    assert (found.keys, found.tones) == (0, 0)


@pytest.mark.parametrize("line", [CLEAN, BY_NAME["hiss, 15 dB"], BY_NAME["music, 15 dB"], ECHO], ids=lambda on: on.name)
def test_keys_are_told_through_the_whole_channel(line: Line) -> None:
    tally = keys.measure(line, rounds=3)
    assert (tally.missed, tally.false) == (0, 0)
    assert np.percentile(tally.told_ms, 95) <= 60


@pytest.mark.parametrize("line", [CLEAN, BY_NAME["hiss, 15 dB"], ECHO], ids=lambda on: on.name)
def test_tones_are_told_through_the_whole_channel(line: Line) -> None:
    tally = tones.measure(line, [load_plan("kr")], rounds=1)
    assert (tally.missed, tally.false) == (0, 0)


# --- the bench itself ---


def test_the_truth_begins_with_the_sound_and_leaves_clicks_and_short_pauses_out() -> None:
    hiss = np.random.default_rng(1).standard_normal(3 * LINE_RATE_HZ) * 32768 * 10 ** (-60 / 20)
    loud = 32768 * 10 ** (-26 / 20) * np.random.default_rng(2).standard_normal(3 * LINE_RATE_HZ)
    for start_ms, end_ms in ((300, 302), (500, 900), (1000, 1500), (2400, 2800)):
        part = slice(start_ms * 8, end_ms * 8)
        hiss[part] += loud[part]
    spans = spoken(hiss, gap_ms=300)
    assert len(spans) == 2
    for span, (start_ms, end_ms) in zip(spans, ((500, 1500), (2400, 2800)), strict=True):
        assert span.start_ms == pytest.approx(start_ms, abs=10)
        assert span.end_ms == pytest.approx(end_ms, abs=10)


def test_a_line_mixes_noise_as_far_below_speech_as_it_says_and_loses_packets() -> None:
    silence = np.zeros(60 * LINE_RATE_HZ)
    for snr_db in (20, 10):
        noise = Line("hiss", snr_db=snr_db).carry(silence, 0).astype(float)
        assert 10 * np.log10(np.mean(noise**2) / 32768**2) == pytest.approx(recordings.SPEECH_DBOV - snr_db, abs=0.3)
    packets = Line("lossy", snr_db=10, loss=0.05).carry(silence, 0).reshape(-1, 160)
    assert np.mean(~packets.any(axis=1)) == pytest.approx(0.05, abs=0.01)
    repeated = Line("lossy", snr_db=10, loss=0.05, repeats=True).carry(silence, 0).reshape(-1, 160)
    assert np.mean((repeated[1:] == repeated[:-1]).all(axis=1)) == pytest.approx(0.05, abs=0.01)


def test_a_score_tells_missed_hidden_false_and_late() -> None:
    call = voice.Call(np.zeros(20 * LINE_RATE_HZ), [Span(2000, 3000), Span(6000, 7000), Span(12000, 13000)])
    begun = [Noticed(Onset(None, at_ms * 16, barged_in=False, at_ns=0), at_ms) for at_ms in (2060, 5000, 9000)]
    ended = [Noticed(Offset(None, at_ms * 16, at_ns=0), at_ms) for at_ms in (3300, 7300, 9500)]
    found = voice.Score()
    found.count(call, [one for pair in zip(begun, ended, strict=True) for one in pair])
    assert (found.onset_ms, found.hidden, found.missed, found.false) == ([60.0], 1, 1, 2)
    assert found.offset_ms == [300.0, 300.0, 2500.0]
