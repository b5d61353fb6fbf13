"""PostgreSQL, shared by several nodes: how it is reached (libpq's URL form, by asyncpg), and what its troubles mean."""

import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from voiceedge.errors import StoreError

OLDEST = 13
CONNECTIONS = 5  # a node: PostgreSQL takes 100 in all unless told otherwise
CONNECT_S = 5
DEADLINE_S = 10.0  # of a transaction, from asking for a connection to its commit
RECYCLE_S = 1_800  # before a firewall forgets the connection
MIGRATING = "migrations"

# What the server is told of each connection: to end what a node that stopped in mid-transaction has locked.
_SESSION = {
    "statement_timeout": "8s",
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}

_AWAY = "the server does not answer: start it, or correct store.url; calls go on and events wait meanwhile"
_CONFLICTS = {"40001", "40P01", "23505"}  # serialization failure, deadlock, the same key written twice at once
_REMEDIES = {  # by SQLSTATE, or its class (PostgreSQL, appendix A)
    "08": _AWAY,
    "57P": "the server is starting or stopping: it is tried again",
    "57014": "the server takes too long for a statement: look at its load, and at what holds its locks",
    "28": "the server does not let us in: correct the user in store.url, the password in store.password_file, or "
    "pg_hba.conf",
    "3D": "the server has no such database: create it (createdb), or correct store.url",
    "42501": "this user may not do that: make it the owner of the database",
    "42P": "tables are not as they should be: restore a backup, or start with an empty database",
    "25006": "the server only reads, it is a replica: add target_session_attrs=primary to store.url",
    "53100": "the server's disk is full: make room there; events wait meanwhile",
    "53300": "the server has too many connections: raise its max_connections",
    "53": "the server is short of memory or disk: look at its log",
    "58": "the server's disk fails: look at its log",
    "XX": "the server's data is damaged: look at its log and restore a backup",
}


_KEYS = (
    "(SELECT DISTINCT hashtextextended(name, 0) AS key FROM unnest(CAST(:names AS text[])) AS name ORDER BY 1) AS keys"
)
_LOCK = text(f"SELECT pg_advisory_xact_lock(key) FROM {_KEYS}")  # noqa: S608 - fixed text
_SHARE = text(f"SELECT pg_advisory_xact_lock_shared(key) FROM {_KEYS}")  # noqa: S608


class ConflictError(StoreError):
    """Another transaction got in the way of this one: the same again, from its beginning, will do."""


class RefusedError(StoreError):
    """What was to be written is no value for this database, and never will be."""

    can_retry = False


class Postgres:
    """`url` is libpq's, without the password: TLS by sslmode and sslrootcert, several hosts by commas."""

    shared = True
    deadline_s = DEADLINE_S

    def __init__(self, url: str, password_file: Path | None, node: str) -> None:
        self._url, self._password_file, self.node = url, password_file, node

    def __str__(self) -> str:
        parts = urlsplit(self._url)
        host = parts.netloc.rpartition("@")[2] or ",".join(parse_qs(parts.query).get("host", ["this machine"]))
        return f"PostgreSQL {parts.path.lstrip('/') or 'database'} at {host}"

    def engine(self) -> AsyncEngine:
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_recycle=RECYCLE_S,
            isolation_level="READ COMMITTED",
        )
        event.listen(engine.sync_engine, "checkout", _still_open)
        return engine

    async def check(self, connection: AsyncConnection) -> None:
        raw = await connection.get_raw_connection()
        version = raw.driver_connection.get_server_version()  # type: ignore[union-attr]
        if version.major < OLDEST:
            raise StoreError(f"{self}: is version {version.major}: upgrade it to {OLDEST} or later.")

    async def before_migrating(self, connection: AsyncConnection) -> None:
        """Of several nodes that start at the same moment one migrates; the others wait and find it done."""
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await self.lock(connection, [MIGRATING], share=False)

    async def lock(self, connection: AsyncConnection, names: Iterable[str], *, share: bool) -> None:
        """In one order for all, so that no two wait for each other."""
        statement = _SHARE if share else _LOCK
        await connection.execute(statement, {"names": list(names)})

    def explained(self, error: Exception) -> StoreError | None:
        """Never with the error's own text: it quotes the statement's values, or the URL."""
        if not isinstance(error, SQLAlchemyError | asyncpg.PostgresError | asyncpg.InterfaceError | OSError):
            return None
        chain = list(_chain(error))
        code = next(filter(None, (getattr(link, "sqlstate", None) for link in chain)), "")
        if code in _CONFLICTS:
            return ConflictError(f"{self}: another node wrote the same ({code}): it is tried again.")
        if code.startswith("22"):
            return RefusedError(f"{self}: no value for this database ({code}).")
        if code:
            known = (remedy for begin, remedy in _REMEDIES.items() if code.startswith(begin))
            return StoreError(f"{self}: {next(known, 'the database refused')} ({code}).")
        return StoreError(f"{self}: {_unreached(chain)}.")

    async def _connect(self, *_: object, **__: object) -> Any:
        return await asyncpg.connect(
            self._url,
            password=self._password(),
            timeout=CONNECT_S,
            server_settings={**_SESSION, "application_name": f"voiceedge {self.node}"},
        )

    def _password(self) -> str | None:
        """Read for each connection, so that it can be changed without a restart."""
        if self._password_file is None:
            return None
        try:
            return self._password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise StoreError(f"store.password_file: {self._password_file} cannot be read: {reason}.") from None


def _unreached(chain: list[BaseException]) -> str:
    for link in chain:
        if isinstance(link, ssl.SSLError):
            return f"TLS fails ({link.reason}): see sslmode and sslrootcert in store.url, and the server's certificate"
        if isinstance(link, asyncpg.exceptions.ClientConfigurationError):
            return "store.url is not understood: its parameters are those of libpq"
    return f"{_AWAY} ({type(chain[-1]).__name__})"


def _still_open(connection: Any, _record: object, _proxy: object) -> None:
    """A connection that the server closed while nobody used it is replaced without anyone noticing."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made from, the driver's own last."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.orig if isinstance(link, DBAPIError) else link.__cause__
