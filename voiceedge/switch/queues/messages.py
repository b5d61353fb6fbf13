"""What workers, desks and commands say to the queues over control.sock, and what they are answered.

    queue_join         Join           → Joined
    queue_wait         Wait           → View, at once where `seen` is not how things are, else on a change or after 25 s
    queue_offer_result OfferResult    → Said   what came of ringing an agent whom a View offered
    queue_talk_over    TalkOver       → Said
    queue_leave        Leave          → Said
    queue_call_back    CallBack       → Said   the caller hangs up and is called instead; the place stays
    queue_customer     CustomerResult → Said   a call-back could not reach its customer
    agent_login        AgentLogin     → AgentView
    agent_state        AgentChange    → AgentView
    agent_dialled      AgentDialled   → AgentView   *11, *11CODE, *12, *13, *13REASON, *14 from a registered phone
    phones_busy        PhonesBusy     → Noted       on every change, and each RENEW_S while there are any
    agents             -              → {"agents": [AgentView]}
    queues             -              → {"queues": [QueueView]}
    queue_show         QueueAsked     → QueueDetails

A worker keeps one `queue_wait` open for as long as it has the ticket, while the agent rings and while they talk too:
that is how control knows that the call lives. Nobody asking for 40 s, or 5 s after the connection of the last who did
has broken, releases ticket and agent. After any LinkError a worker asks again with the same ticket: the place is kept.

The rhythm of a worker: join; wait until `state` is OFFERED; ring all of `agents` at once; say for each that did not
answer how it failed and for the one that did `answered` (the others are free again without a word); keep waiting;
`queue_talk_over` when they have parted. A View that is not OFFERED any more while phones ring: stop ringing. Any state
of ENDS: the ticket is over, and the flow goes on with that.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from voiceedge.context.cloudevents import CONVERSATION_ID

LONGEST = 200
RENEW_S = 10.0
Text = Annotated[str, Field(max_length=LONGEST)]


class TicketState(StrEnum):
    WAITING = "waiting"
    OFFERED = "offered"  # to the agents of the view
    TALKING = "talking"
    ANSWERED = "answered"  # talked, and it is over
    ABANDONED = "abandoned"  # the caller hung up while waiting
    LEFT = "left"  # the flow took the caller out of the queue
    FULL = "full"  # as many as may wait were waiting
    CLOSED = "closed"  # outside the queue's hours
    NO_AGENT = "no_agent"  # nobody is logged in
    TIMEOUT = "timeout"  # waited as long as one may
    NOT_REACHED = "not_reached"  # a call-back nobody answered, however often
    LOST = "lost"  # its worker died, or no such ticket is known: the caller may join again


LIVE = frozenset({TicketState.WAITING, TicketState.OFFERED, TicketState.TALKING})
ENDS = frozenset(TicketState) - LIVE


class AgentState(StrEnum):
    LOGGED_OUT = "logged_out"
    AVAILABLE = "available"
    BREAK = "break"
    RINGING = "ringing"
    TALKING = "talking"
    AFTER_CALL = "after_call"


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a link's request carries its name and number too


class Join(Message):
    """`call` is the SIP Call-ID, cut where it is too long; asked again for the same call, the ticket is the same.

    `priority` 1 (first) to 9; None: the queue's own. `skills` are needed beside the queue's: name to level 1..5.
    """

    queue: Text
    call: Annotated[str, AfterValidator(lambda text: text[:LONGEST])]
    conversation: str = Field(pattern=CONVERSATION_ID)
    caller_hash: Text | None = None
    priority: int | None = Field(None, ge=1, le=9)
    skills: dict[Text, int] = Field(default_factory=dict, max_length=20)
    language: str = Field("ko", max_length=16)


class Joined(Message):
    """`state` is WAITING, or why there is no place: FULL, CLOSED or NO_AGENT."""

    ticket: str
    state: TicketState


class Wait(Message):
    ticket: Text
    seen: Text = ""  # `View.seen` of the last answer; "": answer at once


class Offered(Message):
    """An agent whose phone is to ring: `uri` for `ring_s` seconds."""

    name: str
    title: str
    uri: str
    ring_s: float
    after_call_s: float


class View(Message):
    """How a ticket stands. `position` counts from 1 (0 when no longer waiting); `expected_wait_s` None: unknown."""

    ticket: str
    queue: str
    state: TicketState
    seen: str
    position: int = 0
    waiting: int = 0
    expected_wait_s: float | None = None
    agents: tuple[Offered, ...] = ()  # those whose phones ring; the one who talks
    whisper: str = ""  # said to the agent before the bridge
    record: bool = False
    may_call_back: bool = False
    announce_every_s: float = 30.0


class OfferResult(Message):
    ticket: Text
    agent: Text
    # busy: on another call, which is no miss; no_line: the worker had none to ring by
    result: Literal["answered", "busy", "no_answer", "failed", "no_line"]


class TalkOver(Message):
    """`back_to_queue`: the agent's leg failed and the caller's lives; it is served before all others."""

    ticket: Text
    agent: Text
    back_to_queue: bool = False


class Leave(Message):
    ticket: Text
    why: Literal["abandoned", "left"] = "abandoned"


class CallBack(Message):
    """`number` is dialled when an agent is free; it is forgotten when the call-back is over."""

    ticket: Text
    number: str = Field(pattern=r"^\+?\d{3,20}$")


class CustomerResult(Message):
    ticket: Text
    result: Literal["busy", "no_answer", "failed", "machine"]


class Said(Message):
    """How the ticket stands now. An `answered` that came too late brings another state than TALKING: let them go."""

    ticket: str
    state: TicketState


class AgentLogin(Message):
    """`code` as in the plan. `phone`: where they sit today, a registered phone's name; None: their own."""

    code: str = Field(pattern=r"^\d{1,12}$")
    phone: Text | None = None


