"""A recording with pauses, a frame at a time: what the file must hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EDGE_MS = 5


@dataclass(frozen=True)
class Put:
    """What one tick brought while the recording was paused or not: an array of two directions × samples."""

    frames: NDArray[np.int16]
    paused: bool


def recording(puts: Sequence[Put], rate: int, settle_ms: int = 0) -> NDArray[np.int16]:
    """Outside pauses the input; where one begins, its last sample fades away, and where it ends, the input fades in."""
    edge, settle = EDGE_MS * rate // 1000, settle_ms * rate // 1000
    quiet: list[bool] = []
    until = 0
    for put in puts:
        end = len(quiet) + put.frames.shape[1]
        until = end + settle if put.paused else until
        quiet += [position < until for position in range(len(quiet), end)]

    frames = np.concatenate([np.empty((2, 0), np.int16), *(put.frames for put in puts)], axis=1).astype(int)
    gain, held = edge, np.zeros(2, int)  # gain in steps of one over `edge`
    for position, silent in enumerate(quiet):
        held = held if silent else frames[:, position].copy()
        frames[:, position] = np.fix(held * gain / edge)
        gain = max(gain - 1, 0) if silent else min(gain + 1, edge)
    return frames.astype(np.int16)
