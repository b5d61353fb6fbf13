"""Test signals: keys (ITU-T Q.23), the tones of a plan (E.180), and a sweep, to be played down a line and recorded."""

from collections.abc import Callable, Iterator
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from voiceedge.audio.tones import FOREVER_MS, Segment, Tone, TonePlan

Pcm = NDArray[np.int16]
Samples = NDArray[np.float64]

RATE = 8000
LEVEL_DBOV = -16.0
KEYS = "123A456B789C*0#D"
_ROWS_HZ = (697.0, 770.0, 852.0, 941.0)
_COLUMNS_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
_KEY_MS, _KEY_PAUSE_MS = 80, 120
_TONE_S, _TONE_PAUSE_S = 7.0, 2.0
_SWEEP_S, _SWEEP_HZ = 10.0, (50.0, 3950.0)
_AROUND_S = 0.5


def keys(_plan: TonePlan) -> Pcm:
    """All sixteen, in the order of the keypad."""
    parts = []
    for number, _ in enumerate(KEYS):
        parts += [_sines((_ROWS_HZ[number // 4], _COLUMNS_HZ[number % 4]), _KEY_MS), _quiet(_KEY_PAUSE_MS)]
    return _signal(parts)


def tones(plan: TonePlan) -> Pcm:
    """Each tone of the plan for some seconds, in its order."""
    parts = []
    for tone in plan.tones:
        parts += [np.concatenate(list(_cadence(tone))), _quiet(_TONE_PAUSE_S * 1000)]
    return _signal(parts)


def sweep(_plan: TonePlan) -> Pcm:
    """From below the telephone band to above it, as many octaves a second all the way."""
    octaves = np.log2(_SWEEP_HZ[1] / _SWEEP_HZ[0])
    hz = _SWEEP_HZ[0] * 2 ** (octaves * np.linspace(0, 1, round(_SWEEP_S * RATE), endpoint=False))
    return _signal([np.sin(2 * np.pi * np.cumsum(hz) / RATE)])


SIGNALS: dict[str, Callable[[TonePlan], Pcm]] = {"keys": keys, "tones": tones, "sweep": sweep}


def _cadence(tone: Tone) -> Iterator[Samples]:
    """The tone from its beginning, for about _TONE_S, ending with a whole segment."""
    played_ms = 0.0
    for segment in cycle(tone.segments):
        if played_ms >= _TONE_S * 1000:
            return
        ms = _nominal_ms(segment, _TONE_S * 1000 - played_ms)
        yield _sines((sum(segment.hz) / 2,) if segment.steady else segment.hz, ms)
        played_ms += ms


def _nominal_ms(segment: Segment, longest_ms: float) -> float:
    if segment.max_ms == FOREVER_MS:
        return longest_ms
    return (segment.min_ms + segment.max_ms) / 2


def _sines(hz: tuple[float, ...], ms: float) -> Samples:
    """Together as loud as one."""
    time_s = np.arange(round(ms * RATE / 1000)) / RATE
    together = np.zeros(len(time_s))
    for each in hz:
        together += np.sin(2 * np.pi * each * time_s) / np.sqrt(len(hz))
    return together


def _quiet(ms: float) -> Samples:
    return np.zeros(round(ms * RATE / 1000))


def _signal(parts: list[Samples]) -> Pcm:
    around = _quiet(_AROUND_S * 1000)
    scale = 32768 * np.sqrt(2) * 10 ** (LEVEL_DBOV / 20)
    return np.asarray(np.rint(np.concatenate([around, *parts, around]) * scale), np.int16)
