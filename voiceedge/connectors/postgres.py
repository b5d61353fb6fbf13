"""A PostgreSQL database asked by one SELECT: a session that only reads, and that the server itself ends in time."""

import ssl
from collections.abc import Mapping
from typing import Any

import asyncpg

from voiceedge.clock import Clock, Timer
from voiceedge.connectors import statement
from voiceedge.connectors.answers import SystemFailedError
from voiceedge.connectors.profile import SqlProfile
from voiceedge.connectors.source import secret

IDLE_S = 60.0  # then a kept connection is closed: firewalls forget it, and others may need its place

_OF_THESE_VALUES = "22"  # SQLSTATE class: data exception, such as letters where the column is a number
_REASONS = {  # by SQLSTATE, or its class (PostgreSQL, appendix A)
    "28": "the server does not let us in: correct the user of url, password_file, or pg_hba.conf",
    "3D": "the server has no such database: correct url",
    "42501": "this user may not read that: GRANT SELECT on it",
    "42": "the query is not understood: try it with psql",
    "25006": "the query writes; a look-up only reads",
    "57014": "the query takes too long: see whether an index would help it",
    "57P": "the server is starting or stopping",
    "53": "the server has too many connections, or too little memory or disk",
}


class PostgresSource:
    """Connections that worked are kept for the next question; any other is dropped at once, without a farewell."""

    def __init__(self, profile: SqlProfile, url: str, clock: Clock) -> None:
        self._profile, self._url, self._clock = profile, url, clock
        names = sorted(profile.parameters)
        self._names = names
        self._query = statement.bounded(profile.query, lambda name: f"${names.index(name) + 1}::text")
        self._idle: dict[Any, Timer] = {}  # with what will close each; the last is the freshest

    async def ask(self, values: Mapping[str, str]) -> Mapping[str, Any]:
        rows = await self._rows([values[name] for name in self._names])
        return statement.only([dict(row) for row in rows], self._profile.columns)

    async def close(self) -> None:
        while self._idle:
            self._drop(next(iter(self._idle)))

    async def _rows(self, values: list[str]) -> list[Any]:
        connection = None
        try:
            connection = self._kept() or await self._connect()
            rows: list[Any] = await connection.fetch(self._query, *values)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise _explained(error) from None
        else:
            self._keep(connection)
            connection = None
            return rows
        finally:
            if connection is not None:
                connection.terminate()

    def _kept(self) -> Any:
        while self._idle:
            connection, timer = self._idle.popitem()
            timer.cancel()
            if not connection.is_closed():
                return connection
        return None

    def _keep(self, connection: Any) -> None:
        self._idle[connection] = self._clock.call_later(IDLE_S, lambda: self._drop(connection))

    def _drop(self, connection: Any) -> None:
        if timer := self._idle.pop(connection, None):
            timer.cancel()
            connection.terminate()

    async def _connect(self) -> Any:
        profile = self._profile
        timeout_ms = str(int(profile.timeout_s * 1000))
        return await asyncpg.connect(
            self._url,
            password=secret("password_file", profile.password_file) if profile.password_file else None,
            timeout=profile.timeout_s,
            statement_cache_size=0,  # a pooler between us and the server mixes up sessions
            server_settings={
                "default_transaction_read_only": "on",
                "statement_timeout": timeout_ms,
                "application_name": "voiceedge connector",
            },
        )


def _explained(error: Exception) -> SystemFailedError:
    """Never with the error's own text: it quotes values."""
    code = getattr(error, "sqlstate", None)
    if code and code.startswith(_OF_THESE_VALUES):
        return SystemFailedError(
            f"the values do not fit their columns ({code}): CAST them in the query", rest_helps=False
        )
    if code:
        known = (reason for begin, reason in _REASONS.items() if code.startswith(begin))
        return SystemFailedError(f"{next(known, 'the database refused')} ({code})")
    if isinstance(error, ssl.SSLError):
        return SystemFailedError(f"TLS fails ({error.reason}): see sslmode and sslrootcert in url")
    if isinstance(error, asyncpg.exceptions.ClientConfigurationError):
        return SystemFailedError("url is not understood: its parameters are those of libpq")
    return SystemFailedError(f"the server does not answer ({type(error).__name__})")
