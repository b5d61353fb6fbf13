"""Whatever fails between a worker's batch and a subscriber, and in whatever order: no event is lost, twice or late."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import step, until

from voiceedge.bus.client import Message
from voiceedge.clock import VirtualClock
from voiceedge.context.cloudevents import CloudEvent, StampedEvent
from voiceedge.context.publishing.follow import Seen
from voiceedge.context.publishing.outbox import Outbox
from voiceedge.context.storage.database import FILE, Database
from voiceedge.context.storage.lease import Lease
from voiceedge.context.storage.sqlite import Sqlite
from voiceedge.context.storage.store import Commit, Store
from voiceedge.errors import BusError, StoreError

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
TICK_S = 0.1
DELIVERY_S = 2.0  # from PUBACK to the subscriber
BACK_S = 1.0  # until a subscriber has found a broker that is back
PATIENCE = 3_000  # ticks


class FlakyStore(Store):
    """Of its next operations some fail as `troubles` says: before anything was done, or with only the answer lost."""

    troubles: deque[str]

    async def _with_trouble(self, work: Callable[[], Any]) -> Any:
        trouble = self.troubles.popleft() if self.troubles else "none"
        if trouble == "before":
            raise StoreError("the disk is full")
        result = await work()
        if trouble == "after":
            raise StoreError("the connection was lost")
        return result

    async def ingest(self, batch: Sequence[StampedEvent]) -> int:
        return await self._with_trouble(lambda: super(FlakyStore, self).ingest(batch))

    async def pending(self, limit: int, after: int = 0) -> Any:
        return await self._with_trouble(lambda: super(FlakyStore, self).pending(limit, after))

    async def mark_published(self, *arguments: Any) -> None:
        await self._with_trouble(lambda: super(FlakyStore, self).mark_published(*arguments))

    async def reoffer(self, span_ms: int) -> int:
        return await self._with_trouble(lambda: super(FlakyStore, self).reoffer(span_ms))


class ForgetfulBroker:
    """Acknowledges at once and delivers later. What is on its way when it is killed is gone, session or not."""

    def __init__(self, clock: VirtualClock, name: str) -> None:
        self._clock, self._name = clock, name
        self._is_up = True
        self._remembers = False
        self._subscriber_back_at = 0.0
        self._on_their_way: deque[tuple[float, Message]] = deque()
        self._connections: set[OneConnection] = set()
        self._seen = Seen()
        self.handled: list[CloudEvent] = []

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["OneConnection"]:
        if not self._is_up:
            raise BusError("the broker cannot be reached")
        connection = OneConnection(self, session_present=self._remembers)
        self._connections.add(connection)
        self._remembers = True
        try:
            yield connection
        finally:
            self._connections.discard(connection)

    def take(self, message: Message) -> None:
        if "/events/" in message.topic and self._clock.monotonic() >= self._subscriber_back_at:
            self._on_their_way.append((self._clock.monotonic() + DELIVERY_S, message))

    def deliver(self) -> None:
        while self._on_their_way and self._on_their_way[0][0] <= self._clock.monotonic():
            event = CloudEvent.model_validate_json(self._on_their_way.popleft()[1].payload)
            if self._seen.add(event) and event.subject.startswith(self._name):  # not what an earlier trial has left
                self.handled.append(event)

    def kill(self, *, remembers: bool) -> None:
        self._is_up, self._remembers = False, remembers
        self._on_their_way.clear()
        for connection in self._connections:
            connection.ended.set()

    def start(self) -> None:
        self._is_up, self._subscriber_back_at = True, self._clock.monotonic() + BACK_S


class OneConnection:
    def __init__(self, broker: ForgetfulBroker, *, session_present: bool) -> None:
        self._broker, self.session_present, self.ended = broker, session_present, asyncio.Event()

    async def lost(self) -> None:
        await self.ended.wait()
        raise BusError("the connection was lost")

    async def publish(self, messages: Sequence[Message], acknowledged: Callable[[int], None]) -> None:
        for index, message in enumerate(messages):
            if self.ended.is_set():
                raise BusError("the connection was lost")
            self._broker.take(message)
            if index % 2:
                await asyncio.sleep(0)  # here it may be killed, with this one taken and not acknowledged
            if not self.ended.is_set():
                acknowledged(index)


bring = st.tuples(st.just("bring"), st.integers(0, 2), st.integers(1, 5))
again = st.tuples(st.just("again"), st.integers(0, 9), st.just(0))
disk = st.tuples(st.just("disk"), st.integers(1, 4), st.integers(0, 15))
kill = st.tuples(st.just("kill"), st.booleans(), st.integers(0, 20))
wait = st.tuples(st.just("wait"), st.integers(1, 20), st.just(0))
plans = st.lists(st.one_of(bring, bring, again, disk, kill, wait), min_size=3, max_size=14)


class Trial:
    def __init__(self, store: FlakyStore, number: int, *, is_told: bool) -> None:
        self._store, self._name = store, f"trial-{number}-"
        self._clock = VirtualClock(BEGINNING + number * timedelta(hours=1))  # after whatever the database has
        self._broker = ForgetfulBroker(self._clock, self._name)
        self._outbox = Outbox(store, self._broker.connect, self._clock, site="seoul", keep=1_000_000)
        store.listeners = [self._told] if is_told else []
        self._batches: list[list[StampedEvent]] = []
        self._sent: dict[str, list[str]] = {}

    async def run(self, plan: Sequence[tuple[str, Any, int]]) -> None:
        publishing = asyncio.ensure_future(self._outbox.run())
        try:
            await self._bring(0, 1)
            await self._all_handled()  # who was never there has missed nothing
            for action, what, many in plan:
                await getattr(self, f"_{action}")(what, many)
            self._store.troubles.clear()
            await self._all_handled()
            await self._ticks(30)  # time for anything that comes twice
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
        for conversation, ids in self._sent.items():
            events = [event for event in self._broker.handled if event.subject == conversation]
            assert [event.id for event in events] == ids
            assert [int(event.sequence) for event in events] == list(range(1, len(ids) + 1))

    async def _bring(self, number: int, many: int) -> None:
        conversation = f"{self._name}{number}"
        batch = [step(index, conversation) for index in range(many)]
        self._sent.setdefault(conversation, []).extend(event.id for event in batch)
        self._batches.append(batch)
        await self._ingest(batch)

    async def _again(self, which: int, _: int) -> None:
        if self._batches:
            await self._ingest(self._batches[which % len(self._batches)])

    async def _ingest(self, batch: Sequence[StampedEvent]) -> None:
        """As a worker does: until it is acknowledged."""
        while True:
            try:
                await self._store.ingest(batch)
            except StoreError:
                await self._ticks(1)
            else:
                if not self._store.listeners:
                    self._outbox.wake()
                return

    def _told(self, commit: Commit) -> None:
        """As in the service: what was committed need not be read, unless something else came in between."""
        self._outbox.offer(commit.events)

    async def _disk(self, times: int, pattern: int) -> None:
        self._store.troubles.extend(("before" if pattern >> bit & 1 else "after") for bit in range(times))

    async def _kill(self, remembers: bool, ticks: int) -> None:
        self._broker.kill(remembers=remembers)
        await self._ticks(ticks)
        self._broker.start()

    async def _wait(self, ticks: int, _: int) -> None:
        await self._ticks(ticks)

    async def _ticks(self, count: int) -> None:
        for _ in range(count):
            await self._tick()

    async def _tick(self) -> None:
        await self._store.newest()  # the database is a real one: what was asked of it before this is done
        await self._clock.advance(TICK_S)
        self._broker.deliver()

    async def _all_handled(self) -> None:
        for _ in range(PATIENCE):
            if len(self._broker.handled) >= sum(map(len, self._sent.values())):
                return
            await self._tick()
        pytest.fail(f"{len(self._broker.handled)} of {self._sent} came")


def test_no_interleaving_of_failures_loses_repeats_or_reorders_an_event(tmp_path):
    database = Database(Sqlite(tmp_path / FILE))
    store, trials = FlakyStore(database, "seoul"), iter(range(1_000_000))
    with asyncio.Runner() as runner:
        runner.run(database.open())

        @settings(max_examples=40)
        @given(plans, st.booleans())
        def try_it(plan: Sequence[tuple[str, Any, int]], is_told: bool) -> None:
            store.troubles = deque()
            runner.run(Trial(store, next(trials), is_told=is_told).run(plan))

        try_it()
        runner.run(database.close())


class Right:
    """A lease that can be lost."""

    is_ours = True

    def check(self) -> None:
        if not self.is_ours:
            raise StoreError("this node was stopped for longer than its lease")


async def test_what_others_have_published_while_the_right_was_theirs_is_not_published_again(tmp_path) -> None:
    database = Database(Sqlite(tmp_path / FILE))
    await database.open()
    clock, right, store = VirtualClock(BEGINNING), Right(), Store(database, "seoul")
    broker = ForgetfulBroker(clock, "")
    outbox = Outbox(store, broker.connect, clock, site="seoul", keep=1_000_000, lease=cast("Lease", right))
    store.listeners.append(lambda commit: outbox.offer(commit.events))

    async def until_published(events: int) -> None:
        for _ in range(PATIENCE):
            if outbox.state.published == events and not await store.count_pending():
                return
            await store.newest()
            await clock.advance(TICK_S)
        pytest.fail(f"{outbox.state.published} instead of {events} were published")

    publishing = asyncio.ensure_future(outbox.run())
    try:
        await store.ingest([step(1)])
        await until_published(1)
        right.is_ours = False
        await store.ingest([step(2)])
        await until(lambda: outbox.state.problem is not None)
        await store.mark_published([event.position for event in await store.pending(10)], clock.now())
        right.is_ours = True
        await until_published(1)
        await store.ingest([step(3)])
        await until_published(2)
    finally:
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        await database.close()
