"""Each place a store can be in: what holds for one must hold for the other."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from postgres import PostgresServer

from voiceedge.context.storage.database import FILE, Database
from voiceedge.context.storage.postgres import Postgres
from voiceedge.context.storage.sqlite import Sqlite
from voiceedge.context.storage.store import Store

NewDatabase = Callable[..., Database]


async def _made(database: Database) -> None:
    await database.open()
    await database.close()


@pytest.fixture(scope="session")
def made_postgres(postgres: PostgresServer) -> str:
    """A database with all its tables, to be copied: to make them for each test takes longer than most tests."""
    name = postgres.new_database()
    asyncio.run(_made(Database(Postgres(postgres.url(name), postgres.password_file, "node-1"))))
    return name


@pytest.fixture(scope="session")
def made_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("made") / FILE
    asyncio.run(_made(Database(Sqlite(file))))
    return file


@pytest.fixture
def new_node(postgres: PostgresServer, made_postgres: str) -> NewDatabase:
    """Another node's way into one database of PostgreSQL each time, not open yet."""
    name = postgres.new_database(made_postgres)
    return lambda node="node-1": Database(Postgres(postgres.url(name), postgres.password_file, node))


@pytest.fixture(params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """Another way into the same database each time, not open yet: as after a restart, or of another node."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("made_sqlite"), tmp_path / FILE)
        return lambda _node="node-1": Database(Sqlite(tmp_path / FILE))
    new: NewDatabase = request.getfixturevalue("new_node")
    return new


@pytest.fixture(params=["sqlite", "postgres"])
def new_empty(request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """As `new_database`, without a table."""
    if request.param == "sqlite":
        return lambda _node="node-1": Database(Sqlite(tmp_path / FILE))
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.new_database()
    return lambda node="node-1": Database(Postgres(server.url(name), server.password_file, node))


@pytest.fixture
async def database(new_database: NewDatabase) -> AsyncIterator[Database]:
    database = new_database()
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database, "seoul")
