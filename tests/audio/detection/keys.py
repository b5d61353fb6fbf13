"""Keys in band: how many are missed, wrong or told twice on each line, and how soon a press is told."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from blocks import load
from detection.line import LINES, Line
from detection.recordings import SPEECH_DBOV
from reference.dtmf import KEYS, tone

from voiceedge.speech.telephone import LINE_RATE_HZ

ffi, lib = load("dtmf")
FRAME = LINE_RATE_HZ // 50
TONE_MS = 80
SPACING_MS = 250
OFF = 0.015  # Q.24: a key whose frequencies are this wrong is still one


@dataclass
class Tally:
    pressed: int = 0
    missed: int = 0
    false: int = 0  # wrong, or once more
    told_ms: list[float] = field(default_factory=list)  # after a press began

    def row(self, line: str) -> str:
        half, most = np.percentile(self.told_ms, [50, 95]) if self.told_ms else (0.0, 0.0)
        return f"| {line} | {self.pressed} | {self.missed} | {self.false} | {half:.0f} | {most:.0f} |"


def measure(line: Line, rounds: int = 10) -> Tally:
    """All sixteen keys at the level of speech, each time with another twist and other frequencies."""
    tally = Tally()
    for seed in range(rounds):
        rng = np.random.default_rng(seed)
        order = "".join(rng.permutation(list(KEYS)))
        clean = np.zeros(SPACING_MS * (len(order) + 1) * LINE_RATE_HZ // 1000)
        begins_ms = [SPACING_MS * (number + 1) - float(rng.uniform(0, 40)) for number in range(len(order))]
        for key, begin_ms in zip(order, begins_ms, strict=True):
            twist_db = rng.uniform(-8, 4)
            low_dbov = SPEECH_DBOV - 10 * np.log10(1 + 10 ** (twist_db / 10))
            off = tuple(rng.uniform(-OFF, OFF, 2))
            at = int(begin_ms * LINE_RATE_HZ / 1000)
            pressed = 32768 * tone(key, TONE_MS, LINE_RATE_HZ, (low_dbov, low_dbov + twist_db), off)
            clean[at : at + len(pressed)] = pressed[: len(clean) - at]
        _count(tally, list(zip(order, begins_ms, strict=True)), line.carry(clean, seed))
    return tally


def _count(tally: Tally, presses: list[tuple[str, float]], pcm: np.ndarray) -> None:
    told = list(_told(pcm))
    tally.pressed += len(presses)
    for key, begin_ms in presses:
        found = next((one for one in told if one[0] == key and 0 <= one[1] - begin_ms < SPACING_MS), None)
        if found is None:
            tally.missed += 1
        else:
            told.remove(found)
            tally.told_ms.append(found[1] - begin_ms)
    tally.false += len(told)


def _told(pcm: np.ndarray) -> Iterator[tuple[str, float]]:
    """Each key that goes down, and how much of the call had arrived when it was told."""
    receiver, changes = ffi.new("struct ve_dtmf *"), ffi.new("struct ve_key_change[2]")
    lib.ve_dtmf_open(receiver, LINE_RATE_HZ, ffi.new("struct ve_dtmf_settings *", [-45, 8, 8]))
    for start in range(0, len(pcm) - FRAME + 1, FRAME):
        frame = ffi.from_buffer("int16_t[]", pcm[start : start + FRAME].copy())
        for change in changes[0 : lib.ve_dtmf_put(receiver, frame, FRAME, changes, 2)]:
            if change.down:
                yield change.key.decode(), (start + FRAME) * 1000 / LINE_RATE_HZ


def table() -> Iterator[str]:
    yield "| line | presses | missed | false | told after, ms (median) | 95 % |"
    yield "|---|---|---|---|---|---|"
    for line in LINES:
        yield measure(line).row(line.name)
