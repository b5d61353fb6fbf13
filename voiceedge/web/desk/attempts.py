"""Codes are short: whoever guesses them is stopped, by name and by network, and nobody is locked out from afar."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import TypeVar

from voiceedge.clock import Clock

FORGOTTEN_S = 900.0
LATELY_S = 30 * 86_400.0
KNOWN = 10_000  # of one kind; of whom wrong codes came longest ago are forgotten

Value = TypeVar("Value")


class Attempts:
    """In 15 minutes five wrong codes for one agent from one network, twenty from one network, twenty for one agent.

    The last does not hold where the agent has logged in lately: whoever guesses from elsewhere locks nobody out there.
    Networks are those of `arrival.network_of`. Names that no agent has are counted alike and apart, so that making some
    up lets no other wrong code be forgotten.
    """

    OF_BOTH, OF_ONE = 5, 20

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of_both, self._of_agent = _Wrong(self.OF_BOTH, clock), _Wrong(self.OF_ONE, clock)
        self._of_both_unknown, self._of_unknown = _Wrong(self.OF_BOTH, clock), _Wrong(self.OF_ONE, clock)
        self._of_network = _Wrong(self.OF_ONE, clock)
        self._been: OrderedDict[Hashable, float] = OrderedDict()

    def locked_s(self, agent: str, network: str, *, known: bool) -> float:
        """How long this agent is locked out for this network; 0: not at all. `known`: there is such an agent."""
        both, one = self._counters(known=known)
        been_at = self._been.get((agent, network), -LATELY_S)
        trusted = self._clock.monotonic() - been_at < LATELY_S
        return max(
            both.left_s((agent, network)), self._of_network.left_s(network), 0.0 if trusted else one.left_s(agent)
        )

    def failed(self, agent: str, network: str, *, known: bool) -> None:
        both, one = self._counters(known=known)
        both.add((agent, network))
        one.add(agent)
        self._of_network.add(network)

    def succeeded(self, agent: str, network: str) -> None:
        """Who can log in here may mistype again; what came from elsewhere still counts."""
        self._of_both.forget((agent, network))
        _keep(self._been, (agent, network), self._clock.monotonic())

    def _counters(self, *, known: bool) -> "tuple[_Wrong, _Wrong]":
        return (self._of_both, self._of_agent) if known else (self._of_both_unknown, self._of_unknown)


class _Wrong:
    """When the last wrong codes came of each, `most` of them at most."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most, self._clock = most, clock
        self._times: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def left_s(self, key: Hashable) -> float:
        times = self._times.get(key)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + FORGOTTEN_S - self._clock.monotonic())

    def add(self, key: Hashable) -> None:
        times = self._times.get(key) or deque(maxlen=self._most)
        times.append(self._clock.monotonic())
        _keep(self._times, key, times)

    def forget(self, key: Hashable) -> None:
        self._times.pop(key, None)


def _keep(kept: OrderedDict[Hashable, Value], key: Hashable, value: Value) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > KNOWN:
        kept.popitem(last=False)
