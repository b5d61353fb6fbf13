"""How everything stands at one moment, as workers, desks and commands see it."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from voiceedge.context.storage.rows import ms
from voiceedge.switch.queues.board import State
from voiceedge.switch.queues.messages import (
    AgentState,
    AgentView,
    Figures,
    Offered,
    Place,
    QueueView,
    TicketState,
    View,
)
from voiceedge.switch.queues.model import Agent, Ticket
from voiceedge.switch.queues.rules import Rules

EXACT_TO = 10  # positions told at once when they change; of the others every tenth
MOST_PLACES = 200


class Picture:
    """Of a state that does not change any more."""

    def __init__(self, rules: Rules, state: State, pace: Mapping[str, float]) -> None:
        self.state = state
        self._rules, self._pace = rules, pace

    @property
    def busy(self) -> bool:
        """Whether anything in it changes by time alone."""
        agents = self.state.agents.values()
        return bool(self.state.tickets) or any(agent.until_ms or agent.ticket or agent.engaged_ms for agent in agents)

    def view(self, ticket: Ticket) -> View:
        queue, agents = self._rules.queues.get(ticket.queue), self._agents_of[ticket.id]
        position = self._positions.get(ticket.id, 0)
        known = [agent for agent in agents if agent.name in self._rules.agents]
        waiting = ticket.state is TicketState.WAITING
        view = View(
            ticket=ticket.id, queue=ticket.queue, state=ticket.state, seen=self.seen(ticket), position=position,
            waiting=len(self._waiting[ticket.queue]), agents=tuple(map(self._offered, known)),
            expected_wait_s=self._expected_wait_s(ticket.queue, position) if waiting else None,
        )  # fmt: skip
        if queue is None:
            return view
        return view.model_copy(
            update={
                "whisper": queue.whisper or queue.title,
                "record": queue.record,
                "may_call_back": queue.call_back and waiting,
                "announce_every_s": queue.announce_every_s,
            }
        )

    def seen(self, ticket: Ticket) -> str:
        """Changes with whatever its worker should know at once."""
        position = self._positions.get(ticket.id, 0)
        coarse = position if position <= EXACT_TO else EXACT_TO + position // EXACT_TO
        return f"{ticket.state.value}.{ticket.offers}.{len(self._agents_of[ticket.id])}.{coarse}"

    def queue(self, name: str, at: datetime, figures: Mapping[str, Figures]) -> QueueView:
        queue, waiting = self._rules.queues[name], self._waiting[name]
        live = [ticket for ticket in self.state.tickets.values() if ticket.queue == name]
        unanswered = [t.joined_ms for t in live if t.state is not TicketState.TALKING and not t.call_back]
        states = Counter(agent.state for agent in self._crew(name))
        return QueueView(
            name=name, title=queue.title, open=self._rules.is_open(queue, at), waiting=len(waiting),
            call_backs=sum(ticket.call_back for ticket in waiting),
            longest_wait_s=max((ms(at) - joined for joined in unanswered), default=0) / 1000,
            talking=sum(ticket.state is TicketState.TALKING for ticket in live), agents=dict(states),
            expected_wait_s=self._expected_wait_s(name, len(waiting) + 1), **figures,
        )  # fmt: skip

    def places(self, name: str, at: datetime) -> tuple[Place, ...]:
        live = sorted((t for t in self.state.tickets.values() if t.queue == name), key=lambda t: t.order)
        return tuple(
            Place(
                ticket=ticket.id, state=ticket.state, waited_s=(ms(at) - ticket.joined_ms) / 1000,
                priority=ticket.priority, call_back=ticket.call_back,
                agents=tuple(agent.name for agent in self._agents_of[ticket.id]),
            )
            for ticket in live[:MOST_PLACES]
        )  # fmt: skip

    def agent(self, name: str, at: datetime) -> AgentView:
        """Without figures."""
        entry, agent = self._rules.agents[name], self._agent(name)
        ticket = self.state.tickets.get(agent.ticket or "")
        return AgentView(
            name=name, title=entry.title, state=agent.state, reason=agent.reason,
            since_s=max(0, ms(at) - agent.since_ms) / 1000 if agent.since_ms else 0.0,
            then=agent.then.value if agent.then else "", queues=entry.queues,
            phone=agent.phone or entry.phone, queue=ticket.queue if ticket else None,
            on_a_call=agent.state is AgentState.TALKING or agent.engaged_ms > ms(at),
        )  # fmt: skip

    def _crew(self, queue: str) -> list[Agent]:
        return [self._agent(name) for name in self._rules.agents_of.get(queue, ())]

    def _agent(self, name: str) -> Agent:
        return self.state.agents.get(name) or Agent(name, 0, AgentState.LOGGED_OUT)

    def _offered(self, agent: Agent) -> Offered:
        entry = self._rules.agents[agent.name]
        return Offered(
            name=agent.name, title=entry.title, uri=self._rules.uri(agent.name, agent.phone), ring_s=entry.ring_s,
            after_call_s=entry.after_call_s,
        )  # fmt: skip

    def _expected_wait_s(self, queue: str, position: int) -> float | None:
        return self._rules.expected_wait_s(queue, position, self.state.agents, self._pace)

    @cached_property
    def _waiting(self) -> Mapping[str, list[Ticket]]:
        """By queue, in order."""
        waiting: dict[str, list[Ticket]] = defaultdict(list)
        for ticket in self.state.tickets.values():
            if ticket.state is TicketState.WAITING:
                waiting[ticket.queue].append(ticket)
        for tickets in waiting.values():
            tickets.sort(key=lambda ticket: ticket.order)
        return waiting

    @cached_property
    def _positions(self) -> Mapping[str, int]:
        return {ticket.id: place for line in self._waiting.values() for place, ticket in enumerate(line, 1)}

    @cached_property
    def _agents_of(self) -> Mapping[str, list[Agent]]:
        """Who rings for, or talks to, each ticket; the idlest first."""
        agents: dict[str, list[Agent]] = defaultdict(list)
        for agent in sorted(self.state.agents.values(), key=lambda agent: (agent.idle_since_ms, agent.name)):
            if agent.ticket:
                agents[agent.ticket].append(agent)
        return agents
