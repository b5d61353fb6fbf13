"""A caller's ticket and an agent's state as they are kept, and how one becomes the next; times are UTC milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from voiceedge.switch.queues.messages import AgentState, TicketState

REST_MS = 5_000  # until somebody whose phone did not ring or answer is rung again
RETURNED_MS = 86_400_000  # whoever comes back to the queue is before all who are there
MISSED = "missed"  # the reason of a break that nobody asked for
BACK_FIRST = 0  # their priority


@dataclass(frozen=True, slots=True)
class Ticket:
    """A place in a queue. A closed one stays for a while, for the figures."""

    id: str
    queue: str
    node: str  # whose workers have the call
    call: str
    conversation: str
    joined_ms: int
    rank_ms: int
    changed_ms: int  # in this state since
    customer: str | None = None
    language: str = "ko"
    priority: int = 5
    skills: Mapping[str, int] = field(default_factory=dict)
    state: TicketState = TicketState.WAITING
    place: int = 0  # on joining: how many were waiting, with this one
    staffed: int = 0  # agents at work for the queue when it was answered
    offers: int = 0
    agent: str | None = None
    answered_ms: int | None = None
    over_ms: int | None = None
    call_back: bool = False
    number: str | None = None  # to call back, in the clear while that lasts
    attempts: int = 0
    not_before_ms: int = 0

    @property
    def live(self) -> bool:
        return self.over_ms is None

    @property
    def held(self) -> bool:
        """Whether a worker has its call, or should."""
        return self.live and not (self.call_back and self.state is TicketState.WAITING)

    @property
    def order(self) -> tuple[int, str]:
        return self.rank_ms, self.id

    def offered(self, now: int) -> Self:
        return self.became(TicketState.OFFERED, now, offers=self.offers + 1)

    def answered(self, agent: str, staffed: int, now: int) -> Self:
        first = self.answered_ms if self.answered_ms is not None else now
        return self.became(TicketState.TALKING, now, agent=agent, staffed=staffed, answered_ms=first)

    def waiting(self, now: int, *, not_before_ms: int = 0) -> Self:
        return self.became(TicketState.WAITING, now, agent=None, over_ms=None, not_before_ms=not_before_ms)

    def returned(self, now: int) -> Self:
        """Its agent's leg failed: before all others, and in order among those like it."""
        ticket = self.waiting(now)
        return replace(ticket, priority=BACK_FIRST, rank_ms=self.joined_ms - RETURNED_MS)

    def over(self, state: TicketState, now: int) -> Self:
        return self.became(state, now, over_ms=now, number=None)

    def became(self, state: TicketState, now: int, **changes: object) -> Self:
        return replace(self, state=state, changed_ms=now, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Agent:
    """`then` is the state asked for during a talk; `until_ms` ends after-call work, or a rest before the next ring.

    Until `engaged_ms` their phone is taken to be on a call, unless that is heard of again.
    """

    name: str
    since_ms: int
    state: AgentState = AgentState.LOGGED_OUT
    reason: str = ""
    ticket: str | None = None
    misses: int = 0  # in a row
    idle_since_ms: int = 0
    until_ms: int = 0
    phone: str | None = None  # where they sit today, where that is not their own
    then: AgentState | None = None
    then_reason: str = ""
    engaged_ms: int = 0

    def asked(self, state: AgentState, reason: str, now: int) -> Self:
        """AVAILABLE, BREAK or LOGGED_OUT; a talk is not disturbed, a phone that rings stops."""
        if self.state is AgentState.TALKING:
            then = None if state is AgentState.AVAILABLE else state
            return replace(self, then=then, then_reason=reason if then else "")
        if self.state is state and self.reason == reason:
            return self
        phone = None if state is AgentState.LOGGED_OUT else self.phone
        idle = self.idle_since_ms if self.state is AgentState.RINGING else now
        free = replace(self, ticket=None, misses=0, until_ms=0, phone=phone, idle_since_ms=idle)
        return free.became(state, now, reason)

    def rung(self, ticket: str, now: int) -> Self:
        return replace(self, ticket=ticket).became(AgentState.RINGING, now)

    def answered(self, ticket: str, now: int) -> Self:
        return replace(self, ticket=ticket, misses=0).became(AgentState.TALKING, now)

    def spared(self, now: int) -> Self:
        """No longer needed, through no fault of theirs: as idle as before."""
        return replace(self, ticket=None).became(AgentState.AVAILABLE, now)

    def missed(self, most: int, now: int) -> Self:
        """Their phone did not ring or answer: behind the others, and on a break after `most` times."""
        tired = replace(self, ticket=None, misses=self.misses + 1, idle_since_ms=now)
        if tired.misses >= most:
            return replace(tired, misses=0).became(AgentState.BREAK, now, MISSED)
        return replace(tired, until_ms=now + REST_MS).became(AgentState.AVAILABLE, now)

    def busy(self, now: int) -> Self:
        """Their phone was on another call: no fault of theirs, but behind the others, and not at once again."""
        return replace(self.spared(now), idle_since_ms=now, until_ms=now + REST_MS)

    def parted(self, after_call_ms: int, now: int) -> Self:
        """The talk is over."""
        alone = replace(self, ticket=None, idle_since_ms=now)
        if after_call_ms:
            return replace(alone, until_ms=now + after_call_ms).became(AgentState.AFTER_CALL, now)
        return alone.rested(now)

    def rested(self, now: int) -> Self:
        """After-call work is over: free, or what was asked for meanwhile."""
        then, reason = self.then or AgentState.AVAILABLE, self.then_reason
        phone = None if then is AgentState.LOGGED_OUT else self.phone
        return replace(self, until_ms=0, idle_since_ms=now, phone=phone, then=None, then_reason="").became(
            then, now, reason
        )

    def free(self, now: int) -> bool:
        return self.state is AgentState.AVAILABLE and max(self.until_ms, self.engaged_ms) <= now

    def became(self, state: AgentState, now: int, reason: str = "") -> Self:
        return replace(self, state=state, since_ms=now, reason=reason)


@dataclass(frozen=True, slots=True)
class Span:
    """How long an agent was in a state that is over."""

    agent: str
    state: AgentState
    reason: str
    began_ms: int
    ended_ms: int
