"""The SQLite database: opened, brought up to date, and its troubles told as `StoreError` with a remedy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from voiceedge.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MS = 5_000

_REMEDIES = {
    "SQLITE_FULL": "the disk is full: make room there; events wait meanwhile",
    "SQLITE_IOERR": "the disk refuses to be written or read: look at its space, quota and health (dmesg)",
    "SQLITE_BUSY": "another program holds the database: end it",
    "SQLITE_LOCKED": "another program holds the database: end it",
    "SQLITE_CORRUPT": "the database is damaged: stop the service, move it away and restore a backup",
    "SQLITE_NOTADB": "this is no database: stop the service, move it away and restore a backup",
    "SQLITE_READONLY": "the database cannot be written: give this user the file and its directory",
    "SQLITE_CANTOPEN": "the database cannot be opened: give this user the file and its directory",
}


class Database:
    """One connection, so that SQLite's one writer never waits for itself; each `begin` is a transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: AsyncEngine | None = None

    async def open(self) -> None:
        with self._explained():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)  # it holds what callers said
            self._engine = create_async_engine(f"sqlite+aiosqlite:///{self._path}", pool_size=1, max_overflow=0)
            event.listen(self._engine.sync_engine, "connect", _prepare)
            event.listen(self._engine.sync_engine, "begin", _begin)
        async with self.begin() as connection:
            await connection.run_sync(_migrate)

    async def close(self) -> None:
        if self._engine:
            await self._engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed to the disk at the end of the block, or as if it had never been."""
        if self._engine is None:
            raise StoreError(f"{self._path}: is not open: start the service first.")
        with self._explained():
            async with self._engine.begin() as connection:
                yield connection

    def _explained(self) -> "_Explained":
        return _Explained(self._path)


class _Explained:
    """Turns what the database and the file system raise into one error that says what to do."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, DBAPIError):
            name = str(getattr(error.orig, "sqlite_errorname", "")) or str(error.orig)
            known = (remedy for code, remedy in _REMEDIES.items() if name.startswith(code))
            # Never the error's own text: it quotes the statement's values.
            raise StoreError(f"{self._path}: {next(known, f'the database refused ({name})')}.") from None
        if isinstance(error, SQLAlchemyError):
            raise StoreError(f"{self._path}: the database did not answer ({type(error).__name__}).") from None
        if isinstance(error, OSError):
            raise StoreError(f"{self._path}: {error.strerror}: look at site.data_dir.") from error


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 must not begin transactions of its own
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # FULL: a commit is on the disk before it returns. NORMAL would lose the last ones when power fails, although a
    # worker has been told that they are safe; one commit carries a whole batch, so the price is small.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(connection: Connection) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
