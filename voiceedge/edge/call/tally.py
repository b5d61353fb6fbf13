"""What a worker counts of its calls since it began, for the metrics; a successor begins at zero."""

from collections import Counter
from dataclasses import dataclass, field

from voiceedge.context.events.call import LegEnded

SET_UP_MS = (1, 2, 3, 5, 10, 20, 50, 100, 250, 1000)  # upper edges of the histogram's buckets


@dataclass
class Tally:
    """Plain numbers, added to in the event loop. `set_up` has one more place than SET_UP_MS: for all that is slower."""

    taken: int = 0
    answered: int = 0
    ended: Counter[str] = field(default_factory=Counter)  # by cause
    set_up: list[int] = field(default_factory=lambda: [0] * (len(SET_UP_MS) + 1))
    set_up_ms: float = 0.0
    legs: Counter[str] = field(default_factory=Counter)  # by role
    packets_in: int = 0
    lost_in: int = 0
    measured: int = 0  # legs with an opinion score …
    mos: float = 0.0  # … and the sum of them
    longest_gap_ms: float = 0.0  # between two frames of audio
    samples_lost: int = 0

    def answer(self, set_up_ms: float) -> None:
        self.answered += 1
        self.set_up_ms += set_up_ms
        slot = next((place for place, edge in enumerate(SET_UP_MS) if set_up_ms <= edge), len(SET_UP_MS))
        self.set_up[slot] += 1

    def hear(self, longest_gap_ms: float, samples_lost: int) -> None:
        """What a call's audio was like."""
        self.longest_gap_ms = max(self.longest_gap_ms, longest_gap_ms)
        self.samples_lost += samples_lost

    def leg(self, leg: LegEnded) -> None:
        self.legs[leg.role] += 1
        self.packets_in += leg.packets_in
        self.lost_in += leg.lost_in
        if leg.mos is not None:
            self.measured += 1
            self.mos += leg.mos
