"""Each place a store can be in: what holds for one must hold for the other."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from postgres import PostgresServer

from voiceedge.context.database import FILE, Database
from voiceedge.context.postgres import Postgres
from voiceedge.context.sqlite import Sqlite
from voiceedge.context.store import Store

NewDatabase = Callable[..., Database]


@pytest.fixture
def new_node(postgres: PostgresServer) -> NewDatabase:
    """Another node's way into one database of PostgreSQL each time, not open yet."""
    name = postgres.new_database()
    return lambda node="node-1": Database(Postgres(postgres.url(name), postgres.password_file, node))


@pytest.fixture(params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """Another way into the same database each time, not open yet: as after a restart, or of another node."""
    if request.param == "sqlite":
        return lambda _node="node-1": Database(Sqlite(tmp_path / FILE))
    new: NewDatabase = request.getfixturevalue("new_node")
    return new


@pytest.fixture
async def database(new_database: NewDatabase) -> AsyncIterator[Database]:
    database = new_database()
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database, "seoul")
