"""What the store promises, in each database it can be in."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from making import CLOCK, one_of_each, stamped, step
from sqlalchemy import update

from voiceedge.context.cloudevents import CloudEvent
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.store import Store
from voiceedge.context.storage.tables import conversations, outbox
from voiceedge.errors import StoreError


async def bodies(store: Store) -> list[CloudEvent]:
    return [CloudEvent.model_validate_json(event.body) for event in await store.pending(100_000)]


async def test_events_and_their_record_are_kept_together(store: Store) -> None:
    await store.ingest([stamped(data) for data in one_of_each()])
    assert [int(event.sequence) for event in await bodies(store)] == list(range(1, 13))
    record = await store.conversation("conversation-1")
    assert record
    assert (record.customer, record.intent, record.outcome) == ("c0ffee", "delivery", "done")


async def test_an_event_that_comes_again_is_kept_once(store: Store) -> None:
    batch = [step(1), step(2)]
    assert await store.ingest(batch) == 2
    assert await store.ingest([*batch, batch[0], step(3)]) == 1
    assert [event.sequence for event in await bodies(store)] == ["1", "2", "3"]
    record = await store.conversation("conversation-1")
    assert record
    assert [entry.step for entry in record.journey] == ["step-1", "step-2", "step-3"]


async def test_each_conversation_is_counted_by_itself(store: Store) -> None:
    await store.ingest([step(1, "a"), step(1, "b"), step(2, "a")])
    await store.ingest([step(2, "b"), step(3, "a")])
    assert [(event.subject, event.sequence) for event in await bodies(store)] == [
        ("a", "1"), ("b", "1"), ("a", "2"), ("b", "2"), ("a", "3"),
    ]  # fmt: skip


async def test_everything_is_there_after_a_restart(database: Database, new_database: Callable[..., Database]) -> None:
    await Store(database, "seoul").ingest([step(1)])
    await database.close()
    reopened = new_database()
    await reopened.open()
    again = Store(reopened, "seoul")
    assert len(await again.pending(10)) == 1
    await again.ingest([step(2)])
    assert [event.sequence for event in await bodies(again)] == ["1", "2"]
    await reopened.close()


async def test_published_events_are_pending_no_more_and_can_be_offered_again(store: Store) -> None:
    await store.ingest([step(number) for number in range(5)])
    positions = [event.position for event in await store.pending(10)]
    await store.mark_published(positions[:2], CLOCK.now() - timedelta(minutes=1))
    await store.mark_published(positions[2:4], CLOCK.now())
    assert [event.position for event in await store.pending(10)] == positions[4:]
    assert await store.reoffer(10_000) == 2
    assert [event.position for event in await store.pending(10)] == positions[2:]


async def test_only_published_events_are_pruned_by_age_and_number(store: Store) -> None:
    await store.ingest([step(number) for number in range(10)])
    positions = [event.position for event in await store.pending(10)]
    await store.mark_published(positions[:2], CLOCK.now() - timedelta(days=2))
    await store.mark_published(positions[2:6], CLOCK.now())
    assert await store.prune(CLOCK.now() - timedelta(days=1), keep=100) == 2
    assert await store.prune(CLOCK.now() - timedelta(days=1), keep=6) == 2
    assert await store.prune(CLOCK.now() - timedelta(days=1), keep=1) == 2
    assert [event.position for event in await store.pending(10)] == positions[6:]


async def test_a_broken_record_does_not_hold_up_its_events(database: Database) -> None:
    await Store(database, "seoul").ingest([step(1)])
    async with database.begin() as connection:
        await connection.execute(update(conversations).values(record="{"))
    store = Store(database, "seoul")
    await store.ingest([step(2)])
    assert [event.sequence for event in await bodies(store)] == ["1", "2"]


async def test_an_error_never_quotes_what_was_to_be_written(database: Database, store: Store) -> None:
    async with database.begin() as connection:
        await connection.run_sync(outbox.drop)
    with pytest.raises(StoreError) as caught:
        await store.ingest([stamped(one_of_each()[0], slots={"name": {"value": "홍길동"}})])
    assert "홍길동" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_cancelled_write_leaves_the_store_working(store: Store) -> None:
    for delay in (0.0, 0.001, 0.003, 0.01):
        writing = asyncio.create_task(store.ingest([step(number) for number in range(300)]))
        await asyncio.sleep(delay)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    before = len(await store.pending(10_000))
    assert before % 300 == 0  # all or nothing
    await store.ingest([step(1)])
    assert len(await store.pending(10_000)) == before + 1
