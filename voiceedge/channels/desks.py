"""Whose desk is open: chats are seen nowhere else, whatever the telephone's queues know of an agent."""

from collections.abc import Mapping
from dataclasses import dataclass

from voiceedge.clock import Clock
from voiceedge.errors import StoreError
from voiceedge.switch.queues.model import Agent
from voiceedge.switch.queues.service import QueueService

GONE_S = 60.0  # without a desk, and an agent has gone: a page that is loaded anew is back by then


@dataclass(slots=True)
class _Desk:
    """How many pages an agent has open, and since when there has been none."""

    pages: int
    closed_at: float


class Desks:
    """At the start everybody has just closed theirs: nobody knows yet who is there."""

    def __init__(self, queues: QueueService, clock: Clock) -> None:
        self._queues, self._clock = queues, clock
        self._began = clock.monotonic()
        self._desks: dict[str, _Desk] = {}

    def opened(self, agent: str) -> None:
        """One more page of theirs is open."""
        self._desks.setdefault(agent, _Desk(0, self._began)).pages += 1

    def closed(self, agent: str) -> None:
        desk = self._desks[agent]
        desk.pages, desk.closed_at = desk.pages - 1, self._clock.monotonic()

    def is_open(self, agent: str) -> bool:
        return agent in self._desks and self._desks[agent].pages > 0

    def has_gone(self, agent: str) -> bool:
        desk = self._desks.get(agent)
        closed_at = desk.closed_at if desk else self._began
        return not self.is_open(agent) and self._clock.monotonic() - closed_at >= GONE_S

    def attend(self, queue: str, tenant: str, agents: Mapping[str, Agent]) -> bool:
        """Whether anybody of the tenant who serves the queue is logged in with their desk open, be it on a break."""
        rules = self._queues.rules
        ours = (name for name, entry in rules.agents.items() if entry.tenant == tenant and not self.has_gone(name))
        return rules.logged_in(queue, {name: agents[name] for name in ours if name in agents})

    async def attended(self, queue: str, tenant: str) -> bool:
        """The same, as agents are now; nobody is sent away because the store is."""
        try:
            picture = await self._queues.picture()
        except StoreError:
            return True
        return self.attend(queue, tenant, picture.state.agents)
