"""A store on this machine's disk: what the disk can do to it."""

import asyncio
import json
import os
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from disk import small_disk
from making import step
from sqlalchemy import text

from voiceedge.context.storage.database import FILE, Database
from voiceedge.context.storage.sqlite import Sqlite
from voiceedge.context.storage.store import Store
from voiceedge.errors import StoreError


@asynccontextmanager
async def sqlite_store(directory: Path) -> AsyncIterator[Store]:
    database = Database(Sqlite(directory / FILE))
    await database.open()
    yield Store(database, "seoul")
    await database.close()


async def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    async with sqlite_store(tmp_path):
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


async def ids(store: Store) -> list[str]:
    return [json.loads(event.body)["id"] for event in await store.pending(100_000)]


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
        pytest.skip("mounting a small file system needs root")
    with disk(tmp_path) as full:
        database = Database(Sqlite(tmp_path / FILE))
        await database.open()
        store = Store(database, "seoul")
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
            assert set(await ids(store)) == set(acknowledged)  # reading goes on
            with pytest.raises(StoreError):
                await store.ingest(batch)
        await store.ingest(batch)
        acknowledged += [event.id for event in batch]
        assert await ids(store) == acknowledged
        await database.close()


async def test_a_database_held_by_another_program_is_told_and_then_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voiceedge.context.storage.sqlite.BUSY_MS", 50)
    async with sqlite_store(tmp_path) as store:
        with sqlite3.connect(tmp_path / FILE, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="another program holds the database"):
                await store.ingest([step(1)])
            other.execute("ROLLBACK")
        assert await store.ingest([step(1)]) == 1


async def test_transactions_are_transactions_after_one_that_could_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voiceedge.context.storage.sqlite.BUSY_MS", 50)
    database = Database(Sqlite(tmp_path / FILE))
    await database.open()
    with sqlite3.connect(tmp_path / FILE, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError):
            await Store(database, "seoul").ingest([step(1)])
        other.execute("ROLLBACK")
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what fails is the rest of the block
        async with database.begin() as connection:
            await connection.execute(text("DELETE FROM alembic_version"))
            _ = 1 / 0
    async with database.begin() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM alembic_version"))).scalar_one() == 1
    await database.close()


async def test_a_file_that_is_no_database_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"call detail records\n" * 400)
    with pytest.raises(StoreError, match=r"no database.*backup"):
        await Database(Sqlite(tmp_path / FILE)).open()


async def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    async with sqlite_store(tmp_path) as store:
        await store.ingest([step(number) for number in range(200)])
    file = tmp_path / FILE
    content = bytearray(file.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    file.write_bytes(content)
    database = Database(Sqlite(file))
    with pytest.raises(StoreError, match="damaged"):  # noqa: PT012 - wherever the damage lies, one of both finds it
        await database.open()
        await Store(database, "seoul").ingest([step(1)])
    await database.close()


async def test_a_service_that_ends_waits_for_no_transaction_for_ever(tmp_path: Path) -> None:
    """As the end of the loop does: what runs, closing what was cancelled included, is cancelled at any moment of it."""
    others = asyncio.all_tasks()
    for moments in range(60):
        database = Database(Sqlite(tmp_path / f"{moments}.db"))
        await database.open()

        async def transact(database: Database = database) -> None:
            async with database.begin() as connection:
                await connection.execute(text("SELECT 1"))
                await asyncio.sleep(0)

        work = asyncio.create_task(transact())
        for _ in range(moments % 20):
            await asyncio.sleep(0.0001)
        work.cancel()
        for _ in range(moments // 20):
            await asyncio.sleep(0)
        while left := asyncio.all_tasks() - others:
            for task in left:
                task.cancel()
            _, pending = await asyncio.wait(left, timeout=60)
            assert not pending
        await database.close()
