"""Automatic gain as one would draw it on a blackboard: whole steps of 10 ms, gains in decibels, double precision."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KNEE, TOP = 16384.0, 32767.0
MEMORY_STEPS = 100


@dataclass(frozen=True)
class Settings:
    target_dbov: float = -22.0
    most_db: float = 18.0
    rise_db_per_s: float = 6.0
    fall_db_per_s: float = 20.0


def amplified(
    samples: NDArray[np.int16], step: int, voiced: Sequence[bool], settings: Settings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What comes out, and the gain in dB that each step asks for. `voiced` says it of each step."""
    path = _gains_db(samples.astype(np.float64).reshape(-1, step), voiced, settings)
    ends = 10 ** (path[:-1] / 20)
    slope = np.arange(step) / step
    gain = (ends[:-1, None] + slope * np.diff(ends)[:, None]).ravel()
    return _limited(samples.astype(np.float64), gain), path[2:]


def _gains_db(steps: NDArray[np.float64], voiced: Sequence[bool], settings: Settings) -> NDArray[np.float64]:
    """At the borders of the steps. What a step asks for is reached at the end of the next."""
    path, heard, count = [0.0, 0.0], 0.0, 0
    for samples, is_voice in zip(steps, voiced, strict=True):
        gain_db = path[-1]
        if is_voice:
            count = min(count + 1, MEMORY_STEPS)
            heard += ((samples**2).mean() - heard) / count
            level_dbov = 10 * np.log10(heard / 32768**2 + 1e-20)
            wanted_db = np.clip(settings.target_dbov - level_dbov, 0.0, settings.most_db)
            change_db = np.clip(wanted_db - gain_db, -settings.fall_db_per_s / 100, settings.rise_db_per_s / 100)
            gain_db += change_db
        path.append(gain_db)
    return np.array(path)


def _limited(samples: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.float64]:
    magnitude = np.abs(samples)
    wanted = magnitude * gain
    room = TOP - KNEE
    excess = np.maximum(wanted - KNEE, 0) / room
    bent = np.where(wanted > KNEE, KNEE + room * (1 - 1 / (1 + excess)), wanted)
    return np.asarray(np.sign(samples) * np.maximum(bent, magnitude))
