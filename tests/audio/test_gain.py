"""Automatic gain against its blackboard form, and what a listener would notice."""

import itertools
from dataclasses import astuple

import numpy as np
import pytest
from blocks import load
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.gain import Settings, amplified

ffi, lib = load("gain")
SETTINGS = Settings()


class Agc:
    def __init__(self, rate: int = 8000, set_to: Settings = SETTINGS) -> None:
        self.step = rate // 100
        self._native = ffi.new("struct ve_gain *")
        self.status = lib.ve_gain_open(self._native, rate, ffi.new("struct ve_gain_settings *", astuple(set_to)))

    def put(self, samples: np.ndarray, *, voiced: bool = True) -> np.ndarray:
        part = np.ascontiguousarray(samples, np.int16)
        out = np.empty_like(part)
        lib.ve_gain_put(
            self._native, ffi.from_buffer("int16_t[]", part), ffi.from_buffer("int16_t[]", out), len(part), voiced
        )
        return out

    @property
    def db(self) -> float:
        return float(lib.ve_gain_db(self._native))


def voice(level_dbov: float, seconds: float = 1.0, rate: int = 8000) -> np.ndarray:
    """Vowel-like: its peaks are 9 dB above its level."""
    time_s = np.arange(round(seconds * rate)) / rate
    wave = sum(np.cos(2 * np.pi * 120 * k * time_s + k * k) / k for k in range(1, 20))
    return np.round(wave / wave.std() * 32768 * 10 ** (level_dbov / 20)).clip(-32768, 32767).astype(np.int16)


def level_dbov(samples: np.ndarray) -> float:
    return float(20 * np.log10(samples.astype(float).std() / 32768))


def test_a_quiet_caller_is_brought_to_the_target_at_the_set_pace() -> None:
    agc = Agc()
    for second in range(1, 3):
        agc.put(voice(-36))
        assert agc.db == pytest.approx(6 * second, abs=0.1)
    agc.put(voice(-36))
    assert agc.db == pytest.approx(14, abs=0.2)
    assert level_dbov(agc.put(voice(-36))) == pytest.approx(-22, abs=0.2)


def test_it_never_amplifies_more_than_it_may() -> None:
    agc = Agc()
    agc.put(voice(-60, 10))
    assert agc.db == pytest.approx(18, abs=0.01)


@pytest.mark.parametrize("level", [-20, -15, -6])
def test_who_is_loud_enough_passes_bit_by_bit(level: float) -> None:
    agc = Agc()
    assert np.array_equal(agc.put(voice(level, 3)), voice(level, 3))


def test_pauses_move_nothing() -> None:
    agc = Agc()
    hiss = np.random.default_rng(1).normal(0, 10, 80000).astype(np.int16)
    agc.put(hiss, voiced=False)
    assert agc.db == 0
    agc.put(voice(-30))
    before = agc.db
    assert before > 5
    for noise in (hiss, hiss * 100, np.zeros(8000)):
        agc.put(noise, voiced=False)
        assert agc.db == before


def test_a_shout_after_a_whisper_never_clips_and_brings_the_gain_down_within_a_second() -> None:
    agc = Agc()
    agc.put(voice(-45, 5))
    assert agc.db == pytest.approx(18, abs=0.01)
    shout = agc.put(voice(-12, 1))
    assert np.abs(shout.astype(int)).max() < 32767
    assert agc.db == pytest.approx(0, abs=0.1)
    longest_flat = max(len(list(run)) for _, run in itertools.groupby(shout))
    assert longest_flat < 4  # bent, not cut


def test_full_scale_comes_through_at_any_gain() -> None:
    for value in (32767, -32768):
        agc = Agc()
        agc.put(voice(-45, 5))
        assert agc.put(np.full(80, value)).tolist() == [value] * 80


def test_the_gain_changes_without_a_step() -> None:
    agc = Agc()
    heard = np.concatenate([agc.put(np.full(800, 1000)) for _ in range(40)])
    assert agc.db > 8
    assert np.abs(np.diff(heard.astype(int))).max() <= 1


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    rate=st.sampled_from([8000, 16000]),
    set_to=st.builds(
        Settings,
        st.floats(-40, -10),
        st.floats(0, 30),
        rise_db_per_s=st.floats(0.1, 100),
        fall_db_per_s=st.floats(0.1, 100),
    ),
    levels=st.lists(st.tuples(st.floats(-70, 0), st.booleans()), min_size=1, max_size=12),
)
def test_every_sample_is_that_of_the_reference_within_one(
    seed: int, rate: int, set_to: Settings, levels: list[tuple[float, bool]]
) -> None:
    chance, step = np.random.default_rng(seed), rate // 100
    parts = [(chance.integers(1, 30), 10 ** (level / 20), voiced) for level, voiced in levels]
    voiced = [flag for steps, _, flag in parts for _ in range(steps)]
    heights = np.repeat([height for _, height, _ in parts], [steps * step for steps, _, _ in parts])
    samples = (chance.normal(0, 20000, len(heights)) * heights).clip(-32768, 32767).astype(np.int16)
    agc = Agc(rate, set_to)
    got, gains = [], []
    for number, flag in enumerate(voiced):
        got.append(agc.put(samples[number * step :][:step], voiced=flag))
        gains.append(agc.db)
    wanted, path = amplified(samples, step, voiced, set_to)
    assert np.abs(np.concatenate(got) - wanted).max() <= 1
    assert np.abs(np.array(gains) - path).max() < 0.01


@settings(max_examples=60, deadline=None)
@given(
    chops=st.lists(st.integers(1, 400), min_size=1, max_size=20),
    pattern=st.lists(st.tuples(st.integers(1, 1000), st.booleans()), min_size=1, max_size=8),
)
def test_any_chopping_of_the_input_gives_the_same_output(chops: list[int], pattern: list[tuple[int, bool]]) -> None:
    whole, chopped, cuts = Agc(), Agc(), itertools.cycle(chops)
    samples = np.random.default_rng(7).normal(0, 500, 8000).astype(np.int16)
    for length, voiced in pattern:
        part, got, at = samples[:length], [], 0
        while at < length:
            size = next(cuts)
            got.append(chopped.put(part[at : at + size], voiced=voiced))
            at += size
        assert np.array_equal(np.concatenate(got), whole.put(part, voiced=voiced))
    assert chopped.db == whole.db


@pytest.mark.parametrize(
    "wrong",
    [
        {"target_dbov": -41},
        {"target_dbov": -9},
        {"most_db": -1},
        {"most_db": 31},
        {"rise_db_per_s": 0},
        {"fall_db_per_s": 101},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    assert Agc(set_to=Settings(**wrong)).status < 0
    assert Agc(44100).status < 0
