"""Committed events as they come, for whoever listens in this process: those of other nodes too, from any position on.

```
 outbox   … 41 42 43 44 45 46        a position is visible when all before it are (`Store._add_to_outbox`)
 hub                    └──────► queue of each who is up to date
 late or slow  └─ reads the outbox itself, from where it is, until it is up to date
```
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property

import structlog
from sqlalchemy import func, select

from voiceedge.clock import Clock, sleep, timeout
from voiceedge.context.cloudevents import CloudEvent
from voiceedge.context.events.digital import ConversationContinued
from voiceedge.context.storage import rows as stored
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.digital_tables import outbox_pruned
from voiceedge.context.storage.store import Added
from voiceedge.context.storage.tables import outbox
from voiceedge.errors import CursorError, StoreError

PAGE = 500  # events
QUEUED = 1_000  # events that a subscriber may be behind in memory
LOOK_S = 0.25  # what other nodes have added is looked for, while somebody listens
AGAIN_S = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event, and the cursor with which what follows it can be asked for."""

    cursor: str
    tenant: str
    event: CloudEvent


@dataclass(frozen=True, slots=True)
class Missed:
    """Events before those that come now are forgotten already: whoever needs them must read the conversations anew."""

    cursor: str


@dataclass(frozen=True)
class _Row:
    position: int
    tenant: str
    conversation: str
    body: str

    @cached_property
    def delivery(self) -> Delivery:
        return Delivery(str(self.position), self.tenant, CloudEvent.model_validate_json(self.body))


class Subscription:
    """`async for delivery in subscription`: each event once and in order, without end; never more than `QUEUED` wait.

    One who reads slowly misses nothing: what does not fit is read from the database when its turn has come.
    """

    def __init__(
        self, hub: "Hub", position: int, tenant: str | None, conversations: set[str], types: Collection[str] | None
    ) -> None:
        self._hub, self._tenant, self._conversations, self._types = hub, tenant, conversations, types
        self._queue: deque[Delivery | Missed] = deque()
        self._some = asyncio.Event()
        self.position = position  # up to which events are in the queue, or were
        self.is_live = False

    def __aiter__(self) -> AsyncIterator[Delivery | Missed]:
        return self

    async def __anext__(self) -> Delivery | Missed:
        while not self._queue:
            if self.is_live:
                self._some.clear()
                await self._some.wait()
            else:
                await self._hub.catch_up(self)
        return self._queue.popleft()

    def offer(self, rows: Iterable[_Row]) -> None:
        for row in rows:
            if row.position <= self.position:
                continue
            if self._is_wanted(row):
                if len(self._queue) >= QUEUED:
                    self.is_live = False
                    break
                self._queue.append(row.delivery)
            self.position = row.position
        self._some.set()

    def missed(self) -> None:
        self._queue.append(Missed(str(self.position)))

    def _is_wanted(self, row: _Row) -> bool:
        if self._tenant is not None and row.tenant != self._tenant:
            return False
        if self._conversations and ConversationContinued.type in row.body:
            event = row.delivery.event  # one of ours may have been joined into another
            if event.type == ConversationContinued.type and event.data.get("joined") in self._conversations:
                self._conversations.add(row.conversation)
        if self._conversations and row.conversation not in self._conversations:
            return False
        return self._types is None or row.delivery.event.type in self._types


