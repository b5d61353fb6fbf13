"""Agents log in by a code keyed on a phone; whoever guesses codes is stopped."""

from collections import defaultdict, deque
from collections.abc import Mapping

from voiceedge.clock import Clock
from voiceedge.switch.plan import AgentEntry
from voiceedge.switch.queues.board import QueueError
from voiceedge.switch.queues.messages import AgentLogin

WRONG_CODES = 5
FORGOTTEN_S = 300.0
PHONES = 1_000  # remembered


class Logins:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wrong: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WRONG_CODES))

    def agent_of(self, wish: AgentLogin, agents: Mapping[str, AgentEntry]) -> str:
        """Raises QueueError for a code that is nobody's, and for any after too many such from the same phone."""
        wrong, now = self._wrong[wish.phone or ""], self._clock.monotonic()
        if len(wrong) == WRONG_CODES and now - wrong[0] < FORGOTTEN_S:
            raise QueueError(f"too many wrong codes from this phone: wait {FORGOTTEN_S / 60:.0f} minutes.")
        for name, agent in agents.items():
            if agent.code == wish.code:
                wrong.clear()
                return name
        wrong.append(now)
        if len(self._wrong) > PHONES:
            del self._wrong[next(iter(self._wrong))]
        raise QueueError("no agent has this code: see the agents of the switch plan.")
