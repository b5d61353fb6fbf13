"""NLMS with the step of a Kalman filter, sample by sample as the paper has it (Paleologu, Benesty, Ciochină)."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MEMORY_S = 0.00625
DRIFT = 2.5e-5
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

    def drift(self, samples: int) -> float:
        """How much the path may change in so many samples: in proportion, for one with 10 … 30 dB of loss."""
        return DRIFT * float(np.clip(self.weights @ self.weights, 0.001, 0.1)) * samples

    def learn(self, window: NDArray[np.float64], near: float, drift: float) -> float:
        """The error of the prediction; `drift` is how much the path may have changed since the last one."""
        e = near - window @ self.weights
        energy = window @ window
        forget = 1 / (MEMORY_S * self.rate)
        self.error += forget * (e**2 - self.error)
        self.explained += forget * (self.p * energy - self.explained)
        noise = max(self.error - self.explained, 0.02 * self.error, 0.1 * e**2) + LEAST_NOISE
        step = self.p / (self.p * energy + noise)
        self.weights += step * e * window
        self.p = (1 - step * energy / self.taps) * self.p + drift / self.taps
        return float(e)
