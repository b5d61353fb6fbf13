"""Keys in band: what ITU-T Q.24 wants heard and not heard, the reference, G.711, noise, and speech that is no key."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from blocks import load
from detection import recordings
from detection.keys import measure
from detection.line import LINES, Line
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import dtmf as reference
from reference.dtmf import COLUMNS, KEYS, ROWS, tone

from voiceedge.audio import wav

ffi, lib = load("dtmf")
RATES = (8000, 16000)
LEVEL_DBOV = -16.0  # of each tone: a common telephone


@dataclass(frozen=True)
class Change:
    key: str
    down: bool
    began: int
    ended: int
    level_dbov: float
    twist_db: float
    noticed: int  # samples put when it was told


def opened(rate: int, minimum_dbov: float = -45, twist_db: float = 8, reverse_twist_db: float = 8):
    receiver = ffi.new("struct ve_dtmf *")
    chosen = ffi.new("struct ve_dtmf_settings *", [minimum_dbov, twist_db, reverse_twist_db])
    return receiver, lib.ve_dtmf_open(receiver, rate, chosen)


def hear(pcm: np.ndarray, rate: int, chops: list[int] | None = None, **chosen: float) -> list[Change]:
    receiver, status = opened(rate, **chosen)
    assert status == 0
    heard, at = [], 0
    changes = ffi.new("struct ve_key_change[]", 2 + len(pcm) // (rate // 100))
    for chop in itertools.cycle(chops or [rate // 50]):
        if at >= len(pcm):
            return heard
        part = np.ascontiguousarray(pcm[at : at + chop], np.int16)
        at += len(part)
        count = lib.ve_dtmf_put(receiver, ffi.from_buffer("int16_t[]", part), len(part), changes, len(changes))
        heard += [
            Change(one.key.decode(), one.down, one.began, one.ended, one.level_dbov, one.twist_db, at)
            for one in changes[0:count]
        ]
    raise AssertionError


def keys(pcm: np.ndarray, rate: int, **chosen: float) -> str:
    return "".join(change.key for change in hear(pcm, rate, **chosen) if change.down)


def line(*parts: np.ndarray | float, rate: int = 8000, snr_db: float | None = None, seed: int = 1) -> np.ndarray:
    """Tones, and pauses in ms, with 60 ms of quiet around; noise so far below the tones all the time."""
    quiet = [np.zeros(round(part * rate / 1000)) if np.isscalar(part) else part for part in (60.0, *parts, 60.0)]
    sent = np.concatenate(quiet)
    if snr_db is not None:
        signal = np.concatenate([part for part in parts if not np.isscalar(part)])
        power = (signal**2).mean() / 10 ** (snr_db / 10)
        sent = sent + np.random.default_rng(seed).standard_normal(len(sent)) * np.sqrt(power)
    return np.rint(sent * 32768).clip(-32768, 32767).astype(np.int16)


def press(
    key: str, ms: float = 40, rate: int = 8000, twist_db: float = 0, off: tuple[float, float] = (0, 0)
) -> np.ndarray:
    """The stronger tone at LEVEL_DBOV."""
    return tone(key, ms, rate, (LEVEL_DBOV - max(0, twist_db), LEVEL_DBOV + min(0, twist_db)), off)


@pytest.mark.parametrize("rate", RATES)
def test_forty_ms_of_each_key_and_forty_between_are_enough(rate: int) -> None:
    presses = [part for key in KEYS + KEYS[::-1] for part in (press(key, 40, rate), 40.0)]
    assert keys(line(*presses, rate=rate), rate) == KEYS + KEYS[::-1]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("key", KEYS)
def test_a_tone_of_24_ms_is_no_key_and_one_of_33_always_is(key: str, rate: int) -> None:
    for shift in range(10):  # against the receiver's steps of 5 ms
        assert keys(line(0.5 * shift, press(key, 24, rate), rate=rate), rate) == ""
        assert keys(line(0.5 * shift, press(key, 33, rate), rate=rate), rate) == key


@pytest.mark.parametrize("rate", RATES)
def test_the_same_key_after_35_ms_is_another_press(rate: int) -> None:
    for shift in range(10):
        assert keys(line(0.5 * shift, press("7", 40, rate), 35.0, press("7", 40, rate), rate=rate), rate) == "77"


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("gap_ms", [1, 5, 10, 20])
def test_an_interruption_of_up_to_20_ms_does_not_split_a_press(gap_ms: float, rate: int) -> None:
    for shift in range(10):
        down, up = hear(line(0.5 * shift, press("7", 60, rate), gap_ms, press("7", 60, rate), rate=rate), rate)
        assert (down.down, up.down) == (True, False)
        assert up.ended - up.began == pytest.approx((120 + gap_ms) * rate / 1000, abs=0.003 * rate)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("twist_db", [-8, 8])
def test_frequencies_of_q24_are_accepted_and_refused_at_any_twist(key: str, twist_db: float, rate: int) -> None:
    row, column = ROWS[KEYS.index(key) // 4], COLUMNS[KEYS.index(key) % 4]
    for low, high in itertools.product((-1, 0, 1), repeat=2):
        near = (low * (0.015 + 2 / row), high * (0.015 + 2 / column))
        assert keys(line(press(key, 40, rate, twist_db, near), rate=rate), rate) == key
        if low or high:
            far = (low * 0.035, high * 0.035)
            assert keys(line(press(key, 300, rate, twist_db, far), rate=rate), rate) == ""


def test_twist_beyond_the_setting_is_refused() -> None:
    for twist_db, heard in ((7.9, "5"), (-3.9, ""), (9.5, ""), (-1.9, "5")):
        assert keys(line(press("5", 100, twist_db=-twist_db)), 8000, twist_db=8, reverse_twist_db=2) == heard


@pytest.mark.parametrize("level_dbov", [-8, -20, -36, -45])
def test_levels_are_accepted_down_to_the_setting_and_told(level_dbov: float) -> None:
    pcm = line(tone("3", 60, 8000, (level_dbov, level_dbov - 3)))
    assert keys(pcm, 8000, minimum_dbov=level_dbov + 1) == ""
    down, up = hear(pcm, 8000, minimum_dbov=level_dbov - 3)
    assert up.level_dbov == down.level_dbov == pytest.approx(level_dbov + 10 * np.log10(1 + 10**-0.3), abs=0.3)
    assert down.twist_db == pytest.approx(-3, abs=0.3)


def test_a_key_that_drives_the_line_into_clipping_is_a_key() -> None:
    assert keys(line(tone("3", 60, 8000, (-1, -3))), 8000) == "3"


@pytest.mark.parametrize("rate", RATES)
def test_the_ends_of_a_press_are_told_within_two_ms(rate: int) -> None:
    for ms in (40, 53.5, 77, 200):
        down, up = hear(line(3.3, press("0", ms, rate), rate=rate), rate)
        assert down.began == up.began == pytest.approx(63.3 * rate / 1000, abs=0.002 * rate)
        assert up.ended == pytest.approx((63.3 + ms) * rate / 1000, abs=0.002 * rate)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("snr_db", "most_missed"), [(20, 0), (15, 0), (12, 0.01), (10, 0.03)])
def test_keys_are_heard_in_noise(snr_db: float, most_missed: float, rate: int) -> None:
    missed = 0
    for number, (key, twist_db) in enumerate(itertools.product(KEYS, (-8, -4, 0, 4, 8))):
        heard = keys(line(number % 5, press(key, 40, rate, twist_db), rate=rate, snr_db=snr_db, seed=number), rate)
        assert heard in ("", key)
        missed += heard != key
    assert missed <= most_missed * 80


def test_noise_alone_is_no_key() -> None:
    rng = np.random.default_rng(5)
    for colour in (1, 3, 9):  # white, and ever duller
        hiss = np.convolve(rng.standard_normal(8000 * 60), np.ones(colour) / colour)
        assert hear((hiss * 3000).clip(-32768, 32767).astype(np.int16), 8000) == []


def test_a_dial_tone_10_db_below_the_key_is_no_hindrance() -> None:
    t = np.arange(8000) / 8000
    dial = np.sqrt(2) * 10 ** ((LEVEL_DBOV - 10) / 20) * (np.sin(2 * np.pi * 350 * t) + np.sin(2 * np.pi * 440 * t))
    sent = np.zeros(8000)
    sent[3000:3320] = press("6")
    assert keys(np.rint((sent + dial) * 32768).astype(np.int16), 8000) == "6"


@pytest.mark.parametrize(
    "hertz", [(350, 440), (425, 425), (480, 620), (1100, 1100), (2100, 2100), (697, 697), (697, 770)]
)
def test_no_other_tone_is_a_key(hertz: tuple[float, float]) -> None:
    t = np.arange(16000) / 8000
    sent = 6000 * (np.sin(2 * np.pi * hertz[0] * t) + np.sin(2 * np.pi * hertz[1] * t))
    assert hear(np.rint(sent).astype(np.int16), 8000) == []


@pytest.mark.parametrize("law", [6, 7], ids=["A-law", "mu-law"])
@pytest.mark.parametrize("twist_db", [-8, 0, 8])
def test_keys_come_through_g711(law: int, twist_db: float) -> None:
    values = np.sort(wav._samples(law, 8, bytes(range(256)))) * 32768
    for gain_db in (0, -10, -20):
        presses = [part for key in KEYS for part in (press(key, 40, twist_db=twist_db) * 10 ** (gain_db / 20), 40.0)]
        pcm = line(*presses).astype(float)
        coded = values[np.abs(values[None, :] - pcm[:, None]).argmin(axis=1)]
        assert keys(coded.astype(np.int16), 8000) == KEYS


def test_a_key_right_after_another_is_its_own() -> None:
    heard = hear(line(press("1", 80), press("2", 80)), 8000)
    assert [(change.key, change.down) for change in heard] == [("1", True), ("1", False), ("2", True), ("2", False)]
    assert heard[1].ended == pytest.approx(140 * 8, abs=80)
    assert heard[2].began == pytest.approx(140 * 8, abs=80)


@pytest.mark.parametrize("rate", RATES)
def test_a_key_is_told_within_40_ms_of_its_beginning(rate: int) -> None:
    for shift in range(10):
        pcm = line(0.5 * shift, press("5", 100, rate), rate=rate)
        (told,) = [change.noticed for change in hear(pcm, rate, chops=[1]) if change.down]
        assert told <= (60 + 0.5 * shift + 40) * rate / 1000


def test_a_key_is_down_from_one_change_to_the_other() -> None:
    receiver, _ = opened(8000)
    pcm = line(press("5", 100), 100.0)
    changes = ffi.new("struct ve_key_change[2]")
    down = False
    for at in range(len(pcm)):
        for change in changes[0 : lib.ve_dtmf_put(receiver, ffi.new("int16_t *", int(pcm[at])), 1, changes, 2)]:
            down = change.down
        assert lib.ve_dtmf_down(receiver) == down


@pytest.mark.parametrize(
    ("rate", "chosen"),
    [
        (44100, {}),
        (0, {}),
        (8000, {"minimum_dbov": 1}),
        (8000, {"minimum_dbov": float("nan")}),
        (8000, {"twist_db": -1}),
        (8000, {"reverse_twist_db": 13}),
    ],
)
def test_settings_out_of_bounds_are_refused(rate: int, chosen: dict[str, float]) -> None:
    assert opened(rate, **chosen)[1] == -22


@st.composite
def lines(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Presses of any length, level, twist and accuracy, interrupted and in noise."""
    rate = draw(st.sampled_from(RATES))
    parts: list[np.ndarray | float] = []
    for _ in range(draw(st.integers(1, 4))):
        low, high = draw(st.floats(-45, -7)), draw(st.floats(-9, 9))
        off = (draw(st.floats(-0.03, 0.03)), draw(st.floats(-0.03, 0.03)))
        ms = draw(st.floats(10, 120))
        parts += [tone(draw(st.sampled_from(KEYS)), ms, rate, (low, low + high), off), draw(st.floats(0, 80))]
    snr_db = draw(st.sampled_from([None, 30.0, 15.0, 8.0]))
    return line(*parts, rate=rate, snr_db=snr_db, seed=draw(st.integers(0, 9))), rate


