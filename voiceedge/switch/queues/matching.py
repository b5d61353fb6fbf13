"""Who talks to whom: waiting callers in their order, free agents by how long they have been idle.

Callers are served by rank. A rank is the time of joining, moved by PRIORITY_S for each step of priority: the important
go first, and nobody waits for ever, because whoever joins late enough ranks behind. No caller takes an agent from one
who ranks before; but a caller whom several could serve leaves to the next the only agent who can serve that one too.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from voiceedge.switch.plan import QueueEntry

PRIORITY_S = 300  # what one step of priority is worth in waiting
MIDDLE = 5
RINGING_AT_ONCE = 5  # of `ring = "all"`: a worker has few lines


@dataclass(frozen=True, slots=True)
class Waiting:
    """`skills` are needed beside those of the queue."""

    ticket: str
    queue: str
    rank_ms: int
    joined_ms: int
    skills: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Free:
    name: str
    idle_since_ms: int
    queues: frozenset[str]
    skills: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """`agents` ring at once; more than one only where the queue says `ring = "all"`."""

    ticket: str
    agents: tuple[str, ...]


def rank_ms(joined_ms: int, priority: int) -> int:
    return joined_ms + (priority - MIDDLE) * PRIORITY_S * 1000


def needed(queue: QueueEntry, skills: Mapping[str, int], waited_s: float) -> dict[str, int]:
    """The levels an agent must have for somebody who has waited so long."""
    levels = dict(queue.skills)
    for name, level in skills.items():
        levels[name] = max(level, levels.get(name, 0))
    for relax in sorted(queue.relax, key=lambda relax: relax.after_s):
        if waited_s >= relax.after_s:
            levels |= {name: min(level, levels[name]) for name, level in relax.skills.items() if name in levels}
    return {name: level for name, level in levels.items() if level > 0}


def match(
    waiting: Iterable[Waiting], free: Sequence[Free], queues: Mapping[str, QueueEntry], now_ms: int
) -> list[Match]:
    """Pairs in order of rank; an agent is in one of them at most."""
    order = sorted((one for one in waiting if one.queue in queues), key=lambda one: (one.rank_ms, one.ticket))
    seating = _Seating(free, queues, now_ms)
    for one in order:
        if seating.full:
            break
        seating.find(one)
    return [Match(one.ticket, seating.ringing(one)) for one in order if one.ticket in seating]


class _Seating:
    """A maximum bipartite matching grown caller by caller (augmenting paths, Kuhn): nobody seated is unseated again."""

    def __init__(self, free: Sequence[Free], queues: Mapping[str, QueueEntry], now_ms: int) -> None:
        self._idlest = sorted(free, key=lambda agent: (agent.idle_since_ms, agent.name))
        self._queues, self._now_ms = queues, now_ms
        self._able: dict[tuple[str, frozenset[tuple[str, int]]], list[str]] = {}
        self._caller_of: dict[str, Waiting] = {}
        self._agent_of: dict[str, str] = {}  # by ticket
        self._out_of_reach: set[str] = set()

    def __contains__(self, ticket: str) -> bool:
        return ticket in self._agent_of

    @property
    def full(self) -> bool:
        return len(self._caller_of) == len(self._idlest)

    def find(self, caller: Waiting) -> None:
        """Seat the caller, moving those before to other agents of theirs where that is the only way."""
        tried: dict[str, Waiting] = {}  # by agent
        asking = deque([caller])
        while asking:
            one = asking.popleft()
            for agent in self._able_agents(one):
                if agent in tried or agent in self._out_of_reach:
                    continue
                tried[agent] = one
                if holder := self._caller_of.get(agent):
                    asking.append(holder)
                else:
                    self._move(agent, tried)
                    return
        self._out_of_reach |= tried.keys()  # whoever could have them holds them, and has nowhere else to go

    def ringing(self, caller: Waiting) -> tuple[str, ...]:
        first = self._agent_of[caller.ticket]
        if self._queues[caller.queue].ring != "all":
            return (first,)
        others = [agent for agent in self._able_agents(caller) if agent not in self._caller_of]
        others = others[: RINGING_AT_ONCE - 1]
        self._caller_of |= dict.fromkeys(others, caller)
        return (first, *others)

    def _move(self, agent: str, tried: Mapping[str, Waiting]) -> None:
        freed: str | None = agent
        while freed is not None:
            caller = tried[freed]
            self._caller_of[freed] = caller
            left = self._agent_of.get(caller.ticket)
            self._agent_of[caller.ticket], freed = freed, left

    def _able_agents(self, caller: Waiting) -> list[str]:
        levels = needed(self._queues[caller.queue], caller.skills, (self._now_ms - caller.joined_ms) / 1000)
        key = caller.queue, frozenset(levels.items())
        if key not in self._able:  # thousands may wait, but they need few different things
            self._able[key] = [
                agent.name
                for agent in self._idlest
                if caller.queue in agent.queues
                and all(agent.skills.get(name, 0) >= level for name, level in levels.items())
            ]
        return self._able[key]
