"""NLMS with the step of a Kalman filter, sample by sample as the paper has it (Paleologu, Benesty, Ciochină)."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MEMORY_S = 0.00625
DRIFT = 2.5e-6
LEAST_NOISE = 64.0


@dataclass
class JointOptimisedNlms:
    """`window` is the far end's last L samples, oldest first; so are the weights."""

    rate: int
    taps: int
    weights: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.weights = np.zeros(self.taps)
        self.p = 0.5 / self.taps  # variance of a weight's error
        self.error = self.explained = 0.0  # smoothed powers

    def learn(self, window: NDArray[np.float64], near: float, samples: int = 1) -> float:
        """The error of the prediction; the path has had `samples` to change since the last one."""
        e = near - window @ self.weights
        energy = window @ window
        forget = 1 / (MEMORY_S * self.rate)
        self.error += forget * (e**2 - self.error)
        self.explained += forget * (self.p * energy - self.explained)
        noise = max(self.error - self.explained, 0.02 * self.error, 0.1 * e**2) + LEAST_NOISE
        step = self.p / (self.p * energy + noise)
        self.weights += step * e * window
        self.p = (1 - step * energy / self.taps) * self.p + DRIFT * samples / self.taps
        return float(e)
