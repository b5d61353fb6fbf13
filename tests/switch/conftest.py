"""A database in each of its kinds."""

from collections.abc import Callable
from pathlib import Path

import pytest
from postgres import PostgresServer

from voiceedge.context.storage.database import FILE, Database
from voiceedge.context.storage.postgres import Postgres
from voiceedge.context.storage.sqlite import Sqlite


@pytest.fixture
def sqlite(tmp_path: Path) -> Callable[[], Database]:
    """Another way into the same database each time, not open yet: as after a restart."""
    return lambda: Database(Sqlite(tmp_path / FILE))


@pytest.fixture
def shared(postgres: PostgresServer) -> Callable[[str], Database]:
    """The same for nodes that share one."""
    name = postgres.new_database()
    return lambda node: Database(Postgres(postgres.url(name), postgres.password_file, node))
