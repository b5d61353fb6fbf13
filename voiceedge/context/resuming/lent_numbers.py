"""Numbers that are called only to continue: each is lent to one conversation at a time, until it expires."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock
from voiceedge.context.privacy.pii import canonical
from voiceedge.context.record import MAIN
from voiceedge.context.storage.continuing_tables import lent_numbers
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.rows import ms

_LOCK = "lent_numbers"


class LentNumbers:
    """`numbers` as they are written for customers."""

    def __init__(self, database: Database, numbers: Sequence[str], clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._numbers = {canonical(number): number for number in numbers}

    def has(self, called: str) -> bool:
        return canonical(called) in self._numbers

    async def lend(self, conversation_id: str, channel: str, expires_s: float, tenant: str = MAIN) -> str | None:
        """The number that has been free for longest; None where none is. Raises StoreError."""
        expires_at = self._clock.now() + timedelta(seconds=expires_s)
        its = {
            "conversation_id": conversation_id,
            "channel": channel,
            "expires_at_ms": ms(expires_at),
            "tenant": tenant,
        }
        return await self._database.attempt(lambda connection: self._lend(connection, its))

    async def _lend(self, connection: AsyncConnection, its: dict[str, Any]) -> str | None:
        now_ms = ms(self._clock.now())
        await self._database.lock(connection, [_LOCK])
        lent = {row.number: row.expires_at_ms for row in await connection.execute(select(lent_numbers))}
        free = [number for number in self._numbers if lent.get(number, 0) <= now_ms]
        if not free:
            return None
        number = min(free, key=lambda number: lent.get(number, 0))
        await connection.execute(delete(lent_numbers).where(lent_numbers.c.number == number))
        await connection.execute(insert(lent_numbers).values(number=number, **its))
        return self._numbers[number]

    async def conversation(self, called: str, channel: str, tenant: str = MAIN) -> str | None:
        """Whose the number is now. Raises StoreError."""
        query = select(lent_numbers.c.conversation_id).where(
            lent_numbers.c.number == canonical(called),
            lent_numbers.c.channel == channel,
            lent_numbers.c.tenant == tenant,
            lent_numbers.c.expires_at_ms > ms(self._clock.now()),
        )
        async with self._database.begin() as connection:
            return (await connection.execute(query)).scalar_one_or_none()
