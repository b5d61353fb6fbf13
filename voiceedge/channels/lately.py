"""How often something was done of late by each name: in memory, for this process.

Requests that may flow have buckets (`web.limits`); what must hold on all nodes and over a restart is counted in the
database, with what it guards (`context.resuming.pins`, `switch.caps`).
"""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import TypeVar

from voiceedge.clock import Clock

KNOWN = 10_000  # names; of whom something was done longest ago are forgotten

Value = TypeVar("Value")


class Lately:
    """`most` times within `within_s` are enough."""

    def __init__(self, most: int, within_s: float, clock: Clock) -> None:
        self._most, self._within_s, self._clock = most, within_s, clock
        self._times: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def left_s(self, name: Hashable) -> float:
        """How long it is enough; 0: it is not."""
        times = self._times.get(name)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + self._within_s - self._clock.monotonic())

    def add(self, name: Hashable) -> None:
        times = self._times.get(name) or deque(maxlen=self._most)
        times.append(self._clock.monotonic())
        keep(self._times, name, times)

    def forget(self, name: Hashable) -> None:
        self._times.pop(name, None)


def keep(kept: OrderedDict[Hashable, Value], name: Hashable, value: Value) -> None:
    """As the latest of those that are known."""
    kept[name] = value
    kept.move_to_end(name)
    if len(kept) > KNOWN:
        kept.popitem(last=False)
