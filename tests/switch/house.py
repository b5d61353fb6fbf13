"""One node's service on a real database, with a clock that is moved by hand; several may share both."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from voiceedge.clock import VirtualClock
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.storage.database import Database

MONDAY_10 = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)  # 10:00 in Seoul


class House:
    """`told` gives the data of its events whose type begins with `events_of`."""

    events_of = "voiceedge."

    def __init__(self, database: Database, clock: VirtualClock | None) -> None:
        self.clock = clock or VirtualClock(MONDAY_10)
        self.database = database
        self.events: list[StampedEvent] = []
        self._stack = AsyncExitStack()

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def open(self, service: AbstractAsyncContextManager[Any]) -> None:
        await self.database.open()
        self._stack.push_async_callback(self.database.close)
        await self._stack.enter_async_context(service)

    async def publish(self, batch: Sequence[StampedEvent]) -> None:
        self.events += batch

    def told(self, kind: str) -> list[Any]:
        return [event.data for event in self.events if event.type == f"{self.events_of}{kind}"]
