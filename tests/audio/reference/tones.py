"""What is heard in a window, the textbook way: least squares for sines of which the best frequency is searched for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.signal.windows import hann

from voiceedge.audio.tones import Segment, Tone, TonePlan

Samples = NDArray[np.float64]
FULL_SCALE = 32768.0


@dataclass(frozen=True)
class Sine:
    hz: float
    power: float  # mean square, full scale being 1
    share: float  # of all the power


def mean_square(window: Samples) -> float:
    return float(np.mean(window**2)) / FULL_SCALE**2


def fitted(window: Samples, rate: int, *hz: float, weights: Samples | None = None) -> tuple[NDArray[np.float64], float]:
    """The power of each of these sines, all fitted at once, and how much of the energy they leave."""
    time_s = np.arange(len(window)) / rate
    weight = np.ones(len(window)) if weights is None else weights
    angles = 2 * np.pi * np.outer(time_s, hz)
    basis = np.hstack([np.cos(angles), np.sin(angles)])
    amplitudes = np.linalg.lstsq(basis * weight[:, None], window * weight, rcond=None)[0].reshape(2, -1)
    left = float(np.sum(((window - basis @ amplitudes.ravel()) * weight) ** 2) / np.sum((window * weight) ** 2))
    return (amplitudes**2).sum(axis=0) / 2 / FULL_SCALE**2, left


def sine(window: Samples, rate: int) -> Sine:
    """The strongest sine: the top of the spectrum, then the frequency that leaves least."""
    spectrum = np.abs(np.fft.rfft(window * hann(len(window), sym=False), 4096))
    low, high = 280 * 4096 // rate, 2280 * 4096 // rate
    top = (low + int(np.argmax(spectrum[low:high]))) * rate / 4096
    hz = minimize_scalar(
        lambda hz: fitted(window, rate, hz)[1], bounds=(top - 30, top + 30), method="bounded", options={"xatol": 0.05}
    ).x
    power, left = fitted(window, rate, hz)
    return Sine(float(hz), float(power[0]), 1 - left)


def pair(window: Samples, rate: int, hz: tuple[float, ...]) -> tuple[float, float]:
    """The share of the energy that two sines hold, and how much stronger one of them is, in dB."""
    power, left = fitted(window, rate, *hz, weights=hann(len(window), sym=False))
    return 1 - left, float(abs(10 * np.log10(power[0] / power[1])))


def nominal_ms(segment: Segment) -> float:
    return (segment.min_ms + segment.max_ms) / 2


def played(
    tone: Tone,
    seconds: float,
    level_dbov: float,
    *,
    rate: int = 8000,
    detuned: float = 0.0,
    stretched: float = 0.0,
    modulation_hz: float = 0.0,
    phase: float = 0.0,
) -> Samples:
    """A tone as the network plays it; `detuned` and `stretched` are shares of its frequencies and durations."""
    time_s = np.arange(round(seconds * rate)) / rate
    out = np.zeros(len(time_s))
    start, number = 0.0, 0
    while start < seconds:
        segment = tone.segments[number % len(tone.segments)]
        lasting_s = seconds if len(tone.segments) == 1 else nominal_ms(segment) / 1000 * (1 + stretched)
        part = slice(round(start * rate), round((start + lasting_s) * rate))
        for hz in segment.hz:
            out[part] += np.sin(2 * np.pi * hz * (1 + detuned) * time_s[part] + phase)
        start, number = start + lasting_s, number + 1
    if modulation_hz:
        out *= (1 + np.cos(2 * np.pi * modulation_hz * time_s)) / 2
    strongest = max(len(segment.hz) for segment in tone.segments)
    return out * 10 ** (level_dbov / 20) / np.sqrt(strongest / 2) * FULL_SCALE


def sounds(plan: TonePlan) -> list[Segment]:
    """The plan's sounds in the order in which the detector numbers them."""
    found: list[Segment] = []
    for segment in (segment for tone in plan.tones for segment in tone.segments if segment.hz):
        if not any(segment.hz == other.hz and segment.tolerance_hz == other.tolerance_hz for other in found):
            found.append(segment)
    return found
