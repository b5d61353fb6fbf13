"""What all calls of a worker share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from voiceedge.audio.recording import Recorder
from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.context.events.call import Journal
from voiceedge.edge.call.ears import WorkerEars
from voiceedge.edge.call.known_legs import KnownLegs
from voiceedge.edge.call.leg_record import LegBook
from voiceedge.edge.call.lines import Lines
from voiceedge.edge.call.queue_desk import QueueDesk
from voiceedge.edge.call.tally import Tally
from voiceedge.edge.call.tickets import TicketOffice
from voiceedge.edge.call.transcript import Transcripts
from voiceedge.edge.call.voice import WorkerVoice
from voiceedge.flow.book import FlowBook
from voiceedge.flow.look_up import LookUps
from voiceedge.switch.plan import Plan
from voiceedge.switch.routing import Router


@dataclass(frozen=True)
class Surroundings:
    config: Config
    plan: Plan
    router: Router
    clock: Clock
    book: FlowBook
    ears: WorkerEars
    voice: WorkerVoice
    recorder: Recorder
    lines: Lines
    queues: QueueDesk
    transcripts: Transcripts | None
    tickets: TicketOffice
    look_ups: LookUps
    journal_of: Callable[[str], Journal]
    customer_of: Callable[[str], str | None]
    tally: Tally = field(default_factory=Tally)
    known_legs: KnownLegs = field(default_factory=KnownLegs)

    def legs_of(self, conversation: str) -> LegBook:
        return LegBook(conversation, self.journal_of(conversation), self.clock, self.tally, self.known_legs)
