"""What is heard while somebody waits: a telephone ringing, a soft pattern of tones, the beep before a message."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RATE = 8000
Pcm = NDArray[np.int16]

_RINGING_HZ = (440.0, 480.0)  # Korea and North America (ITU-T E.180)
_RINGING_ON_S, _RINGING_OFF_S = 1.0, 2.0
_RINGING_PEAK = 0.12
_BEEP_HZ, _BEEP_S, _BEEP_PEAK = 1000.0, 0.4, 0.25
_EDGE_S = 0.01

# Broken chords in the telephone's band, a note every half second: C, A minor, F, G, by their steps above middle C.
_CHORDS = ((0, 4, 7, 12, 7, 4), (-3, 0, 4, 9, 4, 0), (-7, 0, 5, 9, 5, 0), (-5, -1, 2, 7, 2, -1))
_MIDDLE_C_HZ = 261.63
_NOTE_S, _RINGS_ON_S = 0.5, 1.6
_MUSIC_PEAK = 0.10


@lru_cache(maxsize=1)
def ringing() -> Pcm:
    """One cycle, to be repeated."""
    tone = sum(_sine(hertz, _RINGING_ON_S) for hertz in _RINGING_HZ) * (_RINGING_PEAK / len(_RINGING_HZ))
    return _pcm(np.concatenate([_softened(np.asarray(tone)), np.zeros(int(_RINGING_OFF_S * RATE))]))


@lru_cache(maxsize=1)
def music() -> Pcm:
    """Twelve seconds, to be repeated: their end fades into their beginning."""
    notes = [step for chord in _CHORDS for step in chord]
    length = int(len(notes) * _NOTE_S * RATE)
    out = np.zeros(length)
    for index, step in enumerate(notes):
        note = _note(_MIDDLE_C_HZ * 2 ** (step / 12))
        where = (np.arange(len(note)) + int(index * _NOTE_S * RATE)) % length
        out[where] += note
    return _pcm(out * _MUSIC_PEAK / np.abs(out).max())


@lru_cache(maxsize=1)
def beep() -> Pcm:
    return _pcm(_softened(_sine(_BEEP_HZ, _BEEP_S) * _BEEP_PEAK))


def _note(hertz: float) -> NDArray[np.float64]:
    """As of a music box: a soft beginning, an overtone, and a long end."""
    seconds = np.arange(int(_RINGS_ON_S * RATE)) / RATE
    shape = np.minimum(1.0, seconds / 0.03) * np.exp(-3.0 * seconds) * np.minimum(1.0, (_RINGS_ON_S - seconds) / 0.1)
    return np.asarray((np.sin(2 * np.pi * hertz * seconds) + 0.3 * np.sin(4 * np.pi * hertz * seconds)) * shape)


def _sine(hertz: float, seconds: float) -> NDArray[np.float64]:
    return np.asarray(np.sin(2 * np.pi * hertz / RATE * np.arange(int(seconds * RATE))))


def _softened(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    edge = int(_EDGE_S * RATE)
    sound[:edge] *= np.linspace(0, 1, edge)
    sound[-edge:] *= np.linspace(1, 0, edge)
    return sound


def _pcm(sound: NDArray[np.float64]) -> Pcm:
    made = (sound * 32767).round().astype(np.int16)
    made.setflags(write=False)
    return made
