"""How often somebody may ask: token buckets in memory (fields of draft-ietf-httpapi-ratelimit-headers)."""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from voiceedge.clock import Clock

WINDOW_S = 60
MOST_KNOWN = 10_000  # of those who asked longest ago the buckets are forgotten: they are full again by then


@dataclass(frozen=True, slots=True)
class Allowance:
    """`left` requests may come at once; the next one after that in `next_s`."""

    allowed: bool
    quota: int
    left: int
    next_s: float

    @property
    def headers(self) -> Mapping[str, str]:
        wait_s = math.ceil(self.next_s)
        fields = {
            "RateLimit-Policy": f'"requests";q={self.quota};w={WINDOW_S}',
            "RateLimit": f'"requests";r={self.left};t={wait_s}',
        }
        return fields if self.allowed else {**fields, "Retry-After": str(max(1, wait_s))}


class Buckets:
    """One bucket for each name, of `per_min` tokens that come back evenly."""

    def __init__(self, per_min: int, clock: Clock) -> None:
        self._quota, self._rate, self._clock = per_min, per_min / WINDOW_S, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when counted

    def look(self, name: str) -> Allowance:
        tokens = self._tokens(name)
        return self._told(tokens, allowed=tokens >= 1)

    def take(self, name: str, cost: int = 1) -> Allowance:
        """One token, or as many as it costs, where there are so many."""
        tokens = self._tokens(name)
        allowed = tokens >= cost
        tokens -= cost if allowed else 0
        self._buckets[name] = tokens, self._clock.monotonic()
        self._buckets.move_to_end(name)
        if len(self._buckets) > MOST_KNOWN:
            self._buckets.popitem(last=False)
        return self._told(tokens, allowed=allowed)

    def _tokens(self, name: str) -> float:
        now = self._clock.monotonic()
        tokens, since = self._buckets.get(name, (float(self._quota), now))
        return min(float(self._quota), tokens + (now - since) * self._rate)

    def _told(self, tokens: float, *, allowed: bool) -> Allowance:
        return Allowance(allowed, self._quota, int(tokens), max(0.0, (1 - tokens) / self._rate))
