"""Several nodes on one database: each event goes out once and in order, whichever node lives."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from making import CLOCK, step, until
from mosquitto import Mosquitto

from voiceedge.bus.client import Broker, connect
from voiceedge.clock import Clock, VirtualClock
from voiceedge.config import Mqtt
from voiceedge.context.publishing.outbox import Outbox
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.lease import LEASE_S, Lease
from voiceedge.context.storage.store import Store
from voiceedge.errors import StoreError

NewNode = Callable[[str], Database]
QUICK_S = 0.6


@dataclass
class Node:
    store: Store
    lease: Lease
    outbox: Outbox

    async def ingest(self, *events) -> None:
        await self.store.ingest(events)
        self.outbox.wake()


@pytest.fixture
async def nodes(new_node: NewNode, mosquitto: Mosquitto) -> AsyncIterator[Callable]:
    """`await nodes("a", …)`: nodes that are there; `async with alive(node)` makes one work."""
    broker = Broker.from_url(mosquitto.url, Mqtt())
    async with AsyncExitStack() as stack:

        async def new(*names: str, lease_s: float = LEASE_S, clock: Clock = CLOCK, machine: str = "") -> list[Node]:
            made = []
            for name in names:
                database = new_node(name)
                await database.open()
                stack.push_async_callback(database.close)
                store = Store(database, "seoul")
                lease = Lease(database, clock, machine=machine or name, keys=lambda: "same", lease_s=lease_s)
                outbox = Outbox(
                    store,
                    lambda name=name: connect(broker, client_id=name),
                    CLOCK,
                    site="seoul",
                    keep=10**6,
                    lease=lease,
                )
                made.append(Node(store, lease, outbox))
            return made

        yield new


@asynccontextmanager
async def alive(*nodes: Node) -> AsyncIterator[None]:
    for node in nodes:
        await node.lease.renew()
    tasks = [
        asyncio.ensure_future(work) for node in nodes for work in (node.lease.keep(node.outbox.wake), node.outbox.run())
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def everything(mosquitto: Mosquitto) -> AsyncIterator[list[tuple[str, int]]]:
    """(conversation, sequence) of each message as it comes: repeated ones, too."""
    seen: list[tuple[str, int]] = []
    async with connect(Broker.from_url(mosquitto.url, Mqtt())) as connection:
        await connection.subscribe("voiceedge/seoul/v1/events/#")

        async def collect() -> None:
            async for message in connection.messages():
                event = json.loads(message.payload)
                seen.append((event["subject"], int(event["sequence"])))

        task = asyncio.create_task(collect())
        yield seen
        task.cancel()


async def test_a_conversation_that_two_nodes_write_at_once_is_one(nodes) -> None:
    a, b = await nodes("a", "b")
    await asyncio.gather(*(node.ingest(step(number)) for number in range(20) for node in (a, b)))
    record = await a.store.conversation("conversation-1")
    assert sorted(entry.step for entry in record.journey) == sorted([f"step-{number}" for number in range(20)] * 2)
    assert record == await b.store.conversation("conversation-1")


async def test_the_same_event_sent_by_two_ways_at_once_is_kept_once(nodes) -> None:
    a, b = await nodes("a", "b")
    batch = [step(number) for number in range(10)]
    assert sorted(await asyncio.gather(a.store.ingest(batch), b.store.ingest(batch))) == [0, 10]


async def test_what_two_nodes_write_goes_out_once_and_in_order(nodes, mosquitto: Mosquitto) -> None:
    a, b = await nodes("a", "b")
    names = [f"c{number}" for number in range(5)]
    async with everything(mosquitto) as seen, alive(a, b):
        for number in range(40):
            node = (a, b)[number % 2]
            await node.ingest(*(step(number, name) for name in (*names, f"of-{number % 2}")))
        await until(lambda: len(seen) >= 240)
        assert await a.outbox.flushed(60)
        assert await b.outbox.flushed(60)
    for name in names:
        assert [sequence for conversation, sequence in seen if conversation == name] == list(range(1, 41))
    assert a.outbox.state.published > 0
    assert b.outbox.state.published > 0


async def test_what_a_dead_node_left_goes_out_by_another(nodes, mosquitto: Mosquitto) -> None:
    dead, living = await nodes("dead", "living", lease_s=QUICK_S)
    await dead.lease.renew()
    await dead.ingest(step(1, "theirs"), step(2, "theirs"))
    async with everything(mosquitto) as seen, alive(living):
        await living.ingest(step(3, "theirs"), step(1, "ours"))
        await until(lambda: len(seen) == 4)
    assert [sequence for name, sequence in seen if name == "theirs"] == [1, 2, 3]


async def test_a_node_that_was_stopped_has_lost_its_right_until_it_asks_again(nodes) -> None:
    clock = VirtualClock()
    (node,) = await nodes("a", clock=clock)
    with pytest.raises(StoreError, match="not reached the database yet"):
        node.lease.check()
    await node.lease.renew()
    await clock.advance(LEASE_S - 0.1)
    node.lease.check()
    await clock.advance(0.1)
    with pytest.raises(StoreError, match="stopped for longer"):
        node.lease.check()
    await node.lease.renew()
    node.lease.check()


async def test_after_the_database_was_away_nobody_is_taken_for_dead_too_soon(nodes) -> None:
    clock = VirtualClock()
    (slow,) = await nodes("slow", lease_s=0.01)
    (quick,) = await nodes("quick", lease_s=0.01, clock=clock)
    await slow.lease.renew()
    await slow.ingest(step(1))
    await clock.advance(100)  # while the database was away
    await asyncio.sleep(0.02)
    assert await quick.lease.renew() == 0
    await clock.advance(0.009)
    assert await quick.lease.renew() == 0
    await clock.advance(0.009)
    assert await quick.lease.renew() == 1


async def test_two_machines_of_one_name_are_told_and_only_one_publishes(nodes) -> None:
    (first,) = await nodes("node-1", machine="first")
    (second,) = await nodes("node-1", machine="second")
    await first.lease.renew()
    with pytest.raises(StoreError, match=r"switch\.node: another machine calls itself node-1"):
        await second.lease.renew()
    with pytest.raises(StoreError):
        second.lease.check()
    await first.lease.renew()


async def test_a_machine_that_was_restarted_goes_on_at_once(nodes) -> None:
    (before,) = await nodes("a")
    await before.lease.renew()
    await before.ingest(step(1))
    (after,) = await nodes("a")
    await after.lease.renew()
    after.lease.check()
    assert await after.store.count_pending() == 1


async def test_each_node_tells_its_own_state(nodes, mosquitto: Mosquitto) -> None:
    a, b = await nodes("a", "b")
    states: list[tuple[str, str]] = []
    async with connect(Broker.from_url(mosquitto.url, Mqtt())) as connection:
        await connection.subscribe("voiceedge/seoul/v1/status/+")

        async def collect() -> None:
            async for message in connection.messages():
                state = json.loads(message.payload)["state"]
                states.append((message.topic.rpartition("/")[2], state))

        task = asyncio.create_task(collect())
        async with alive(a):
            async with alive(b):
                await until(lambda: len(states) == 2)
            await until(lambda: len(states) == 3)
        task.cancel()
    assert sorted(states[:2]) == [("a", "online"), ("b", "online")]
    assert states[2] == ("b", "offline")


async def test_nodes_prune_side_by_side(nodes) -> None:
    a, b = await nodes("a", "b")
    await a.ingest(*(step(number) for number in range(400)))
    await a.store.mark_published([event.position for event in await a.store.pending(1_000)], CLOCK.now())
    pruned = await asyncio.gather(*(node.store.prune(CLOCK.now(), keep=0) for node in (a, b, a, b)))
    assert sum(pruned) == 400
