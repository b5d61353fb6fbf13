"""Group commit: what many workers bring at one time is kept by one transaction, at nearly the cost of one event."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from voiceedge.clock import Clock, sleep
from voiceedge.errors import StoreError

Item = TypeVar("Item")

GATHER_S = 0.15  # that an event may wait for others; whoever brings it gathers the next ones meanwhile
# Kept together, beyond the first batch. After a time without a commit more has come than could be kept before those who
# brought it give up waiting, and bring all of it once more.
MOST = 500


class _Turn(Generic[Item]):
    """What is kept together, and what became of it."""

    def __init__(self) -> None:
        self.ends_at = 0.0
        self.batches: list[Sequence[Item]] = []
        self.is_over = False
        self.is_kept = False


class Gathering(Generic[Item]):
    """The first who comes waits for others and keeps what all bring; the others wait for the first.

    With 0 s the first does not wait: what comes while it is at it is kept next, together.
    """

    def __init__(
        self, keep: Callable[[Sequence[Item]], Awaitable[None]], clock: Clock, gather_s: float = GATHER_S
    ) -> None:
        self._keep, self._clock, self._gather_s = keep, clock, gather_s
        self._turn: _Turn[Item] = _Turn()
        self._lock = asyncio.Lock()  # held by who keeps the events of a turn

    async def ingest(self, batch: Sequence[Item]) -> None:
        """Return when they are kept. Where a turn fails as a whole, each tries its own, and raises its error."""
        turn = self._turn
        if turn.batches and sum(map(len, turn.batches)) + len(batch) > MOST:
            turn = self._turn = _Turn()
        if not turn.batches:
            turn.ends_at = self._clock.monotonic() + self._gather_s
        turn.batches.append(batch)
        async with self._lock:
            if not turn.is_over:
                await self._keep_all(turn)
        if not turn.is_kept:
            await self._keep(batch)

    async def _keep_all(self, turn: _Turn[Item]) -> None:
        try:
            if (rest_s := turn.ends_at - self._clock.monotonic()) > 0:  # else the turn before took that long
                await sleep(self._clock, rest_s)
            if self._turn is turn:
                self._turn = _Turn()
            await self._keep([item for batch in turn.batches for item in batch])
            turn.is_kept = True
        except StoreError:
            if len(turn.batches) == 1:
                raise
        finally:
            turn.is_over = True
            if self._turn is turn:  # cancelled while it gathered: the others keep their own
                self._turn = _Turn()
