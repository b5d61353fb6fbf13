"""The SQLite file: how it is opened, and what its troubles mean."""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

from voiceedge.errors import StoreError

BUSY_MS = 5_000
WAIT_S = 30.0  # for a transaction's turn

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

Options = ParamSpec("Options")
Result = TypeVar("Result")


class Sqlite:
    """One connection, so that SQLite's one writer never waits for itself."""

    shared, node = False, ""
    deadline_s = None  # a disk answers or fails

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def engine(self) -> "_Engine":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)  # it holds what callers said
        return _Engine(self._path)

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


class _Engine:
    """As an AsyncEngine has it, at less than half the cost: a statement with its rows is one errand to SQLite's thread.

    The thread does what it is told in order, so whoever is cancelled leaves nothing behind but an errand to roll back.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._errands = path, _Errands()
        self._free = asyncio.Lock()
        self.sync_engine = create_engine("sqlite://", creator=partial(_connected, path), poolclass=StaticPool)
        event.listen(self.sync_engine, "connect", _prepare)
        event.listen(self.sync_engine, "begin", _begin)
        self._connection: Connection | None = None  # the thread's

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """SQLite hears of it with the first statement."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._free.acquire()
        except TimeoutError:
            raise StoreError(f"{self._path}: is busy for {WAIT_S:g} s: look at its disk's health (dmesg).") from None
        try:
            yield _Transaction(self._errands, self._connected)
            await self._errands.run(self._commit)
        except BaseException:
            self._errands.leave(self._roll_back)
            raise
        finally:
            self._free.release()

    async def dispose(self) -> None:
        await self._errands.run(self._close)
        self._errands.end()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self.sync_engine.connect()
        return self._connection

    def _commit(self) -> None:
        if self._connection:
            self._connection.commit()

    def _roll_back(self) -> None:
        """The file stays open; only SQLAlchemy would begin nothing any more, once a BEGIN or COMMIT has failed."""
        if self._connection:
            connection, self._connection = self._connection, None
            connection.close()

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
        self.sync_engine.dispose()


class _Transaction(AsyncConnection):
    """As much of it as the house uses."""

    def __init__(self, errands: "_Errands", connected: Callable[[], Connection]) -> None:
        self._errands, self._connected = errands, connected

    async def execute(self, statement: Executable, parameters: Any = None, **_: Any) -> CursorResult[*tuple[Any, ...]]:
        return await self._errands.run(lambda: self._connected().execute(statement, parameters))

    async def exec_driver_sql(self, statement: str, parameters: Any = None, execution_options: Any = None) -> Any:
        return await self._errands.run(
            lambda: self._connected().exec_driver_sql(statement, parameters, execution_options)
        )

    async def run_sync(
        self, fn: Callable[Concatenate[Connection, Options], Result], *arg: Options.args, **kw: Options.kwargs
    ) -> Result:
        return await self._errands.run(lambda: fn(self._connected(), *arg, **kw))


class _Errands:
    """One thread and what it has to do. It ends with the process, whatever it is at."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[], Any], Callable[[Any, BaseException | None], None]] | None] = (
            SimpleQueue()
        )
        self._is_over = False
        threading.Thread(target=self._work, name="sqlite", daemon=True).start()

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises. It is done in its turn, whether somebody still waits or not.

        Raises StoreError after the end.
        """
        if self._is_over:
            raise StoreError("the database is closed: start the service first.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def tell(result: Result, error: BaseException | None) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_settle, future, result, error)

        self._queue.put((work, tell))
        return await future

    def leave(self, work: Callable[[], None]) -> None:
        """Without waiting for it; its errors are nobody's."""
        self._queue.put((work, lambda _result, _error: None))

    def end(self) -> None:
        self._is_over = True
        self._queue.put(None)

    def _work(self) -> None:
        while errand := self._queue.get():
            work, tell = errand
            try:
                result, error = work(), None
            except BaseException as raised:  # noqa: BLE001 - told to whoever waits
                result, error = None, raised
            tell(result, error)
            del errand, work, tell, result, error  # or the last one's rows would stay until the next


def _settle(future: asyncio.Future[Result], result: Result, error: BaseException | None) -> None:
    if future.done():  # cancelled
        return
    if error:
        future.set_exception(error)
    else:
        future.set_result(result)


class _File(sqlite3.Connection):
    def cursor(self, factory: type[sqlite3.Cursor] | None = None) -> sqlite3.Cursor:  # type: ignore[override]
        return super().cursor(factory or _Cursor)


class _Cursor(sqlite3.Cursor):
    """Reads all rows with the statement, so that the thread which looks at them never waits for the disk."""

    _rows: deque[Any]

    def execute(self, sql: str, parameters: Any = ()) -> "_Cursor":
        super().execute(sql, parameters)
        self._rows = deque(super().fetchall())
        return self

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return [self._rows.popleft() for _ in range(min(size or self.arraysize, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        rows, self._rows = list(self._rows), deque()
        return rows


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, check_same_thread=False, factory=_File)


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
