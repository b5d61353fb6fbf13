"""What a telephone does to speech (300-3400 Hz, 8 kHz, G.711 mu-law), back at 16 kHz; for evaluation and tests."""

import numpy as np
import soxr
from numpy.typing import NDArray

RATE_HZ = 16_000
LINE_RATE_HZ = 8_000
_TAPS = 257
_BIAS, _CLIP = 33.0, 8158.0  # G.711 counts in 14 bits


def over_the_telephone(pcm: bytes) -> bytes:
    """16 kHz 16-bit mono speech as it would arrive over a narrow-band call, widened to 16 kHz again."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    if not samples.size:
        return b""
    narrow = voice_band(soxr.resample(samples, RATE_HZ, LINE_RATE_HZ))
    wide = soxr.resample(mu_law_round_trip(narrow), LINE_RATE_HZ, RATE_HZ)
    heard: bytes = np.clip(np.rint(wide), -32768, 32767).astype("<i2").tobytes()
    return heard


def voice_band(narrow: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a telephone carries of audio at 8 kHz."""
    return np.convolve(narrow, _band_pass(300.0, 3400.0), mode="same")


def _band_pass(low_hz: float, high_hz: float) -> NDArray[np.float64]:
    n = np.arange(_TAPS) - (_TAPS - 1) / 2

    def low_pass(cut_hz: float) -> NDArray[np.float64]:
        return np.asarray(2 * cut_hz / LINE_RATE_HZ * np.sinc(2 * cut_hz / LINE_RATE_HZ * n))

    return np.asarray((low_pass(high_hz) - low_pass(low_hz)) * np.hamming(_TAPS))


def mu_law_round_trip(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eight segments of sixteen steps each: the step doubles from segment to segment."""
    magnitude = np.minimum(np.abs(samples) / 4, _CLIP) + _BIAS
    segment = np.floor(np.log2(magnitude)) - 5
    step = 2.0 ** (segment + 1)
    code = np.floor((magnitude - 2.0 ** (segment + 5)) / step)
    decoded = (code + 0.5) * step + 2.0 ** (segment + 5) - _BIAS
    return np.asarray(np.sign(samples) * decoded * 4)