class AgentChange(Message):
    """During a talk AVAILABLE, BREAK and LOGGED_OUT are kept for when it is over; AVAILABLE ends after-call work."""

    agent: Text
    state: Literal[AgentState.AVAILABLE, AgentState.BREAK, AgentState.LOGGED_OUT]
    reason: Text = ""


class AgentDialled(Message):
    """`phone` is the agent whose registered phone it is, as the front has found by digest."""

    phone: Text
    keys: str = Field(pattern=r"^\*1[1-4]\d{0,12}$")


class PhonesBusy(Message):
    """All agents' phones that are on a call at a worker, by their SIP addresses; in place of what it said before."""

    worker: Text
    phones: tuple[Text, ...] = Field((), max_length=1_000)


class Noted(Message):
    """Nothing is to be told."""


class AgentView(Message):
    name: str
    title: str
    state: AgentState
    reason: str = ""  # of a break
    since_s: float  # how long it is in this state
    on_a_call: bool = False  # their phone is, be it for a queue or not
    then: str = ""  # the state that follows the talk, where one was asked for
    queues: tuple[str, ...] = ()
    phone: str = ""
    queue: str | None = None  # whose caller rings or talks
    handled: int = 0  # since midnight, as all of these
    missed: int = 0
    talk_s: float = 0.0
    after_call_s: float = 0.0
    logged_in_s: float = 0.0
    occupancy: float | None = None  # of the time neither logged out nor on break, the part with a caller or after one


class Figures(Message):
    """Of the callers whose waiting ended in a span of time. `service_level` None: there were none."""

    handled: int = 0
    abandoned: int = 0
    overflowed: int = 0  # full, closed, no agent, waited too long
    called_back: int = 0  # of those handled
    service_level: float | None = None  # part of handled and abandoned that was answered within service_level_s
    wait_s: float | None = None  # mean, of those handled
    longest_wait_s: float = 0.0
    talk_s: float | None = None  # mean


class QueueView(Message):
    name: str
    title: str
    open: bool
    waiting: int
    call_backs: int  # of those waiting
    longest_wait_s: float
    talking: int
    agents: dict[AgentState, int]
    expected_wait_s: float | None  # of somebody who came now
    today: Figures
    last_15_min: Figures
    last_hour: Figures


class QueueAsked(Message):
    queue: Text


class Place(Message):
    """One of those in the queue; who it is nobody needs to know here."""

    ticket: str
    state: TicketState
    waited_s: float
    priority: int
    call_back: bool
    agents: tuple[str, ...]


class QueueDetails(Message):
    queue: QueueView
    places: tuple[Place, ...]  # in order; at most 200
    agents: tuple[AgentView, ...]


class Target(Message):
    """Somebody to dial for a call-back."""

    name: str
    uri: str
    ring_s: float


class CallBackOrder(Message):
    """`call_back` to a worker: dial, join the two, and say how it goes by the requests above with this ticket.

    The agent first: ring `agent`, tell them that a call-back follows, dial `number`. The customer first: the other way
    round, with music while the agent's phone rings. `queue_offer_result` tells of the agent ("answered" once
    both talk), `queue_customer` of a customer who could not be reached, who is dialled once an order at most.
    """

    ticket: str
    queue: str
    conversation: str
    language: str
    first: Literal["agent", "customer"]
    agent: Target
    number: str
    attempt: int
    whisper: str
    record: bool
