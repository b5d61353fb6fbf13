"""A circuit breaker: a system that keeps failing is left alone for a while, and then asked one question first."""

from collections import deque
from typing import Literal

from voiceedge.clock import Clock
from voiceedge.connectors.profile import Breaker as Rule

State = Literal["closed", "open", "half_open"]


class Breaker:
    def __init__(self, rule: Rule, clock: Clock) -> None:
        self._rule, self._clock = rule, clock
        self._failures: deque[float] = deque(maxlen=rule.failures)
        self._rests_until: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """Half open: the next question, or the one under way, decides."""
        if self._rests_until is None:
            return "closed"
        return "half_open" if self._probing or self.rests_s <= 0 else "open"

    @property
    def rests_s(self) -> float:
        """How long still."""
        return max(0.0, (self._rests_until or 0.0) - self._clock.monotonic())

    def admit(self) -> bool:
        """Whether to ask now. Whoever is admitted says how it went."""
        if self.state == "closed":
            return True
        if self._probing or self.rests_s > 0:
            return False
        self._probing = True
        return True

    def answered(self) -> None:
        if self.state != "open":  # a late answer to an earlier question says nothing of now
            self._failures.clear()
            self._rests_until, self._probing = None, False

    def failed(self) -> None:
        now = self._clock.monotonic()
        if self.state == "open":
            return
        self._failures.append(now)
        long_ago = now - self._rule.within_s
        recent = len(self._failures) == self._rule.failures and self._failures[0] >= long_ago
        if self._probing or recent:
            self._rests_until, self._probing = now + self._rule.rest_s, False
