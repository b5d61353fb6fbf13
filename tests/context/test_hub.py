"""Who listens gets each committed event once and in order, wherever it was written, and can go on where it stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from making import CLOCK, stamped, step
from sqlalchemy import text

from voiceedge.context.cloudevents import publish_form
from voiceedge.context.events.digital import ConversationContinued
from voiceedge.context.publishing import hub as hubs
from voiceedge.context.publishing.hub import Delivery, Hub, Missed, Subscription
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.store import Store
from voiceedge.errors import CursorError


@asynccontextmanager
async def running(database: Database) -> AsyncIterator[Hub]:
    hub = Hub(database, CLOCK)
    async with running_hub(hub):
        yield hub


@asynccontextmanager
async def running_hub(hub: Hub) -> AsyncIterator[None]:
    task = asyncio.create_task(hub.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def some(subscription: Subscription, count: int) -> list[Delivery]:
    async with asyncio.timeout(100):
        return [await anext(subscription) for _ in range(count)]


def steps(deliveries: list[Delivery]) -> list[str]:
    return [delivery.event.data["step"] for delivery in deliveries]


async def test_who_listens_gets_what_is_committed_from_then_on(store: Store, database: Database) -> None:
    await store.ingest([step(0)])
    async with running(database) as hub, hub.subscribe() as subscription:
        await store.ingest([step(1), step(2, "other")])
        hub.wake()
        first = await some(subscription, 2)
        await store.ingest([step(3)])
        hub.wake()
        (last,) = await some(subscription, 1)
    assert steps([*first, last]) == ["step-1", "step-2", "step-3"]
    assert last.tenant == "main"


async def test_what_is_committed_here_is_not_read_back_unless_others_came_in_between(
    new_database: Callable[..., Database], store: Store, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    another, hub = new_database("node-2"), Hub(database, CLOCK)
    await another.open()
    store.listeners.append(lambda commit: hub.offer(commit.events))
    async with hub.subscribe() as subscription:
        await store.ingest([step(1)])
        await some(subscription, 1)
        await hub.catch_up(subscription)
        with monkeypatch.context() as patched:
            patched.setattr(hub, "_page", None)
            await store.ingest([step(2), step(3, "other")])
            own = await some(subscription, 2)
        await Store(another, "seoul").ingest([step(4)])
        async with running_hub(hub):
            await store.ingest([step(5)])
            assert steps([*own, *await some(subscription, 2)]) == ["step-2", "step-3", "step-4", "step-5"]
    await another.close()


async def test_who_was_away_goes_on_where_it_stopped(store: Store, database: Database, monkeypatch) -> None:
    monkeypatch.setattr(hubs, "PAGE", 7)
    async with running(database) as hub:
        async with hub.subscribe() as subscription:
            await store.ingest([step(number) for number in range(3)])
            hub.wake()
            cursor = (await some(subscription, 2))[-1].cursor
        await store.ingest([step(number) for number in range(3, 40)])
        async with hub.subscribe(after=cursor) as subscription:
            early = await some(subscription, 10)
            await store.ingest([step(number) for number in range(40, 50)])
            hub.wake()
            late = await some(subscription, 38)
    assert steps(early + late) == [f"step-{number}" for number in range(2, 50)]


async def test_who_reads_slowly_misses_nothing(store: Store, database: Database, monkeypatch) -> None:
    monkeypatch.setattr(hubs, "QUEUED", 5)
    async with running(database) as hub, hub.subscribe() as slow, hub.subscribe() as quick:
        await store.ingest([step(0)])
        hub.wake()
        assert steps(await some(slow, 1) + await some(quick, 1)) == ["step-0"] * 2
        for number in range(1, 60):
            await store.ingest([step(number)])
            hub.wake()
            await some(quick, 1)
        assert not slow.is_live
        assert steps(await some(slow, 59)) == [f"step-{number}" for number in range(1, 60)]
        await store.ingest([step(60)])
        hub.wake()
        assert steps(await some(slow, 1)) == ["step-60"]


async def test_filters_are_of_tenant_conversation_and_type(store: Store, database: Database) -> None:
    async with (
        running(database) as hub,
        hub.subscribe(tenant="shop") as shop,
        hub.subscribe(conversation="b") as only_b,
        hub.subscribe(types={ConversationContinued.type}) as continued,
    ):
        event = ConversationContinued(interaction="i", channel="phone", by="pin", trust="proved", joined="b")
        await store.ingest([stamped(step(1).data, "a", tenant="shop"), step(2, "b")])
        await store.join(visit="b", into=(await opened(store, "c")))
        await store.ingest([stamped(event, "c"), step(3, "b")])
        hub.wake()
        assert [(one.event.subject, one.tenant) for one in await some(shop, 1)] == [("a", "shop")]
        assert [one.event.subject for one in await some(only_b, 3)] == ["b", "c", "c"]
        assert [one.event.type for one in await some(continued, 1)] == [ConversationContinued.type]


async def opened(store: Store, name: str) -> str:
    await store.ingest([step(0, name)])
    return name


async def test_a_cursor_that_is_too_old_is_told(store: Store, database: Database) -> None:
    await store.ingest([step(number) for number in range(10)])
    pending = await store.pending(10)
    await store.mark_published([event.position for event in pending[:6]], CLOCK.now())
    await store.prune(CLOCK.now().replace(year=2000), keep=4)
    async with running(database) as hub:
        async with hub.subscribe(after=str(pending[2].position)) as subscription:
            missed, *events = await some(subscription, 5)
        async with hub.subscribe(after=str(pending[5].position)) as subscription:
            whole = await some(subscription, 4)
        async with hub.subscribe(after="999999") as subscription:
            assert isinstance(await anext(subscription), Missed)
        for wrong in ("", "x", "-1", "1" * 30, "٣"):
            with pytest.raises(CursorError):
                async with hub.subscribe(after=wrong):
                    pass
    assert isinstance(missed, Missed)
    assert steps(events) == steps(whole) == [f"step-{number}" for number in range(6, 10)]


async def test_events_of_all_nodes_come_once_and_in_order_while_they_write_at_once(
    new_database: Callable[..., Database], database: Database
) -> None:
    nodes = [database]
    if database.shared:
        nodes += [new_database(f"node-{number}") for number in (2, 3)]
        await asyncio.gather(*(node.open() for node in nodes[1:]))
    stores = [Store(node, "seoul") for node in nodes]

    async def write(which: int) -> None:
        for number in range(25):
            await stores[which].ingest([step(number, f"of-{which}"), step(number, "shared")])
            hub.wake()

    async with running(database) as hub, hub.subscribe() as subscription:
        writing = asyncio.gather(*map(write, range(len(nodes))))
        got = await some(subscription, 50 * len(nodes))
        await writing
    assert len({one.event.id for one in got}) == len(got)
    positions = [int(one.cursor) for one in got]
    assert positions == sorted(positions)
    for name in {one.event.subject for one in got}:
        sequences = [int(one.event.sequence) for one in got if one.event.subject == name]
        assert sequences == list(range(1, len(sequences) + 1))
    for node in nodes[1:]:
        await node.close()


async def test_what_another_node_is_late_to_commit_is_not_passed_over(new_node: Callable[..., Database]) -> None:
    late, quick = new_node("late"), new_node("quick")
    await asyncio.gather(late.open(), quick.open())
    late_store, quick_store = Store(late, "seoul"), Store(quick, "seoul")
    async with running(quick) as hub, hub.subscribe() as subscription:
        async with late.begin() as connection:
            event = publish_form(step(1, "late"), "seoul", 1)
            row = {
                "event_id": event.id,
                "conversation_id": "late",
                "body": event.model_dump_json(),
                "node": "late",
                "tenant": "main",
            }
            await late_store._add_to_outbox(connection, [row])
            ingesting = asyncio.create_task(quick_store.ingest([step(2, "quick")]))
            waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            async with asyncio.timeout(60):
                while not ingesting.done() and not (await connection.scalars(waits)).one():  # noqa: ASYNC110 - a server's
                    await asyncio.sleep(0.01)
            hub.wake()
            with suppress(TimeoutError):  # what is read now must not be the later one alone
                async with asyncio.timeout(5):
                    await hub.catch_up(subscription)
        await ingesting
        hub.wake()
        assert [one.event.subject for one in await some(subscription, 2)] == ["late", "quick"]
    await asyncio.gather(late.close(), quick.close())
