"""Synthesised speech as a telephone line carries it: 8 kHz, one level, no silence around it."""

import numpy as np
import soxr
from numpy.typing import NDArray

from voiceedge.errors import PromptError

RATE = 8000
LEVEL_DBOV = -20.0  # root mean square of the active part, as ITU-T P.56 measures speech
PEAK = 0.89  # -1 dBov: nothing clips
LEAD_MS, TAIL_MS = 50, 100
_FRAME = RATE // 100  # 10 ms
_ACTIVE_DB = -35.0  # frames this far below the loudest are silence
_SILENCE = 1e-8  # mean square: -80 dBov

Pcm = NDArray[np.int16]


def to_line(audio: NDArray[np.float32], rate: int) -> Pcm:
    """Resampled to RATE, trimmed at both ends, active speech at LEVEL_DBOV. Raises PromptError on silence."""
    narrow = np.asarray(soxr.resample(audio, rate, RATE, quality="HQ"), np.float32)
    frames = narrow[: len(narrow) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    loudest = float(power.max(initial=0.0))
    if loudest < _SILENCE:
        raise PromptError("The synthesiser returned silence; reword the prompt or record it.")
    active = np.flatnonzero(power > loudest * 10 ** (_ACTIVE_DB / 10))
    first = max(0, int(active[0]) * _FRAME - RATE * LEAD_MS // 1000)
    last = (int(active[-1]) + 1) * _FRAME + RATE * TAIL_MS // 1000
    speech = narrow[first:last]
    gain = min(10 ** (LEVEL_DBOV / 20) / float(np.sqrt(power[active].mean())), PEAK / float(np.abs(speech).max()))
    return (speech * gain * 32767).round().astype(np.int16)
