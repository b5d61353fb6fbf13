"""Who is logged in at the desk: a cookie's secret, of which the database keeps a hash made with the agent's code.

So whoever leaves the plan, or gets another code, is logged out everywhere.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import delete, insert, select, update

from voiceedge.clock import Clock
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.desk_tables import desk_sessions

SECRET_BYTES = 32
IDLE_S = 30 * 60  # without a request or an open stream
LONGEST_S = 12 * 3600  # a shift, however busy
SEEN_EVERY_S = 60


@dataclass(frozen=True, slots=True)
class Session:
    digest: str
    agent: str
    opened_ms: int
    secret: str = field(repr=False)


class Sessions:
    """Its methods raise StoreError while the store is away."""

    def __init__(self, database: Database, clock: Clock, code_of: Callable[[str], str | None]) -> None:
        """`code_of` an agent: None where there is no such agent."""
        self._database, self._clock, self._code_of = database, clock, code_of

    async def open(self, agent: str) -> str:
        """What the cookie holds: name and secret. Whatever is too old goes."""
        secret, now = secrets.token_urlsafe(SECRET_BYTES), self._now_ms
        row = {"digest": _digest(secret, self._code_of(agent) or ""), "agent": agent, "opened_ms": now, "seen_ms": now}
        async with self._database.begin() as connection:
            stale = (desk_sessions.c.seen_ms < now - IDLE_S * 1000) | (
                desk_sessions.c.opened_ms < now - LONGEST_S * 1000
            )
            await connection.execute(delete(desk_sessions).where(stale))
            await connection.execute(insert(desk_sessions).values(row))
        return f"{agent}.{secret}"

    async def find(self, cookie: str) -> Session | None:
        """None where there is no such session, or it is over. One that is found counts as in use."""
        agent, _, secret = cookie.partition(".")
        return await self._found(agent, secret)

    async def goes_on(self, session: Session) -> bool:
        """The same for whoever has one open."""
        return await self._found(session.agent, session.secret) is not None

    async def close(self, session: Session) -> None:
        async with self._database.begin() as connection:
            await connection.execute(delete(desk_sessions).where(desk_sessions.c.digest == session.digest))

    async def _found(self, agent: str, secret: str) -> Session | None:
        now, code = self._now_ms, self._code_of(agent)
        if code is None:
            return None
        which = desk_sessions.c.digest == (digest := _digest(secret, code)), desk_sessions.c.agent == agent
        async with self._database.begin() as connection:
            row = (await connection.execute(select(desk_sessions).where(*which))).one_or_none()
            if row is None or now - row.seen_ms > IDLE_S * 1000 or now - row.opened_ms > LONGEST_S * 1000:
                return None
            if now - row.seen_ms > SEEN_EVERY_S * 1000:
                await connection.execute(update(desk_sessions).where(*which).values(seen_ms=now))
        return Session(digest, agent, row.opened_ms, secret)

    @property
    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _digest(secret: str, code: str) -> str:
    """Enough for 256 bits of chance, which nobody guesses, however quick the hash is."""
    return hashlib.sha256(f"{secret} {code}".encode()).hexdigest()
