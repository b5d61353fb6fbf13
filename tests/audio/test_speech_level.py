"""Active speech level against ITU-T P.56, method B, sample by sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.echo_line import speech_like
from scipy.signal import lfilter

from voiceedge.audio.speech_level import MARGIN_DB, active_level


def reference_dbov(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """The standard's text: an envelope of every sample, a hangover, thresholds half a dB apart."""
    scaled = samples / 32768
    decay = np.exp(-1 / (rate * 0.03))
    envelope = lfilter([1 - decay], [1, -decay], lfilter([1 - decay], [1, -decay], np.abs(scaled)))
    at = np.arange(len(scaled))
    for threshold in np.arange(-90, 0, 0.5):
        last = np.maximum.accumulate(np.where(envelope >= 10 ** (threshold / 20), at, -rate))
        active = np.count_nonzero(at - last <= 0.2 * rate)
        level = 10 * np.log10(np.sum(scaled**2) / active)
        if level - threshold <= MARGIN_DB:
            return level, active / len(scaled)
    raise AssertionError


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("dbov", [-45, -26, -12])
def test_speech_with_pauses_has_the_level_of_the_standard(rate: int, dbov: float) -> None:
    speech = speech_like(6.0, dbov, rate).astype(float)
    paused = np.concatenate([np.zeros(rate), speech[: 3 * rate], np.zeros(2 * rate), speech[3 * rate :]])
    measured, (level, activity) = active_level(paused, rate), reference_dbov(paused, rate)
    assert measured.dbov == pytest.approx(level, abs=0.1)
    assert measured.activity == pytest.approx(activity, abs=0.02)


def test_a_pause_is_left_out_and_a_tone_has_its_own_level() -> None:
    tone = 32768 * np.sqrt(2) * 10 ** (-20 / 20) * np.sin(2 * np.pi * 1000 * np.arange(80_000) / 8000)
    assert active_level(tone, 8000).dbov == pytest.approx(-20, abs=0.05)
    paused = active_level(np.concatenate([tone, np.zeros(80_000)]), 8000)
    assert paused.dbov == pytest.approx(-20, abs=0.3)  # the hangover counts as speech
    assert paused.activity == pytest.approx(0.5, abs=0.02)


@settings(max_examples=20, deadline=None)
@given(gain_db=st.floats(-25, 10))
def test_a_louder_copy_is_as_much_louder_and_no_longer_active(gain_db: float) -> None:
    speech = speech_like(3.0, -30.0).astype(float)
    soft, loud = active_level(speech, 8000), active_level(speech * 10 ** (gain_db / 20), 8000)
    assert loud.dbov - soft.dbov == pytest.approx(gain_db, abs=0.1)
    assert loud.activity == pytest.approx(soft.activity, abs=0.03)


def test_silence_has_no_level() -> None:
    assert active_level(np.zeros(8000, np.int16), 8000) is None
    assert active_level(np.zeros(0, np.int16), 8000) is None
