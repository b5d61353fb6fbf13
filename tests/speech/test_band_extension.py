import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import firwin

from voiceedge.speech.band_extension import MIRROR, BandExtension

FILTER = 2 * firwin(63, 0.5, window=("kaiser", 6.76))  # any interpolator's; what follows does not depend on it


def narrow(seed=1, seconds=1):
    return np.random.default_rng(seed).normal(0, 4000, 8000 * seconds).clip(-20000, 20000).round()


def interpolated(samples, filter_=FILTER):
    stuffed = np.zeros(2 * len(samples))
    stuffed[0::2] = samples
    return np.convolve(stuffed, filter_)[len(filter_) // 2 :][: len(stuffed)]


def extended(wide):
    return np.frombuffer(BandExtension().apply(wide.astype("<i2").tobytes()), "<i2")


def keeping_the_mirror(samples, mirror):
    """Zero-stuffing with a filter that passes the telephone band at 1 and its image at `mirror`."""
    centre = len(FILTER) // 2
    high_pass = FILTER * (-1.0) ** (np.arange(len(FILTER)) - centre)
    return interpolated(samples, FILTER + mirror * high_pass)


def test_weighing_even_and_odd_samples_is_filtering_with_the_mirror_kept():
    wanted = keeping_the_mirror(narrow(), MIRROR)
    assert np.abs(extended(np.rint(interpolated(narrow()))) - wanted).max() <= 0.5 + 0.5 * (1 + MIRROR) + 1e-6


@pytest.mark.parametrize("hz", [400, 1000, 3000])
def test_a_tone_gets_an_image_at_the_mirror_s_level(hz):
    tone = np.rint(interpolated(8000 * np.sin(2 * np.pi * hz * np.arange(8000) / 8000)))
    spectrum = np.abs(np.fft.rfft(extended(tone) * np.hanning(16000)))
    assert spectrum[8000 - hz] / spectrum[hz] == pytest.approx(MIRROR, rel=0.01)


@settings(max_examples=50, deadline=None)
@given(chops=st.lists(st.integers(0, 700), min_size=1, max_size=20).filter(any))
def test_any_chopping_of_the_input_gives_the_same_output(chops):
    samples = np.rint(interpolated(narrow())).astype("<i2")
    extension, parts, at = BandExtension(), [], 0
    for chop in itertools.cycle(chops):
        if at >= len(samples):
            break
        parts.append(extension.apply(samples[at : at + chop].tobytes()))
        at += chop
    assert b"".join(parts) == extended(samples).tobytes()


def test_full_scale_saturates():
    assert extended(np.full(4, 32767)).tolist() == [32767, 27852, 32767, 27852]
    assert extended(np.full(4, -32768)).tolist() == [-32768, -27853, -32768, -27853]


def test_half_a_sample_is_left_out():
    assert BandExtension().apply(b"\x10\x00\x10") == BandExtension().apply(b"\x10\x00")
    assert BandExtension().apply(b"") == b""
