"""Half-band resampling as textbooks draw it: stuff zeros and filter; filter and drop (Crochiere and Rabiner, 1983)."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import remez

TAPS = 32
BAND_HZ = 3400


def half_band() -> NDArray[np.int64]:
    """Sixty-three coefficients in Q15 of which every second is zero but for the middle one, a half.

    The others are a filter of their own, free of constraints: an equiripple all-pass with a zero at half its rate
    (Vaidyanathan and Nguyen, 1987).
    """
    others = np.round(2**14 * remez(TAPS, [0, BAND_HZ], [1], fs=8000)).astype(np.int64)
    others[TAPS // 2 - 1 : TAPS // 2 + 1] += (2**14 - others.sum()) // 2  # a constant stays what it is
    filter_ = np.zeros(2 * TAPS - 1, np.int64)
    filter_[0::2] = others
    filter_[TAPS - 1] = 2**14
    return filter_


def to_16_khz(narrow: NDArray[np.int16]) -> NDArray[np.int16]:
    """Zeros between the samples mirror the band above 4 kHz; the filter takes the image away."""
    stuffed = np.zeros(2 * len(narrow), np.int64)
    stuffed[0::2] = narrow
    return _rounded(np.convolve(stuffed, half_band())[TAPS - 1 :], 14)[: 2 * max(0, len(narrow) - TAPS // 2)]


def to_8_khz(wide: NDArray[np.int16]) -> NDArray[np.int16]:
    """Nothing may be left above 4 kHz before every second sample is dropped: it would fold down."""
    filtered = _rounded(np.convolve(wide.astype(np.int64), half_band())[TAPS - 1 :], 15)
    return filtered[0::2][: max(0, len(wide) // 2 - TAPS // 2 + 1)]


def _rounded(values: NDArray[np.int64], shift: int) -> NDArray[np.int16]:
    return ((values + (1 << (shift - 1))) >> shift).clip(-32768, 32767).astype(np.int16)
