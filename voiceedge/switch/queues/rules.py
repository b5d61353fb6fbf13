"""The switch plan as the queues ask it."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from voiceedge.switch.hours import is_open
from voiceedge.switch.plan import Hours, Plan, QueueEntry
from voiceedge.switch.queues.messages import AgentState
from voiceedge.switch.queues.model import Agent

FIRST_GUESS_S = 180.0  # a caller's share of an agent's time, before anything was measured
AT_WORK = frozenset({AgentState.AVAILABLE, AgentState.RINGING, AgentState.TALKING, AgentState.AFTER_CALL})


class Rules:
    """`realm` is the domain of phones that are registered with us."""

    def __init__(self, plan: Plan, realm: str) -> None:
        self.queues, self.agents, self._hours, self._realm = plan.queues, plan.agents, plan.hours, realm
        self.desk = plan.desk
        self.agents_of: dict[str, list[str]] = defaultdict(list)
        for name, agent in plan.agents.items():
            for queue in agent.queues:
                self.agents_of[queue].append(name)

    def is_open(self, queue: QueueEntry, at: datetime) -> bool:
        hours = self._hours_of(queue)
        return hours is None or is_open(hours, at)

    def midnight(self, at: datetime, queue: QueueEntry | None = None) -> datetime:
        """When the day began: the queue's, or anybody's."""
        hours = self._hours_of(queue) if queue else None
        zone = hours.timezone if hours else str(Hours.model_fields["timezone"].default)
        return at.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)

    def uri(self, agent: str, phone: str | None = None) -> str:
        """Where the agent's phone is; `phone`: where they sit today."""
        user = phone or self.agents[agent].phone
        return user if user.startswith(("sip:", "sips:")) else f"sip:{user}@{self._realm}"

    def after_call_ms(self, agent: str) -> int:
        entry = self.agents.get(agent)
        return round(entry.after_call_s * 1000) if entry else 0

    def logged_in(self, queue: str, agents: Mapping[str, Agent]) -> bool:
        """Whether anybody who serves the queue is, be it on a break."""
        states = (agents[name].state for name in self.agents_of.get(queue, ()) if name in agents)
        return any(state is not AgentState.LOGGED_OUT for state in states)

    def staffed(self, queue: str, agents: Mapping[str, Agent]) -> int:
        """How many are at work for the queue, with a caller or ready for one."""
        return sum(agents[name].state in AT_WORK for name in self.agents_of.get(queue, ()) if name in agents)

    def expected_wait_s(
        self, queue: str, position: int, agents: Mapping[str, Agent], pace: Mapping[str, float]
    ) -> float | None:
        """`pace`: seconds of an agent's time that a place in the queue takes. None: nobody is at work."""
        staffed = self.staffed(queue, agents)
        return pace.get(queue, FIRST_GUESS_S) * position / staffed if staffed else None

    def _hours_of(self, queue: QueueEntry) -> Hours | None:
        return self._hours.get(queue.hours) if queue.hours else None
