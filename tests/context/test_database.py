"""The database's own promises: its tables, its transactions, and of several that start at the same moment."""

import asyncio
from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.storage.database import Database
from voiceedge.context.storage.digital_tables import metadata
from voiceedge.context.storage.tables import tokens
from voiceedge.errors import StoreError

TOKEN = {"id": "a", "conversation_id": "c", "channel": "sms", "expires_at_ms": 0}


def differences(connection: Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(connection), metadata)


async def test_the_migrations_make_the_tables_that_queries_use(database: Database) -> None:
    async with database.begin() as connection:
        assert await connection.run_sync(differences) == []


async def test_nodes_that_start_at_the_same_moment_make_the_tables_once(new_empty: Callable[..., Database]) -> None:
    nodes = [new_empty(f"node-{number}") for number in range(4)]
    if not nodes[0].shared:
        nodes = nodes[:1]
    await asyncio.gather(*(node.open() for node in nodes))
    async with nodes[-1].begin() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM alembic_version"))).scalar_one() == 1
    for node in nodes:
        await node.close()


async def test_tables_of_a_newer_release_are_told(database: Database, new_database: Callable[..., Database]) -> None:
    async with database.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    older = new_database()
    with pytest.raises(StoreError, match="upgrade this one too"):
        await older.open()
    await older.close()


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what fails is the rest of the block
        async with database.begin() as connection:
            await connection.execute(insert(tokens).values(TOKEN))
            _ = 1 / 0
    async with database.begin() as connection:
        assert (await connection.execute(select(tokens))).all() == []


async def test_many_transactions_at_once_share_what_connections_there_are(database: Database) -> None:
    async def one(number: int) -> None:
        async with database.begin() as connection:
            await connection.execute(insert(tokens).values({**TOKEN, "id": str(number)}))

    await asyncio.gather(*(one(number) for number in range(40)))
    async with database.begin() as connection:
        assert len((await connection.execute(select(tokens))).all()) == 40


async def test_what_two_nodes_lock_crosswise_is_done_by_both(new_database: Callable[..., Database]) -> None:
    """A deadlock, which PostgreSQL ends by refusing one of them; on SQLite each waits for the other."""
    database = new_database()
    await database.open()
    async with database.begin() as connection:
        await connection.execute(insert(tokens), [TOKEN, {**TOKEN, "id": "b"}])
    both_began = asyncio.Barrier(2) if database.shared else None
    tries = 0

    async def write(order: str) -> str:
        async def work(connection: AsyncConnection) -> str:
            nonlocal tries
            tries += 1
            for number, name in enumerate(order):
                change = update(tokens).where(tokens.c.id == name)
                await connection.execute(change.values(expires_at_ms=tokens.c.expires_at_ms + 1))
                if both_began and tries <= 2 and not number:
                    await both_began.wait()
            return order

        return await database.attempt(work)

    assert await asyncio.gather(write("ab"), write("ba")) == ["ab", "ba"]
    async with database.begin() as connection:
        assert set(await connection.scalars(select(tokens.c.expires_at_ms))) == {2}
    assert tries == (3 if database.shared else 2)
    await database.close()


async def test_before_it_is_open_it_says_so(new_database: Callable[..., Database]) -> None:
    with pytest.raises(StoreError, match="not open"):
        async with new_database().begin():
            pass
