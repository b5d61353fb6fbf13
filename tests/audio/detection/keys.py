"""Keys in band: how many are missed, wrong or told twice on each line, and how soon a press is told."""

from dataclasses import dataclass, field

import numpy as np
from detection.hearing import hear
from detection.line import Line
from detection.recordings import SPEECH_DBOV
from reference.dtmf import KEYS, tone

from voiceedge.audio.events import KeyDown
from voiceedge.speech.telephone import LINE_RATE_HZ

BEFORE_MS = 3000  # of a prompt, if there is one
SPACING_MS = 250
OFF = 0.015  # Q.24: a key whose frequencies are this wrong is still one


@dataclass
class Tally:
    pressed: int = 0
    missed: int = 0
    false: int = 0  # wrong, or once more
    told_ms: list[float] = field(default_factory=list)  # after a press began


def measure(line: Line, rounds: int = 10, tone_ms: float = 80) -> Tally:
    """All sixteen keys at the level of speech, each time with another twist and other frequencies."""
    tally = Tally()
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        order = "".join(rng.permutation(list(KEYS)))
        clean = np.zeros((BEFORE_MS + SPACING_MS * (len(order) + 1)) * LINE_RATE_HZ // 1000)
        begins_ms = [BEFORE_MS + SPACING_MS * number + float(rng.uniform(0, 40)) for number in range(len(order))]
        for key, begin_ms in zip(order, begins_ms, strict=True):
            twist_db = rng.uniform(-8, 4)
            low_dbov = SPEECH_DBOV - 10 * np.log10(1 + 10 ** (twist_db / 10))
            off = tuple(rng.uniform(-OFF, OFF, 2))
            at = int(begin_ms * LINE_RATE_HZ / 1000)
            pressed = 32768 * tone(key, tone_ms, LINE_RATE_HZ, (low_dbov, low_dbov + twist_db), off)
            clean[at : at + len(pressed)] = pressed[: len(clean) - at]
        told = [
            (noticed.event.key, noticed.at_ms)
            for noticed in hear(line.carry(clean, seed), prompt=line.prompt(len(clean)))
            if isinstance(noticed.event, KeyDown)
        ]
        _count(tally, list(zip(order, begins_ms, strict=True)), told)
    return tally


def _count(tally: Tally, presses: list[tuple[str, float]], told: list[tuple[str, float]]) -> None:
    """Both are keys with their times; a press is told within the time to the next."""
    tally.pressed += len(presses)
    for key, begin_ms in presses:
        found = next((one for one in told if one[0] == key and 0 <= one[1] - begin_ms < SPACING_MS), None)
        if found is None:
            tally.missed += 1
        else:
            told.remove(found)
            tally.told_ms.append(found[1] - begin_ms)
    tally.false += len(told)
