"""Whom others are called for: the leg of a caller, or of a customer who was called back, and what belongs to it."""

from dataclasses import dataclass

from voiceedge.clock import Clock
from voiceedge.context.events.call import Journal
from voiceedge.edge.call.inbox import Inbox
from voiceedge.edge.call.leg_record import LegBook
from voiceedge.edge.call.lines import Lines
from voiceedge.edge.call.recordings import CallRecordings
from voiceedge.edge.call.sound import Sound
from voiceedge.edge.call.transcript import Transcripts
from voiceedge.flow.call import CallFacts
from voiceedge.sip.leg import Leg
from voiceedge.switch.numbers import is_anonymous


@dataclass(frozen=True, slots=True)
class Caller:
    leg: Leg
    facts: CallFacts
    inbox: Inbox
    journal: Journal
    legs: LegBook
    clock: Clock
    lines: Lines
    recordings: CallRecordings
    sound: Sound
    transcripts: Transcripts | None = None  # where talks are written down
    customer: str | None = None  # a hash that is the same for the same number
    hops: int | None = None  # the Max-Forwards with which the call came
    is_hidden: bool = False  # they asked that their number be shown to nobody

    @property
    def shown(self) -> str:
        """The number that phones of agents show; empty where it is withheld."""
        return "" if self.is_hidden or is_anonymous(self.facts.caller) else self.facts.caller
