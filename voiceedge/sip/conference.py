"""Bridges between legs: their slots of PJSIP's conference bridge joined both ways, however often they are made anew."""

from voiceedge.sip import library


class Junction:
    """One leg's place in the conference bridge and whom it is bridged with, in the pump.

    Each leg's channel stays joined to its own slot: it hears this leg's other side alone, and is heard by it alone.

        customer ⇄ slot ⇄ slot ⇄ agent
                    ⇅       ⇅
                 channel  channel
    """

    def __init__(self) -> None:
        self.slot: int | None = None  # None: no audio is agreed
        self.others: set[Junction] = set()

    def add(self, other: "Junction") -> None:
        self.others.add(other)
        other.others.add(self)
        self._join(other)

    def remove(self, other: "Junction") -> None:
        if other in self.others:
            self._part(other)
            self.others.discard(other)
            other.others.discard(self)

    def moved(self, slot: int | None) -> None:
        """PJSIP has (perhaps) made the audio stream anew, or taken it away, and all that was joined to it."""
        self.slot = slot
        for other in self.others:
            self._join(other)

    def hand_over(self, heir: "Junction") -> None:
        """All bridges to another leg."""
        for other in tuple(self.others):
            self.remove(other)
            heir.add(other)

    def leave(self) -> None:
        """The leg has ended, and PJSIP takes its slot away."""
        self.slot = None
        for other in tuple(self.others):
            self.remove(other)

    def _join(self, other: "Junction") -> None:
        if self.slot is not None and other.slot is not None:
            library.join_slots(self.slot, other.slot)

    def _part(self, other: "Junction") -> None:
        if self.slot is not None and other.slot is not None:
            library.part_slots(self.slot, other.slot)
