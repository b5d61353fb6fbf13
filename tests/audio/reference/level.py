"""Level, peak, offset and clipping of a window by their definitions (ITU-T G.100.1), and a DC blocker as a filter."""

from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

TOP = 32000
FLAT = 4096


@dataclass(frozen=True)
class Report:
    level_dbov: float
    offset: float
    peak: int
    clipped: int


def without_offset(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """A zero at 0 Hz and a pole beside it: all but the lowest frequencies meet both alike."""
    return np.asarray(lfilter([1.0, -1.0], [1.0, -127 / 128], samples.astype(np.float64)))


def reports(samples: NDArray[np.int16], window: int) -> list[Report]:
    clipped_ends = _ends_of_clipped_plateaus(samples)
    found = []
    for start in range(0, len(samples) - window + 1, window):
        part = samples[start : start + window].astype(np.float64)
        power = part.var() / 32768**2
        found.append(
            Report(
                level_dbov=10 * np.log10(power) if power > 1e-10 else -100.0,
                offset=part.mean(),
                peak=int(np.abs(part).max()),
                clipped=sum(length for end, length in clipped_ends if start <= end < start + window),
            )
        )
    return found


def _ends_of_clipped_plateaus(samples: NDArray[np.int16]) -> list[tuple[int, int]]:
    """Where the sample after each clipped plateau lies, and the plateau's length. The first sample follows a zero."""
    heights = np.concatenate([[0], samples.astype(int).clip(-TOP, TOP)])
    runs = [(int(height), len(list(run))) for height, run in groupby(heights)]
    found, end = [], 0
    for (before, _), (height, length), (after, _) in zip(runs, runs[1:], runs[2:], strict=False):
        end += length
        shoulders = max(np.sign(height) * before, np.sign(height) * after) < 0.75 * abs(height)
        at_the_top = abs(height) == TOP and length >= 3
        flat = abs(height) >= FLAT and length >= 4 and shoulders
        if at_the_top or flat:
            found.append((end + runs[0][1] - 1, length))
    return found
