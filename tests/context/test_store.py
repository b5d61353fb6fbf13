import asyncio
import os
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from disk import small_disk
from making import CLOCK, one_of_each, stamped, step
from sqlalchemy import create_engine

from voiceedge.context.cloudevents import CloudEvent
from voiceedge.context.store import FILE, Store
from voiceedge.context.tables import metadata
from voiceedge.errors import StoreError


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path, "seoul")
    await store.open()
    yield store
    await store.close()


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


async def test_everything_is_there_after_a_restart(tmp_path: Path, store: Store) -> None:
    await store.ingest([step(1)])
    await store.close()
    again = Store(tmp_path, "seoul")
    await again.open()
    assert len(await again.pending(10)) == 1
    await again.ingest([step(2)])
    assert [event.sequence for event in await bodies(again)] == ["1", "2"]
    await again.close()


async def test_the_database_is_for_its_owner_only(tmp_path: Path, store: Store) -> None:
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


async def test_the_migrations_make_the_tables_that_queries_use(tmp_path: Path, store: Store) -> None:
    await store.close()
    with create_engine(f"sqlite:///{tmp_path / FILE}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


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


async def test_a_broken_record_does_not_hold_up_its_events(tmp_path: Path, store: Store) -> None:
    await store.ingest([step(1)])
    await store.close()
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("UPDATE conversations SET record = '{'")
    store = Store(tmp_path, "seoul")
    await store.open()
    await store.ingest([step(2)])
    assert [event.sequence for event in await bodies(store)] == ["1", "2"]
    await store.close()


@contextmanager
def limited_files(directory: Path) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Files that may not grow: a quota, as the process sees it."""

    @contextmanager
    def full() -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        largest = max(file.stat().st_size for file in directory.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    yield full


@pytest.mark.parametrize("disk", [small_disk, limited_files])
async def test_a_full_disk_is_told_and_loses_nothing(
    tmp_path: Path, disk: Callable[[Path], AbstractContextManager[Callable[[], AbstractContextManager[None]]]]
) -> None:
    acknowledged: list[str] = []
    problem = StoreError("none: the disk was not full")
    if disk is small_disk and os.getuid():
        pytest.skip("needs root")
    with disk(tmp_path) as full:
        store = Store(tmp_path, "seoul")
        await store.open()
        batches = [[step(10 * batch + number) for number in range(10)] for batch in range(200)]
        with full():
            for batch in batches:
                try:
                    await store.ingest(batch)
                except StoreError as error:
                    problem = error
                    break
                acknowledged += [event.id for event in batch]
            assert problem.can_retry
            assert str(tmp_path) in str(problem)
            assert "space" in str(problem) or "full" in str(problem)
            assert {event.id for event in await bodies(store)} == set(acknowledged)  # reading goes on
            with pytest.raises(StoreError):
                await store.ingest(batch)
        await store.ingest(batch)
        acknowledged += [event.id for event in batch]
        assert [event.id for event in await bodies(store)] == acknowledged
        await store.close()


async def test_a_database_held_by_another_program_is_told_and_then_goes_on(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.close()
    monkeypatch.setattr("voiceedge.context.database.BUSY_MS", 50)
    store = Store(tmp_path, "seoul")
    await store.open()
    with sqlite3.connect(tmp_path / FILE, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program holds the database"):
            await store.ingest([step(1)])
        other.execute("ROLLBACK")
    assert await store.ingest([step(1)]) == 1
    await store.close()


async def test_a_file_that_is_no_database_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"call detail records\n" * 400)
    with pytest.raises(StoreError, match=r"no database.*backup"):
        await Store(tmp_path, "seoul").open()


async def test_a_damaged_database_is_told(tmp_path: Path, store: Store) -> None:
    await store.ingest([step(number) for number in range(200)])
    await store.close()
    file = tmp_path / FILE
    content = bytearray(file.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    file.write_bytes(content)
    damaged = Store(tmp_path, "seoul")
    with pytest.raises(StoreError, match="damaged"):  # noqa: PT012 - wherever the damage lies, one of both finds it
        await damaged.open()
        await damaged.ingest([step(1)])
    await damaged.close()


async def test_an_error_never_quotes_what_was_to_be_written(tmp_path: Path, store: Store) -> None:
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("DROP TABLE outbox")
    with pytest.raises(StoreError) as caught:
        await store.ingest([stamped(one_of_each()[0], slots={"name": {"value": "홍길동"}})])
    assert "홍길동" not in str(caught.value)
    assert caught.value.__cause__ is None


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
