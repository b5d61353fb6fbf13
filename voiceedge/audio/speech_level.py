"""Active speech level: how loud speech is while it lasts, pauses left out (ITU-T P.56, method B)."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ENVELOPE_HZ = 800  # P.56 asks for at least 694
_SMOOTHING_S = 0.03
_HANGOVER_S = 0.2  # a pause this short is part of the speech around it
MARGIN_DB = 15.9  # speech is active where its envelope is less than this below its active level
_THRESHOLDS_DBOV = np.arange(-90.0, 0.0, 0.5)
_FULL_SCALE = 32768.0


@dataclass(frozen=True, slots=True)
class ActiveLevel:
    dbov: float
    activity: float  # the share of the time that is active, 0 … 1


def active_level(samples: NDArray[np.int16] | NDArray[np.float64], rate: int) -> ActiveLevel | None:
    """None where nothing is active: silence.

    The level and the threshold of being active hang on each other: of all thresholds, the one is taken that lies
    MARGIN_DB below the level of what it calls active.
    """
    scaled = np.asarray(samples, np.float64) / _FULL_SCALE
    envelope = _envelope(scaled, rate)
    energy, total = float(scaled @ scaled), len(envelope)
    above = _sorted_peaks(envelope)
    before: tuple[float, float, float] | None = None  # margin, level, activity at the threshold below
    for threshold in _THRESHOLDS_DBOV:
        active = total - int(np.searchsorted(above, 10.0 ** (threshold / 20.0)))
        if not active or not energy:
            return None
        activity = active / total
        level = 10.0 * math.log10(energy / len(scaled) / activity)
        margin = level - float(threshold)
        if margin <= MARGIN_DB:
            return _between(before, (margin, level, activity))
        before = (margin, level, activity)
    return None


def _between(before: tuple[float, float, float] | None, here: tuple[float, float, float]) -> ActiveLevel:
    """Where the margin is MARGIN_DB: between two thresholds, on a straight line."""
    if before is None:
        return ActiveLevel(here[1], here[2])
    share = (before[0] - MARGIN_DB) / (before[0] - here[0])
    return ActiveLevel(before[1] + share * (here[1] - before[1]), before[2] + share * (here[2] - before[2]))


def _envelope(scaled: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """The magnitude, smoothed by two equal one-pole filters in a row: n ↦ (1-g)² (n+1) gⁿ."""
    step = max(1, rate // _ENVELOPE_HZ)
    count = max(1, -(-len(scaled) // step))
    magnitude = np.zeros(count * step)
    magnitude[: len(scaled)] = np.abs(scaled)
    decay = np.exp(-step / (rate * _SMOOTHING_S))
    n = np.arange(int(10 * _SMOOTHING_S * _ENVELOPE_HZ))
    kernel = (1.0 - decay) ** 2 * (n + 1) * decay**n
    return np.convolve(magnitude.reshape(count, step).mean(axis=1), kernel)[:count]


def _sorted_peaks(envelope: NDArray[np.float64]) -> NDArray[np.float64]:
    """The highest value within the hangover before each moment; sorted, so that a threshold counts what is active."""
    length = int(_HANGOVER_S * _ENVELOPE_HZ) + 1
    padded = np.concatenate([np.zeros(length - 1), envelope])
    peaks = padded.copy()
    width = 1
    while width < length:  # van Herk by doubling: a maximum over 2^k, then over the rest
        shift = min(width, length - width)
        peaks[shift:] = np.maximum(peaks[shift:], peaks[:-shift])
        width += shift
    return np.sort(peaks[length - 1 :])
