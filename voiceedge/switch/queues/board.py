"""One turn at the queues: what a request changes, what time has, and who is matched then; pure, kept by others."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from voiceedge.errors import VoiceEdgeError
from voiceedge.switch.plan import QueueEntry
from voiceedge.switch.queues import telling
from voiceedge.switch.queues.matching import Free, Waiting, match, rank_ms
from voiceedge.switch.queues.messages import (
    AgentState,
    CallBack,
    CallBackOrder,
    CustomerResult,
    Join,
    Leave,
    OfferResult,
    TalkOver,
    Target,
    TicketState,
)
from voiceedge.switch.queues.model import MISSED, REST_MS, Agent, Span, Ticket
from voiceedge.switch.queues.rules import Rules
from voiceedge.switch.queues.telling import Told

RING_GRACE_MS = 10_000  # beyond ring_s until the worker that rings is no longer waited for
CUSTOMER_RINGS_MS = 60_000  # a call-back reserves its agent while the customer's phone rings
CALL_BACK_KEPT_MS = 2 * 86_400_000


class QueueError(VoiceEdgeError):
    """What was asked of the queues cannot be; the message says what can."""


@dataclass(frozen=True)
class State:
    """Everything live: tickets by id, agents by name."""

    tickets: Mapping[str, Ticket] = field(default_factory=dict)
    agents: Mapping[str, Agent] = field(default_factory=dict)


class Board:
    """Works on a copy of `state`; what it changed is in `tickets_changed`, `agents_changed`, `spans` and `told`."""

    def __init__(
        self, rules: Rules, state: State, *, node: str, at: datetime, pace: Mapping[str, float], silent: Collection[str]
    ) -> None:
        self.tickets, self.agents = dict(state.tickets), dict(state.agents)
        self.tickets_changed: dict[str, Ticket] = {}
        self.agents_changed: dict[str, Agent] = {}
        self.spans: list[Span] = []
        self.told: list[Told] = []
        self.orders: list[CallBackOrder] = []
        self._rules, self._node, self._at, self._pace, self._silent = rules, node, at, pace, silent
        self._now = int(at.timestamp() * 1000)

    @property
    def state(self) -> State:
        return State(self.tickets, self.agents)

    @property
    def changed(self) -> bool:
        return bool(self.tickets_changed or self.agents_changed)

    # What is asked.

    def join(self, wish: Join, ticket_id: str) -> Ticket:
        """Raises QueueError where there is no such queue. The same call asking again gets the ticket it has."""
        queue = self._queue(wish.queue)
        for ticket in self.tickets.values():
            if (ticket.call, ticket.queue, ticket.node) == (wish.call, wish.queue, self._node) and not ticket.call_back:
                return ticket
        priority = queue.priority if wish.priority is None else wish.priority
        ticket = Ticket(
            id=ticket_id, queue=wish.queue, node=self._node, call=wish.call, conversation=wish.conversation,
            customer=wish.caller_hash, language=wish.language, priority=priority, skills=dict(wish.skills),
            joined_ms=self._now, changed_ms=self._now, rank_ms=self._rank(priority),
        )  # fmt: skip
        waiting = [other.order for other in self.tickets.values() if self._waits(other, wish.queue)]
        ticket = replace(ticket, place=sum(order < ticket.order for order in waiting) + 1)
        refused = self._no_place(wish.queue, queue, len(waiting))
        if refused:
            self._keep(ticket.over(refused, self._now))
            self.told.append(telling.left(ticket, refused, self._now))
            return self.tickets_changed[ticket.id]
        self._keep(ticket)
        self._tell_joined(ticket, ticket.place)
        return ticket

    def offer_result(self, said: OfferResult) -> None:
        ticket, agent = self.tickets.get(said.ticket), self.agent(said.agent)
        if ticket is None:
            return
        if said.result == "answered":
            may = ticket.state is not TicketState.TALKING and agent.ticket in {None, ticket.id}
            if may and agent.state is not AgentState.TALKING:
                self._talk(ticket, agent)
        elif agent.ticket == ticket.id and agent.state is AgentState.RINGING:
            self._not_taken(ticket, agent, said.result)

    def talk_over(self, said: TalkOver) -> None:
        ticket, agent = self.tickets.get(said.ticket), self.agent(said.agent)
        if agent.ticket == said.ticket and agent.state is AgentState.TALKING:
            self._part(agent)
        if ticket and ticket.state is TicketState.TALKING and ticket.agent == said.agent:
            if said.back_to_queue:
                self._keep(ticket.returned(self._now))
                self._tell_joined(self.tickets[ticket.id])
            else:
                self._keep(ticket.over(TicketState.ANSWERED, self._now))

    def leave(self, said: Leave) -> None:
        if ticket := self.tickets.get(said.ticket):
            self._end(ticket, TicketState(said.why))

    def call_back(self, said: CallBack) -> None:
        """Raises QueueError where the queue calls nobody back."""
        ticket = self.tickets.get(said.ticket)
        if ticket is None or ticket.state is TicketState.TALKING:
            return
        if not self._queue(ticket.queue).call_back:
            raise QueueError(f"queue {ticket.queue} calls nobody back: set its call_back in the switch plan.")
        self._spare_all(ticket)
        self._keep(replace(ticket.waiting(self._now), call_back=True, number=said.number))
        self.told.append(telling.call_back(ticket, "asked"))

    def customer_failed(self, said: CustomerResult) -> None:
        ticket = self.tickets.get(said.ticket)
        if ticket is None or not ticket.call_back or ticket.state is not TicketState.OFFERED:
            return
        self._spare_all(ticket)
        queue = self._rules.queues.get(ticket.queue)
        ticket = replace(ticket, attempts=ticket.attempts + 1)
        if queue is None or ticket.attempts >= queue.call_back_attempts:
            self._end(ticket, TicketState.NOT_REACHED)
        else:
            again = self._now + round(queue.call_back_retry_s * 1000)
            self._keep(ticket.waiting(self._now, not_before_ms=again))

    def order_failed(self, ticket_id: str) -> None:
        """No worker could take the call-back's order: it costs neither agent nor customer anything."""
        ticket = self.tickets.get(ticket_id)
        if ticket and ticket.call_back and ticket.state is TicketState.OFFERED:
            self._spare_all(ticket)
            self._keep(ticket.waiting(self._now, not_before_ms=self._now + REST_MS))

    def revive(self, ticket: Ticket) -> None:
        """It was given up because nobody asked for it; somebody does."""
        self._keep(replace(ticket.waiting(self._now), node=self._node))
        self._tell_joined(self.tickets[ticket.id])

    def log_in(self, name: str, phone: str | None) -> None:
        """At a registered phone, None: at their own. Whoever forgot to log out there is logged out."""
        self.agent_asked(name, AgentState.AVAILABLE)
        others = self._rules.agents.keys() - {name}
        for other in sorted(others):
            if self.agent(other).state is not AgentState.LOGGED_OUT and self._sits_at(other) == self._place(
                name, phone
            ):
                self.agent_asked(other, AgentState.LOGGED_OUT)
        agent = self.agent(name)
        moved = self._rules.uri(name, phone) != self._rules.uri(name, agent.phone)
        self._put(replace(agent, phone=phone, engaged_ms=0 if moved else agent.engaged_ms))

    def at_phone(self, owner: str) -> str:
        """Who is logged in at the phone of `owner`; nobody: the owner. Raises QueueError where there is none such."""
        self._known(owner)
        here = self._place(owner, None)
        there = (name for name in self._rules.agents if self._sits_at(name) == here)
        return next((name for name in there if self.agent(name).state is not AgentState.LOGGED_OUT), owner)

    def agent_asked(self, name: str, state: AgentState, reason: str = "") -> None:
        """Raises QueueError where there is no such agent."""
        self._known(name)
        agent = self.agent(name)
        if agent.state is AgentState.RINGING and state is AgentState.AVAILABLE:
            return
        ringing_for = self.tickets.get(agent.ticket or "") if agent.state is AgentState.RINGING else None
        self._put(agent.asked(state, reason, self._now))
        if ringing_for:
            self._wait_if_nobody_rings(ringing_for)

    def engage(self, phones: Mapping[str, int]) -> None:
        """By SIP address: until when each is taken to be on a call. Whoever sits there is passed over so long."""
        for name in self._rules.agents:
            agent = self.agent(name)
            until = phones.get(self._rules.uri(name, agent.phone))
            if until is not None and until != agent.engaged_ms:
                self._put(replace(agent, engaged_ms=until))

    # What time does.

    def settle(self, lost: Iterable[str] = (), *, beat: bool = False) -> None:
        """`lost` are tickets whose workers are gone. What time alone changes is looked for on a `beat`."""
        for name in lost:
            if ticket := self.tickets.get(name):
                self._release(ticket)
        if beat or self.agents_changed:
            for agent in list(self.agents.values()):
                self._settle_agent(agent)
            manned = {name for name in self._rules.queues if self._rules.logged_in(name, self.agents)}
            for ticket in list(self.tickets.values()):
                self._settle_ticket(ticket, manned)
        self._match()

    def _settle_agent(self, agent: Agent) -> None:
        ticket = self.tickets.get(agent.ticket or "")
        if 0 < agent.engaged_ms <= self._now:
            agent = replace(agent, engaged_ms=0)
            self._put(agent)
        if agent.state is AgentState.AFTER_CALL and agent.until_ms <= self._now:
            self._put(agent.rested(self._now))
        elif agent.state is AgentState.RINGING and ticket is None:
            self._put(agent.spared(self._now))
        elif agent.state is AgentState.TALKING and ticket is None:
            self._part(agent)
        elif agent.state is AgentState.RINGING and ticket and self._now >= self._rings_until(agent, ticket):
            self._not_taken(ticket, agent)

    def _settle_ticket(self, ticket: Ticket, manned: set[str]) -> None:
        queue = self._rules.queues.get(ticket.queue)
        if ticket.state is TicketState.OFFERED:
            if self._is_silent(ticket):
                self._spare_all(ticket)
            self._wait_if_nobody_rings(ticket)
        elif ticket.state is not TicketState.WAITING or (queue is None and ticket.node != self._node):
            return  # another node's plan may know the queue already, or still
        elif queue is None:
            self._end(ticket, TicketState.CLOSED)
        elif ticket.call_back:
            if self._now - ticket.joined_ms >= CALL_BACK_KEPT_MS:
                self._end(ticket, TicketState.NOT_REACHED)
        elif self._now - ticket.joined_ms >= queue.longest_wait_s * 1000:
            self._end(ticket, TicketState.TIMEOUT)
        elif ticket.queue not in manned:
            self._end(ticket, TicketState.NO_AGENT)

    def _match(self) -> None:
        free = [
            Free(agent.name, agent.idle_since_ms, frozenset(entry.queues), entry.skills)
            for agent in self.agents.values()
            if agent.free(self._now) and (entry := self._rules.agents.get(agent.name))
        ]
        if not free:
            return
        closed = {name for name, queue in self._rules.queues.items() if not self._rules.is_open(queue, self._at)}
        waiting = (
            Waiting(ticket.id, ticket.queue, ticket.rank_ms, ticket.joined_ms, ticket.skills)
            for ticket in self.tickets.values()
            if ticket.state is TicketState.WAITING
            and ticket.not_before_ms <= self._now
            and not (ticket.call_back and ticket.queue in closed)
            and not self._is_silent(ticket)
        )
        for found in match(waiting, free, self._rules.queues, self._now):
            ticket = self.tickets[found.ticket].offered(self._now)
            # A call-back is one agent's, whatever the queue says: several are not kept for a phone that may not answer.
            names = found.agents[:1] if ticket.call_back else found.agents
            for name in names:
                self._put(self.agents[name].rung(ticket.id, self._now))
            if ticket.call_back:
                ticket = replace(ticket, node=self._node)
                self.orders.append(self._order(ticket, names[0]))
                self.told.append(telling.call_back(ticket, "dialled"))
            self._keep(ticket)

    # The parts of these.

    def agent(self, name: str) -> Agent:
        return self.agents.get(name) or Agent(name, self._now)

    def _known(self, agent: str) -> None:
        if agent not in self._rules.agents:
            raise QueueError(f"the switch plan has no agent {agent}; it has {', '.join(self._rules.agents) or 'none'}.")

    def _place(self, name: str, phone: str | None) -> str:
        return phone or self._rules.agents[name].phone

    def _sits_at(self, name: str) -> str:
        return self._place(name, self.agent(name).phone)

    def _queue(self, name: str) -> QueueEntry:
        if name not in self._rules.queues:
            raise QueueError(f"the switch plan has no queue {name}; it has {', '.join(self._rules.queues) or 'none'}.")
        return self._rules.queues[name]

    def _rank(self, priority: int) -> int:
        """Behind all of the same priority, even where they came in the same moment or the clock was set back."""
        last = max((ticket.rank_ms for ticket in self.tickets.values() if ticket.priority == priority), default=0)
        return max(rank_ms(self._now, priority), last + 1)

    def _no_place(self, name: str, queue: QueueEntry, waiting: int) -> TicketState | None:
        if not self._rules.is_open(queue, self._at):
            return TicketState.CLOSED
        if not self._rules.logged_in(name, self.agents):
            return TicketState.NO_AGENT
        return TicketState.FULL if waiting >= queue.most_waiting else None

    def _is_silent(self, ticket: Ticket) -> bool:
        """Whether nobody is rung for it now, though it keeps its place."""
        return ticket.node in self._silent and not ticket.call_back

    @staticmethod
    def _waits(ticket: Ticket, queue: str) -> bool:
        return ticket.queue == queue and ticket.state is TicketState.WAITING

    def _rings_until(self, agent: Agent, ticket: Ticket) -> int:
        entry = self._rules.agents.get(agent.name)
        ring_ms = round(entry.ring_s * 1000) if entry else 0
        return agent.since_ms + ring_ms + RING_GRACE_MS + (CUSTOMER_RINGS_MS if ticket.call_back else 0)

    def _talk(self, ticket: Ticket, agent: Agent) -> None:
        self._put(agent.answered(ticket.id, self._now))
        self._spare_all(ticket)
        self._keep(ticket.answered(agent.name, self._rules.staffed(ticket.queue, self.agents), self._now))
        self.told.append(telling.left(ticket, TicketState.ANSWERED, self._now, agent.name))

    def _not_taken(self, ticket: Ticket, agent: Agent, why: str = "no_answer") -> None:
        entry = self._rules.agents.get(agent.name)
        if why == "no_line":
            self._put(agent.spared(self._now))
        elif why == "busy":
            self._put(agent.busy(self._now))
        else:
            self._put(agent.missed(entry.misses if entry else 1, self._now))
        self._wait_if_nobody_rings(ticket, rest_ms=REST_MS if why == "no_line" else 0)

    def _wait_if_nobody_rings(self, ticket: Ticket, rest_ms: int = 0) -> None:
        if ticket.state is TicketState.OFFERED and not self._ringing(ticket):
            self._keep(ticket.waiting(self._now, not_before_ms=self._now + rest_ms))

    def _ringing(self, ticket: Ticket) -> list[Agent]:
        return [a for a in self.agents.values() if a.ticket == ticket.id and a.state is AgentState.RINGING]

    def _spare_all(self, ticket: Ticket) -> None:
        for agent in self._ringing(ticket):
            self._put(agent.spared(self._now))

    def _part(self, agent: Agent) -> None:
        self._put(agent.parted(self._rules.after_call_ms(agent.name), self._now))

    def _release(self, ticket: Ticket) -> None:
        if not ticket.call_back or ticket.state is TicketState.TALKING:
            self._end(ticket, TicketState.LOST)
        elif ticket.state is TicketState.OFFERED:
            self.order_failed(ticket.id)

    def _end(self, ticket: Ticket, state: TicketState) -> None:
        """A talk that ends in any way was answered; otherwise `state` says how the waiting ended."""
        if ticket.state is TicketState.TALKING:
            self._keep(ticket.over(TicketState.ANSWERED, self._now))
            agent = self.agent(ticket.agent or "")
            if agent.ticket == ticket.id:
                self._part(agent)
            return
        self._spare_all(ticket)
        self._keep(ticket.over(state, self._now))
        self.told.append(telling.left(ticket, state, self._now))
        if state is TicketState.NOT_REACHED:
            self.told.append(telling.call_back(ticket, "not_reached"))

    def _order(self, ticket: Ticket, name: str) -> CallBackOrder:
        queue, entry = self._rules.queues[ticket.queue], self._rules.agents[name]
        target = Target(name=name, uri=self._rules.uri(name, self.agents[name].phone), ring_s=entry.ring_s)
        return CallBackOrder(
            ticket=ticket.id, queue=ticket.queue, conversation=ticket.conversation, language=ticket.language,
            first=queue.call_back_first, agent=target, number=ticket.number or "", attempt=ticket.attempts + 1,
            whisper=queue.whisper or queue.title, record=queue.record,
        )  # fmt: skip

    def _keep(self, ticket: Ticket) -> None:
        self.tickets_changed[ticket.id] = ticket
        if ticket.live:
            self.tickets[ticket.id] = ticket
        else:
            self.tickets.pop(ticket.id, None)

    def _put(self, agent: Agent) -> None:
        before = self.agent(agent.name)
        if agent == before:
            return
        self.agents[agent.name] = self.agents_changed[agent.name] = agent
        if (before.state, before.reason) == (agent.state, agent.reason):
            return
        if before.state is not AgentState.LOGGED_OUT:
            missed = before.state is AgentState.RINGING and (agent.misses > before.misses or agent.reason == MISSED)
            reason = MISSED if missed else before.reason
            self.spans.append(Span(agent.name, before.state, reason, before.since_ms, self._now))
        ticket = self.tickets.get(agent.ticket or "")
        self.told.append(telling.agent_changed(before, agent, ticket, self._now))

    def _tell_joined(self, ticket: Ticket, place: int | None = None) -> None:
        """For the first time at `place`; once more, where that is None."""
        others = (other for other in self.tickets.values() if self._waits(other, ticket.queue))
        position = sum(other.order <= ticket.order for other in others) if place is None else place
        wait_s = self._rules.expected_wait_s(ticket.queue, position, self.agents, self._pace)
        self.told.append(telling.joined(ticket, position, wait_s, returned=place is None))
