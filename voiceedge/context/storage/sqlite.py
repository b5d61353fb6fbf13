"""The SQLite file: how it is opened, and what its troubles mean."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from voiceedge.errors import StoreError

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


class Sqlite:
    """One connection, so that SQLite's one writer never waits for itself."""

    shared, node = False, ""
    deadline_s = None  # a disk answers or fails

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def engine(self) -> AsyncEngine:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)  # it holds what callers said
        engine = create_async_engine(
            "sqlite+aiosqlite:///file", async_creator=partial(_Connection, self._path), pool_size=1, max_overflow=0
        )
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
        return engine

    async def check(self, connection: AsyncConnection) -> None:
        """Python brings its own."""

    async def before_migrating(self, connection: AsyncConnection) -> None:
        """Each transaction is the only one."""

    async def lock(self, connection: AsyncConnection, names: Iterable[str], *, share: bool) -> None:
        """Likewise."""

    def explained(self, error: Exception) -> StoreError | None:
        """Never with the error's own text: it quotes the statement's values."""
        if isinstance(error, DBAPIError):
            name = str(getattr(error.orig, "sqlite_errorname", "")) or str(error.orig)
            known = (remedy for code, remedy in _REMEDIES.items() if name.startswith(code))
            return StoreError(f"{self}: {next(known, f'the database refused ({name})')}.")
        if isinstance(error, SQLAlchemyError):
            return StoreError(f"{self}: the database did not answer ({type(error).__name__}).")
        if isinstance(error, OSError):
            return StoreError(f"{self}: {error.strerror}: look at site.data_dir.")
        return None


class _Connection(aiosqlite.Connection):
    """One whose thread ends once: whoever is cancelled while closing would wait for ever for its second end."""

    def __init__(self, path: Path) -> None:
        super().__init__(partial(sqlite3.connect, path, check_same_thread=False), iter_chunk_size=64)
        self._thread.daemon = True

    def stop(self) -> asyncio.Future[Any] | None:
        return super().stop() if self._running else None

    def cursor(self) -> "_Cursor":  # type: ignore[override] # there is nothing to wait for
        return _Cursor(self, self._conn.cursor())


class _Cursor(aiosqlite.Cursor):
    """A statement with its rows is one errand to the connection's thread, where aiosqlite makes four of it.

    Each costs both threads a turn at the interpreter's lock, which is most of what a small transaction takes.
    """

    _rows: deque[Any]

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> "_Cursor":
        self._rows = await self._execute(self._all_of, sql, parameters or ())  # type: ignore[no-untyped-call]
        return self

    def _all_of(self, sql: str, parameters: Any) -> deque[Any]:
        return deque(self._cursor.execute(sql, parameters))

    async def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        return [self._rows.popleft() for _ in range(min(size or self.arraysize, len(self._rows)))]

    async def fetchall(self) -> deque[Any]:
        rows, self._rows = self._rows, deque()
        return rows

    async def close(self) -> None:
        self._cursor.close()


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
