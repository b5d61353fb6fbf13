"""A push-button receiver as one would first write it down: correlate with eight tones, decide (ITU-T Q.23, Q.24)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS = np.array([697.0, 770.0, 852.0, 941.0])
COLUMNS = np.array([1209.0, 1336.0, 1477.0, 1633.0])
TONES = np.concatenate([ROWS, COLUMNS])
KEYS = "123A456B789C*0#D"

STEP_S = 0.005
DECIDING = 6  # steps: 35 ms
AROUND = 8  # in which a tone is looked for that begins or ends
RELEASE = 6
SHARE = 0.86
TOLERANCE_HZ = 0.015 * TONES + 4
STEADY_DB, PRESENT_DB = 5.0, 10.0


@dataclass(frozen=True)
class Change:
    key: str
    down: bool
    at: float  # samples; where the key began or ended
    level_dbov: float
    twist_db: float


def tone(key: str, ms: float, rate: int, dbov: tuple[float, float], off: tuple[float, float] = (0, 0)) -> NDArray:
    """The low and the high tone of a key, 1.0 being full scale; `off`: each frequency's error, as a share of it."""
    row, column = divmod(KEYS.index(key), 4)
    t = np.arange(round(ms * rate / 1000)) / rate
    low = np.sin(2 * np.pi * ROWS[row] * (1 + off[0]) * t + 0.4)
    high = np.sin(2 * np.pi * COLUMNS[column] * (1 + off[1]) * t + 1.7)
    return np.sqrt(2) * (10 ** (dbov[0] / 20) * low + 10 ** (dbov[1] / 20) * high)


def correlations(pcm: NDArray[np.int16], rate: int) -> tuple[NDArray, NDArray]:
    """Every 5 ms: amplitude and phase of each tone in the last 10 ms, Hann-weighted, and the mean square of all."""
    hop = int(rate * STEP_S)
    window = np.hanning(2 * hop + 1)[:-1] / hop  # adds up to one
    padded = np.concatenate([np.zeros(hop), pcm / 32768.0])
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop]
    from_middle = np.arange(-hop, hop)
    return 2 * (frames * window) @ np.exp(-2j * np.pi * np.outer(from_middle, TONES) / rate), frames**2 @ window


def sine(phasors: NDArray, tone: int) -> tuple[float, float]:
    """How many Hz beside the tone a steady sine lies, and its power."""
    turn = np.angle(np.vdot(phasors[:-1], phasors[1:]))
    beside = np.angle(np.exp(1j * (turn - 2 * np.pi * TONES[tone] * STEP_S))) / (2 * np.pi * STEP_S)
    x = beside * 2 * STEP_S
    hann = np.sinc(x) / (1 - x**2)  # what the window lets through there
    amplitude = np.abs(np.mean(phasors * np.exp(-1j * turn * np.arange(len(phasors))))) / hann
    return beside, amplitude**2 / 2


def decide(
    phasors: NDArray, energy: NDArray, minimum_dbov: float, twists_db: tuple[float, float]
) -> tuple[int, int, float, float] | None:
    """Row, column, level and twist of the key that six steps are, or None. Limits are met with 1 dB to spare."""
    low, high = int(np.argmax(np.abs(phasors[-1, :4]))), 4 + int(np.argmax(np.abs(phasors[-1, 4:])))
    power = []
    for tone_ in (low, high):
        size = np.abs(phasors[:, tone_])
        if size.min() <= size.max() * 10 ** (-STEADY_DB / 20):
            return None
        beside, one = sine(phasors[:, tone_], tone_)
        if abs(beside) > TOLERANCE_HZ[tone_] or 10 * np.log10(one) < minimum_dbov - 1:
            return None
        power.append(one)
    twist = 10 * np.log10(power[1] / power[0])
    if not -twists_db[0] - 1 <= twist <= twists_db[1] + 1 or sum(power) < SHARE * energy.mean():
        return None
    return low, high, 10 * np.log10(sum(power)), twist


def receive(
    pcm: NDArray[np.int16], rate: int, minimum_dbov: float = -45, twists_db: tuple[float, float] = (8, 8)
) -> list[Change]:
    phasors, energy = correlations(pcm, rate)
    phasors = np.concatenate([np.zeros((AROUND, 8)), phasors])
    hop = int(rate * STEP_S)
    changes: list[Change] = []
    held: tuple[int, int, float, float] | None = None
    full = np.ones(2)
    missing = 0
    for step in range(AROUND, len(phasors)):
        now = (step - AROUND + 1) * hop  # samples heard
        key = decide(
            phasors[step - DECIDING + 1 : step + 1],
            energy[max(0, step - AROUND - DECIDING + 1) : step - AROUND + 1],
            minimum_dbov,
            twists_db,
        )
        if held:
            sizes = np.abs(phasors[step - AROUND + 1 : step + 1, list(held[:2])])
            left = np.minimum(1, (sizes / full).min(axis=1))
            there = (sizes[-1] ** 2).sum() / 2 >= 0.5 * energy[step - AROUND]
            missing = 0 if there and left[-1] ** 2 >= 10 ** (-PRESENT_DB / 10) else missing + 1
            if missing == RELEASE or (key and key[:2] != held[:2]):
                changes.append(_change(held, down=False, at=now - (AROUND - 0.5 - left[1:].sum()) * hop))
                held = None
        if key:
            inner = np.abs(phasors[step - DECIDING + 2 : step, list(key[:2])])
            full = np.sqrt((inner**2).mean(axis=0))
            if not held:
                held, missing = key, 0
                sizes = np.abs(phasors[step - AROUND + 1 : step + 1, list(key[:2])])
                changes.append(
                    _change(held, down=True, at=now - (0.5 + np.minimum(1, (sizes / full).min(axis=1)).sum()) * hop)
                )
    return changes


def _change(held: tuple[int, int, float, float], *, down: bool, at: float) -> Change:
    low, high, level, twist = held
    return Change(KEYS[4 * low + high - 4], down, max(0.0, at), level, twist)