class Hub:
    """`run` must run beside; without a subscriber it asks the database for nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._subscriptions: set[Subscription] = set()
        self._wake = asyncio.Event()
        self._position: int | None = None  # of the last event given to those that are up to date

    def wake(self) -> None:
        """There are new events."""
        self._wake.set()

    def offer(self, events: Sequence[Added]) -> None:
        """These were committed here just now: where they follow on what was handed on, nothing need be read."""
        live = [one for one in self._subscriptions if one.is_live]
        if not live or self._position is None or events[0].position != self._position + 1:
            self._wake.set()
            return
        rows = [_Row(one.position, one.tenant, one.conversation, one.body) for one in events]
        for subscription in live:
            subscription.offer(rows)
        self._position = rows[-1].position

    @asynccontextmanager
    async def subscribe(
        self,
        *,
        tenant: str | None = None,
        conversation: str | None = None,
        types: Collection[str] | None = None,
        after: str | None = None,
    ) -> AsyncIterator[Subscription]:
        """What is committed from now on, or `after` the event of this cursor; all where a filter is None.

        Of `conversation` also under the id of the one it is a part of. Where the cursor is too old, or not of this
        database, a `Missed` comes first. Raises CursorError and StoreError.
        """
        wanted = _position(after) if after is not None else None
        newest, pruned = await self._ends()
        conversations = await self._names(conversation) if conversation else set()
        begin = newest if wanted is None else wanted
        lost = begin < pruned or begin > newest
        subscription = Subscription(self, min(max(begin, pruned), newest), tenant, conversations, types)
        if lost:
            subscription.missed()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def run(self) -> None:
        """Hand on new events, for ever."""
        while True:
            with suppress(TimeoutError):
                others = self._database.shared and self._subscriptions
                async with timeout(self._clock, LOOK_S if others else None):
                    await self._wake.wait()
            self._wake.clear()
            try:
                while await self._hand_on() == PAGE:
                    pass
            except StoreError as error:
                log.warning("events_not_handed_on", problem=str(error), effect="subscribers wait")
                await sleep(self._clock, AGAIN_S)
                self._wake.set()

    async def catch_up(self, subscription: Subscription) -> None:
        """Give it the next events from the database; with the last of them it is up to date."""
        shared = self._position
        try:
            if subscription.position < await self._pruned():
                subscription.position = await self._pruned()
                subscription.missed()
            rows = await self._page(subscription.position)
        except StoreError as error:
            log.warning("events_not_read", problem=str(error), effect="a subscriber waits")
            await sleep(self._clock, AGAIN_S)
            return
        subscription.offer(rows)
        if not rows and shared is not None:
            subscription.position = max(subscription.position, shared)
        live = [one for one in self._subscriptions if one.is_live]
        if not live or self._position is None:
            self._position = subscription.position
        subscription.is_live = len(rows) < PAGE and subscription.position >= self._position
        self._wake.set()  # for what was added between our reading and now

    async def _hand_on(self) -> int:
        live = [one for one in self._subscriptions if one.is_live]
        if not live or self._position is None:
            return 0
        asked = self._position
        rows = await self._page(asked)
        if self._position < asked:  # somebody else is the one to go by, and has not seen all before these
            self._wake.set()
            return 0
        if rows:
            for subscription in self._subscriptions:
                if subscription.is_live:
                    subscription.offer(rows)
            self._position = max(self._position, rows[-1].position)
        return len(rows)

    async def _page(self, after: int) -> list[_Row]:
        columns = outbox.c.position, outbox.c.tenant, outbox.c.conversation_id, outbox.c.body
        query = select(*columns).where(outbox.c.position > after).order_by(outbox.c.position).limit(PAGE)
        async with self._database.begin() as connection:
            return [_Row(*row) for row in await connection.execute(query)]

    async def _ends(self) -> tuple[int, int]:
        """The newest position there is, and the highest that was forgotten."""
        async with self._database.begin() as connection:
            newest = (await connection.execute(select(func.max(outbox.c.position)))).scalar_one() or 0
            pruned = (await connection.execute(select(func.max(outbox_pruned.c.position)))).scalar_one() or 0
        return max(newest, pruned), pruned

    async def _pruned(self) -> int:
        return (await self._ends())[1]

    async def _names(self, conversation: str) -> set[str]:
        async with self._database.begin() as connection:
            return {conversation, *(await stored.targets(connection, [conversation])).values()}


def _position(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):  # noqa: PLR2004 - of a 64-bit number
        raise CursorError("this is no cursor of ours: give one that came with an event, or none")
    return int(cursor)
