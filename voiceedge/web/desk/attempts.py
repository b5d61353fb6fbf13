"""Codes are short: whoever guesses them is stopped, by name and by address."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass

from voiceedge.clock import Clock

FORGOTTEN_S = 900.0
KNOWN = 10_000  # of whom wrong codes came longest ago are forgotten


@dataclass(frozen=True, slots=True)
class _Wrong:
    """When the last ones came, at most as many as there may be."""

    times: deque[float]

    def left_s(self, now: float) -> float:
        """How long until the next try; 0: at once."""
        full = len(self.times) == self.times.maxlen
        return max(0.0, self.times[0] + FORGOTTEN_S - now) if full else 0.0


class Attempts:
    """Five wrong codes for one agent from one address, and twenty for one agent or from one address, in 15 minutes.

    So whoever guesses from afar does not lock an agent out at once who has mistyped nothing.
    """

    OF_BOTH, OF_ONE = 5, 20

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wrong: OrderedDict[Hashable, _Wrong] = OrderedDict()

    def locked_s(self, agent: str, address: str) -> float:
        """How long this agent is locked out for this address; 0: not at all."""
        now = self._clock.monotonic()
        return max(self._wrong[key].left_s(now) if key in self._wrong else 0.0 for key in self._keys(agent, address))

    def failed(self, agent: str, address: str) -> None:
        for key, most in self._keys(agent, address).items():
            wrong = self._wrong.setdefault(key, _Wrong(deque(maxlen=most)))
            wrong.times.append(self._clock.monotonic())
            self._wrong.move_to_end(key)
        while len(self._wrong) > KNOWN:
            self._wrong.popitem(last=False)

    def succeeded(self, agent: str, address: str) -> None:
        """Who can log in here may mistype again; what came from elsewhere still counts."""
        self._wrong.pop((agent, address), None)

    def _keys(self, agent: str, address: str) -> dict[Hashable, int]:
        return {(agent, address): self.OF_BOTH, ("agent", agent, ""): self.OF_ONE, ("at", address, ""): self.OF_ONE}
