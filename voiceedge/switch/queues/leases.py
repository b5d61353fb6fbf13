"""Which tickets still have a worker: each long-poll renews its ticket's lease."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from voiceedge.clock import Clock

LEASE_S = 40.0  # from the beginning of the last long-poll
BROKEN_S = 5.0  # from the end of one that broke off


@dataclass(slots=True)
class _Lease:
    until: float
    polls: int = 0


class Leases:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leases: dict[str, _Lease] = {}

    def begin(self, ticket: str) -> None:
        """From now on, whatever was before."""
        self._leases[ticket] = _Lease(self._clock.monotonic() + LEASE_S)

    @contextmanager
    def renewed(self, ticket: str) -> Iterator[None]:
        """While somebody asks."""
        lease = self._leases.setdefault(ticket, _Lease(0.0))
        lease.until, lease.polls = self._clock.monotonic() + LEASE_S, lease.polls + 1
        try:
            yield
        except asyncio.CancelledError:  # the connection broke, or nobody waits for the answer any more
            if lease.polls == 1:
                lease.until = min(lease.until, self._clock.monotonic() + BROKEN_S)
            raise
        finally:
            lease.polls -= 1

    def expired(self, tickets: Iterable[str]) -> list[str]:
        """Of these; one never heard of gets its time first, as all do after a restart. Leases of others are dropped."""
        now = self._clock.monotonic()
        self._leases = {ticket: self._leases.get(ticket) or _Lease(now + LEASE_S) for ticket in tickets}
        return [ticket for ticket, lease in self._leases.items() if lease.until <= now and not lease.polls]
