"""Agents' talks and chats with customers: what is under way, and what has still to be wrapped up."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.desk_tables import desk_contacts as table

LONGEST_REFERENCE = 240
SHOWN_FOR_MS = 24 * 3_600_000  # one that nobody wraps up is forgotten by then
MOST_SHOWN, MOST_UNDER_WAY = 50, 2_000


@dataclass(frozen=True, slots=True)
class Contact:
    """`reference` is the Call-ID as events tell it, or the chat's id."""

    id: str
    agent: str
    conversation_id: str
    channel: str
    reference: str
    queue: str | None
    began_ms: int
    ended_ms: int | None
    closed_ms: int | None


class Contacts:
    """Its methods raise StoreError while the store is away.

    Telling the same twice, late, or by two nodes at once does no harm: it goes by when it happened, `at_ms`.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def begin(  # noqa: PLR0917 - all of them are always given
        self, agent: str, conversation: str, channel: str, reference: str, queue: str | None, at_ms: int
    ) -> None:
        """The agent talks with the customer, perhaps once more."""
        contact = _id(agent, reference)
        row = {
            "id": contact, "agent": agent, "conversation_id": conversation, "channel": channel,
            "reference": reference[:LONGEST_REFERENCE], "queue": queue, "began_ms": at_ms,
        }  # fmt: skip
        await self._database.attempt(lambda connection: self._begin(connection, row))

    @staticmethod
    async def _begin(connection: AsyncConnection, row: dict[str, Any]) -> None:
        its = table.c.id == row["id"]
        if (await connection.execute(select(table.c.id).where(its))).first() is None:
            await connection.execute(insert(table).values(row))
            return
        again = update(table).where(its, table.c.ended_ms < row["began_ms"])
        await connection.execute(again.values(began_ms=row["began_ms"], ended_ms=None, closed_ms=None))

    async def end(self, reference: str, at_ms: int, agent: str | None = None) -> set[str]:
        """That agent's, or everybody's, part in a call or chat is over; whose it was."""
        which = [
            table.c.reference == reference[:LONGEST_REFERENCE], table.c.ended_ms.is_(None), table.c.began_ms <= at_ms,
        ]  # fmt: skip
        if agent is not None:
            which.append(table.c.agent == agent)
        async with self._database.begin() as connection:
            agents = set((await connection.scalars(select(table.c.agent).where(*which))).all())
            if agents:
                await connection.execute(update(table).where(*which).values(ended_ms=at_ms))
        return agents

    async def close(self, contact: Contact) -> None:
        """It is wrapped up."""
        now = self._now_ms
        ended = now if contact.ended_ms is None else contact.ended_ms
        async with self._database.begin() as connection:
            row = update(table).where(table.c.id == contact.id)
            await connection.execute(row.values(ended_ms=ended, closed_ms=now))

    async def joined(self, visit: str, into: str) -> None:
        """A conversation turned out to be a part of another one."""
        async with self._database.begin() as connection:
            moved = update(table).where(table.c.conversation_id == visit)
            await connection.execute(moved.values(conversation_id=into))

    async def open_of(self, agent: str) -> list[Contact]:
        """Not wrapped up yet, the oldest first; of very many those under way, and the latest of the others."""
        since = self._now_ms - SHOWN_FOR_MS
        mine = table.c.agent == agent, table.c.closed_ms.is_(None), table.c.began_ms > since
        latest = table.c.ended_ms.is_not(None), table.c.began_ms.desc()
        found = await self._read(*mine, order=latest, most=MOST_SHOWN)
        return sorted(found, key=lambda one: one.began_ms)

    async def find(self, agent: str, reference: str) -> Contact | None:
        """Theirs in this call or chat, wrapped up or not."""
        return next(iter(await self._read(table.c.id == _id(agent, reference), order=(), most=1)), None)

    async def under_way(self) -> list[Contact]:
        return await self._read(table.c.ended_ms.is_(None), order=(table.c.began_ms,), most=MOST_UNDER_WAY)

    async def has_had(self, agent: str, conversations: Collection[str]) -> bool:
        which = table.c.agent == agent, table.c.conversation_id.in_(conversations)
        async with self._database.begin() as connection:
            return (await connection.scalars(select(table.c.id).where(*which).limit(1))).first() is not None

    async def prune(self, older_than_days: float) -> None:
        before = self._now_ms - int(older_than_days * 86_400_000)
        async with self._database.begin() as connection:
            await connection.execute(delete(table).where(table.c.began_ms < before))

    async def _read(
        self, *which: ColumnElement[bool], order: Collection[ColumnElement[Any]], most: int
    ) -> list[Contact]:
        query = select(table).where(*which).order_by(*order).limit(most)
        async with self._database.begin() as connection:
            return [Contact(*row) for row in await connection.execute(query)]

    @property
    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _id(agent: str, reference: str) -> str:
    return f"{reference[:LONGEST_REFERENCE]}~{agent}"
