import numpy as np
import pytest

from voiceedge.speech.telephone import over_the_telephone


def tone(frequency_hz, level=8000.0, seconds=0.5):
    t = np.arange(int(seconds * 16_000)) / 16_000
    return (level * np.sin(2 * np.pi * frequency_hz * t)).astype("<i2").tobytes()


def level(pcm):
    samples = np.frombuffer(pcm, "<i2").astype(float)[1600:-1600]
    return float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize("frequency_hz", [400, 1000, 3000])
def test_the_voice_band_passes(frequency_hz):
    assert level(over_the_telephone(tone(frequency_hz))) == pytest.approx(level(tone(frequency_hz)), rel=0.05)


@pytest.mark.parametrize("frequency_hz", [50, 100, 3900, 5000, 7000])
def test_what_a_telephone_does_not_carry_is_gone(frequency_hz):
    assert level(over_the_telephone(tone(frequency_hz))) < 0.05 * level(tone(frequency_hz))


def test_quiet_and_loud_keep_their_level_within_the_steps_of_mu_law():
    for amplitude in (100.0, 1000.0, 30_000.0):
        heard = level(over_the_telephone(tone(1000, amplitude)))
        assert heard == pytest.approx(level(tone(1000, amplitude)), rel=0.1)


def test_length_is_kept_and_nothing_stays_nothing():
    assert len(over_the_telephone(tone(1000))) == len(tone(1000))
    assert over_the_telephone(b"") == b""
    assert level(over_the_telephone(bytes(32_000))) < 8
