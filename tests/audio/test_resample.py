"""Resampling 8 ↔ 16 kHz against the textbook, soxr's best quality, and 60 dB."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import soxr
from blocks import load
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import resample as reference
from scipy.signal import firwin

from voiceedge.speech.band_extension import MIRROR, BandExtension

ffi, lib = load("resample")
SOURCE = Path(__file__).parents[2] / "native" / "src" / "resample.c"
RATES = {"up": (8000, 16000), "down": (16000, 8000)}
REFERENCE = {"up": reference.to_16_khz, "down": reference.to_8_khz}
WAYS = pytest.mark.parametrize("way", ["up", "down"])


def resample(way: str, samples: np.ndarray, chops: list[int] | None = None) -> np.ndarray:
    if way == "up":
        state, opened, run = ffi.new("struct ve_resampler *"), lib.ve_resampler_open, lib.ve_resample
    else:
        state, opened, run = ffi.new("struct ve_decimator *"), lib.ve_decimator_open, lib.ve_decimate
    opened(state)
    parts, at = [], 0
    for chop in itertools.cycle(chops or [max(1, len(samples))]):
        if at >= len(samples):
            break
        part = np.ascontiguousarray(samples[at : at + chop], np.int16)
        out = np.empty(2 * len(part) if way == "up" else (len(part) + 1) // 2, np.int16)
        made = run(state, ffi.from_buffer("int16_t[]", part), len(part), ffi.from_buffer("int16_t[]", out))
        parts.append(out[:made])
        at += chop
    return np.concatenate([np.empty(0, np.int16), *parts])


def noise(samples: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, samples).astype(np.int16)


def tone(hz: float, rate: int, peak: float = 20000.0) -> np.ndarray:
    return peak * np.sin(2 * np.pi * hz * np.arange(rate // 2) / rate + 0.3)


def snr_db(wanted: np.ndarray, got: np.ndarray) -> float:
    """Away from both ends, where filters ring."""
    inner = slice(200, min(len(wanted), len(got)) - 200)
    wanted, got = wanted[inner].astype(float), got[inner].astype(float)
    return 10 * np.log10((wanted**2).sum() / ((wanted - got) ** 2).sum())


def level_db(samples: np.ndarray, against: np.ndarray) -> float:
    inner = slice(200, -200)
    return 10 * np.log10((samples[inner].astype(float) ** 2).mean() / (against[inner] ** 2).mean() + 1e-20)


def test_the_taps_in_the_source_are_those_the_comment_designs() -> None:
    (table,) = re.findall(r"taps\[\w+\] = \{(.*?)\}", SOURCE.read_text(encoding="utf-8"), re.DOTALL)
    taps = [int(tap) for tap in re.findall(r"-?\d+", table)]
    assert taps == reference.half_band()[0::2].tolist()
    assert sum(taps) == 2**14


def test_no_input_can_overflow_the_sum() -> None:
    taps = reference.half_band()
    assert (np.abs(taps).sum() + 1) * 32768 < 2**31


@WAYS
@pytest.mark.parametrize("length", [1, 15, 16, 17, 31, 32, 33, 321, 5000])
def test_every_sample_is_that_of_the_textbook(way: str, length: int) -> None:
    samples = noise(length)
    assert np.array_equal(resample(way, samples), REFERENCE[way](samples))


@WAYS
@settings(max_examples=100, deadline=None)
@given(chops=st.lists(st.integers(1, 400), min_size=1, max_size=20), seed=st.integers(0, 99))
def test_any_chopping_of_the_input_gives_the_same_output(way: str, chops: list[int], seed: int) -> None:
    samples = noise(3001, seed)
    assert np.array_equal(resample(way, samples, chops), resample(way, samples))


@WAYS
@pytest.mark.parametrize("value", [-32768, -1, 0, 1, 12345, 32767])
def test_a_constant_stays_what_it_is(way: str, value: int) -> None:
    assert set(resample(way, np.full(1000, value))[64:].tolist()) == {value}


@WAYS
def test_in_band_the_error_is_70_db_below_the_signal_at_every_frequency(way: str) -> None:
    """A tone each 25 Hz from 25 to 3400 Hz: ripple, images and rounding all count. 60 dB is what we need."""
    source, target = RATES[way]
    worst = min(
        snr_db(tone(hz, target), resample(way, np.round(tone(hz, source)).astype(np.int16)))
        for hz in range(25, 3401, 25)
    )
    assert worst >= 70


def test_what_would_fold_down_into_the_band_is_70_db_lower() -> None:
    for hz in range(4600, 8000, 50):
        assert level_db(resample("down", np.round(tone(hz, 16000)).astype(np.int16)), tone(hz, 16000)) < -70


@WAYS
def test_speech_band_noise_agrees_with_soxr_at_its_best_quality(way: str) -> None:
    source, target = RATES[way]
    white = np.random.default_rng(1).standard_normal(3 * source) * 3000
    narrow = np.round(np.convolve(white, firwin(801, [300, 3300], fs=source, pass_zero=False), "same"))
    assert snr_db(soxr.resample(narrow, source, target, "VHQ"), resample(way, narrow.astype(np.int16))) > 60


def test_up_and_down_again_is_where_it_was() -> None:
    narrow = np.round(tone(1000, 8000)).astype(np.int16)
    assert snr_db(narrow, resample("down", resample("up", narrow))) > 60


@WAYS
def test_full_scale_saturates_as_the_textbook_does(way: str) -> None:
    samples = np.where(np.arange(4000) % 7 < 3, 32767, -32768)
    assert np.array_equal(resample(way, samples), REFERENCE[way](samples.astype(np.int16)))


def test_weighing_its_even_and_odd_samples_is_filtering_with_the_mirror_image_kept() -> None:
    narrow = np.random.default_rng(2).normal(0, 5000, 8000).clip(-20000, 20000).astype(np.int16)
    stuffed = np.zeros(2 * len(narrow))
    stuffed[0::2] = narrow
    low_pass = reference.half_band() / 2**14
    high_pass = low_pass * (-1.0) ** (np.arange(len(low_pass)) - len(low_pass) // 2)
    wanted = np.convolve(stuffed, low_pass + MIRROR * high_pass)[len(low_pass) // 2 :]
    got = np.frombuffer(BandExtension().apply(resample("up", narrow).tobytes()), "<i2")
    rounding = 0.5 * (1 + MIRROR) + 0.5  # once in the interpolator, once after weighing
    assert np.abs(got - wanted[: len(got)]).max() <= rounding + 0.01
