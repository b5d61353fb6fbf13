"""The database, SQLite or PostgreSQL: opened, brought up to date, its troubles told as `StoreError` with a remedy.

What is written against it must run on both. Tables are described in `tables` and made by a migration (see
`migrations`); statements are SQLAlchemy's, with the differences that matter:

- `select(...).with_for_update(skip_locked=True)` claims rows on PostgreSQL; SQLite leaves it out, for there each
  transaction is the only one.
- On PostgreSQL other nodes write in between two statements: lock first what is read to be changed, several rows in the
  order of their key, or let the UPDATE's WHERE decide and look at its `rowcount`.
- `Database.lock` locks what is no row yet, by a name.
- A transaction is short: no waiting for a call, a broker or a person in it. After `deadline_s` it is given up.
- A commit whose answer is lost may have happened: what is tried again must not harm when done twice.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.bus.backoff import backoff
from voiceedge.config import Config
from voiceedge.context.storage.postgres import ConflictError, Postgres
from voiceedge.context.storage.sqlite import Sqlite
from voiceedge.errors import StoreError

MIGRATIONS = Path(__file__).parents[1] / "migrations"
FILE = "voiceedge.db"
MIGRATE_S = 600.0
CLOSE_S = 3.0
ATTEMPTS = 6

Result = TypeVar("Result")


class Engine(Protocol):
    """What is used of an AsyncEngine."""

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]: ...
    async def dispose(self) -> None: ...


class Backend(Protocol):
    """`node` names this one among those that share it. Its text names the database in errors, without a secret."""

    @property
    def shared(self) -> bool: ...
    @property
    def node(self) -> str: ...
    @property
    def deadline_s(self) -> float | None: ...
    def engine(self) -> Engine: ...
    async def check(self, connection: AsyncConnection) -> None: ...
    async def before_migrating(self, connection: AsyncConnection) -> None: ...
    async def lock(self, connection: AsyncConnection, names: Iterable[str], *, share: bool) -> None: ...
    def explained(self, error: Exception) -> StoreError | None: ...


class Database:
    """Each `begin` is a transaction. Where the server is away at `open`, the first `begin` that reaches it opens it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._engine: Engine | None = None
        self._migrating, self._migrated = asyncio.Lock(), False

    @classmethod
    def of(cls, config: Config) -> "Database":
        if config.store.url:
            return cls(Postgres(config.store.url, config.store.password_file, config.switch.node))
        return cls(Sqlite(config.site.data_dir / FILE))

    @property
    def shared(self) -> bool:
        """Whether other nodes write to it too."""
        return self._backend.shared

    @property
    def node(self) -> str:
        """This node's name in the database; where there is no other, none."""
        return self._backend.node

    async def open(self) -> None:
        """Raises StoreError; a shared database may be used all the same, and is then reached when it is back."""
        self._connectable()
        await self._migrate()

    @asynccontextmanager
    async def look(self) -> AsyncIterator[AsyncConnection]:
        """A transaction for who only wants to know how it is: nothing is migrated. Raises StoreError."""
        self._connectable()
        async with self._transaction(self._backend.deadline_s) as connection:
            await self._backend.check(connection)
            yield connection

    async def close(self) -> None:
        if engine := self._engine:
            self._engine = None
            try:
                async with asyncio.timeout(CLOSE_S):  # a server that stands still does not say good-bye
                    await engine.dispose()
            except TimeoutError:
                pass

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed to the disk at the end of the block, or as if it had never been."""
        if not self._migrated:
            await self._migrate()
        async with self._transaction(self._backend.deadline_s) as connection:
            yield connection

    async def attempt(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """What `work` returns, done in a transaction, and once more from its beginning where another got in its way."""
        delays = backoff(0.01, 0.2)
        for _ in range(ATTEMPTS - 1):
            try:
                async with self.begin() as connection:
                    return await work(connection)
            except ConflictError:
                await asyncio.sleep(next(delays))
        async with self.begin() as connection:
            return await work(connection)

    async def lock(self, connection: AsyncConnection, names: Iterable[str], *, share: bool = False) -> None:
        """Hold what these names stand for until the transaction's end, alone, or with all others who `share` it.

        For what is no row yet. On SQLite each transaction has everything for itself.
        """
        await self._backend.lock(connection, names, share=share)

    @asynccontextmanager
    async def _transaction(self, deadline_s: float | None) -> AsyncIterator[AsyncConnection]:
        if self._engine is None:
            raise StoreError(f"{self._backend}: is not open: start the service first.")
        try:
            async with asyncio.timeout(deadline_s), self._engine.begin() as connection:
                yield connection
        except Exception as error:
            if explained := self._backend.explained(error):
                raise explained from None
            raise

    def _connectable(self) -> None:
        try:
            self._engine = self._engine or self._backend.engine()
        except OSError as error:
            raise self._backend.explained(error) or error from None

    async def _migrate(self) -> None:
        async with self._migrating:
            if self._migrated:
                return
            async with self._transaction(MIGRATE_S) as connection:
                await self._backend.check(connection)
                await self._backend.before_migrating(connection)
                try:
                    await connection.run_sync(_upgrade)
                except CommandError:
                    raise StoreError(
                        f"{self._backend}: a newer VoiceEdge has changed its tables: upgrade this one too."
                    ) from None
            self._migrated = True


def _upgrade(connection: Connection) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