@settings(max_examples=60, deadline=None)
@given(lines(), st.lists(st.integers(0, 700), min_size=1, max_size=5).filter(sum))
def test_any_chopping_gives_the_same(signal: tuple[np.ndarray, int], chops: list[int]) -> None:
    pcm, rate = signal

    def seen(chops: list[int]) -> list[tuple]:
        return [(c.key, c.down, c.began, c.ended, c.level_dbov, c.twist_db) for c in hear(pcm, rate, chops)]

    assert seen(chops) == seen([len(pcm)])


@st.composite
def clear_lines(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Presses that nobody can be in two minds about: at a threshold, a float's last bit decides."""
    rate = draw(st.sampled_from(RATES))
    parts: list[np.ndarray | float] = []
    for _ in range(draw(st.integers(1, 4))):
        low, twist = draw(st.floats(-35, -13)), draw(st.floats(-5, 5))
        off = (draw(st.floats(-0.012, 0.012)), draw(st.floats(-0.012, 0.012)))
        ms = draw(st.floats(45, 120))
        parts += [tone(draw(st.sampled_from(KEYS)), ms, rate, (low, low + twist), off), draw(st.floats(60, 120))]
    return line(*parts, rate=rate, snr_db=draw(st.sampled_from([None, 30.0])), seed=draw(st.integers(0, 9))), rate


@settings(max_examples=100, deadline=None, derandomize=True)
@given(clear_lines())
def test_it_hears_what_the_reference_hears(signal: tuple[np.ndarray, int]) -> None:
    pcm, rate = signal
    heard, wanted = hear(pcm, rate), reference.receive(pcm, rate)
    assert [(c.key, c.down) for c in heard] == [(c.key, c.down) for c in wanted]
    for ours, theirs in zip(heard, wanted, strict=True):
        assert (ours.began if ours.down else ours.ended) == pytest.approx(theirs.at, abs=2)
        assert ours.level_dbov == pytest.approx(theirs.level_dbov, abs=0.05)
        assert ours.twist_db == pytest.approx(theirs.twist_db, abs=0.1)


@pytest.mark.parametrize("kind", ["korean", "prompts", "speakers", "music"])
@pytest.mark.slow
def test_nobody_talks_a_key(kind: str) -> None:
    """Also in voices a tenth lower and higher than they are."""
    if recordings.missing_packages() or (kind == "korean" and not recordings.corpus()):
        pytest.skip("needs the recordings")
    spoken = recordings.music().values() if kind == "music" else (r.samples for r in getattr(recordings, kind)())
    for samples in spoken:
        for speed in (1.0, 0.9, 1.1):
            played = np.interp(np.arange(0, len(samples) - 1, speed), np.arange(len(samples)), samples)
            assert keys(np.rint(played).clip(-32768, 32767).astype(np.int16), 8000) == ""


@pytest.mark.parametrize("on", LINES, ids=lambda on: on.name)
@pytest.mark.slow
def test_keys_are_heard_on_every_line(on: Line) -> None:
    """Coded, in noise, babble and music, and with every twentieth packet lost."""
    if recordings.missing_packages():
        pytest.skip("needs the recordings")
    tally = measure(on)
    assert tally.false == 0
    assert tally.missed <= (0.1 if on.snr_db <= 10 else 0) * tally.pressed
