"""Conversations read and searched, of one tenant only: newest first, page by page."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, false, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.people import customer_rows
from voiceedge.context.privacy.pii import pseudonym
from voiceedge.context.record import Conversation
from voiceedge.context.storage import rows as stored
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.rows import ms, time_of
from voiceedge.context.storage.store import Store
from voiceedge.context.storage.tables import conversations
from voiceedge.errors import CursorError

MOST = 200  # a page
LOOKED_AT = 1_000  # conversations whose words are searched for one page
AT_ONCE = 100  # … in one transaction

_COLUMNS = tuple(
    conversations.c[name]
    for name in (
        "id", "customer_id", "customer", "channels", "queue", "agent", "outcome", "started_ms", "ended_ms",
        "updated_at_ms",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to search for; None: whatever it is. `number` and `email` are a person's, in the clear.

    `hashed` is the keyed hash of the number or address from which conversations came, such as a record's `customer`.
    `text` is looked for in what was said and written, as it was masked. Times are those of the beginning.
    """

    customer: str | None = None
    number: str | None = None
    email: str | None = None
    hashed: str | None = None
    channel: str | None = None
    queue: str | None = None
    agent: str | None = None
    outcome: str | None = None
    is_open: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation in a list; `customer` is a keyed hash, `customer_id` whom it belongs to."""

    id: str
    customer_id: str | None
    customer: str | None
    channels: tuple[str, ...]
    queue: str | None
    agent: str | None
    outcome: str | None
    started_at: datetime
    ended_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """`cursor` asks for what follows; None: nothing does. In a search by text an empty page may have one."""

    items: Sequence[Found]
    cursor: str | None


class Archive:
    def __init__(self, database: Database, store: Store, key: bytes) -> None:
        """`key` is that of pseudonyms."""
        self._database, self._store, self._key = database, store, key

    async def read(self, tenant: str, conversation_id: str) -> Conversation | None:
        """Also by the id of one that was joined into it. None where there is none, or it is another tenant's."""
        return _of(tenant, await self._store.conversation(conversation_id))

    async def changed(self, tenant: str, conversation_id: str, told_at: datetime) -> Conversation | None:
        """As `read`, where something of that time has been kept here: as it was written then, not read again.

        What was kept before, and is told again, is no news: then others may have written since.
        """
        found = self._store.written(conversation_id)
        if found is None or found.updated_at < told_at:
            return await self.read(tenant, conversation_id)
        return _of(tenant, found)

    async def search(self, tenant: str, wanted: Wanted, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Raises CursorError where `cursor` is none that a page of this search had."""
        limit = min(max(limit, 1), MOST)
        before = _place(cursor) if cursor is not None else None
        async with self._database.begin() as connection:
            query = select(*_COLUMNS).where(conversations.c.tenant == tenant, *_conditions(wanted))
            query = query.where(*await self._of_person(connection, tenant, wanted))
            query = _after(query.order_by(conversations.c.started_ms.desc(), conversations.c.id.desc()), before)
            most = LOOKED_AT if wanted.text else limit
            rows: Sequence[Any] = (await connection.execute(query.limit(most + 1))).all()
        further = len(rows) > most
        rows = rows[:most]
        if wanted.text:
            hits = await self._saying(wanted.text, rows, limit)
            if len(hits) == limit:
                rows, further = hits, True
        items = hits if wanted.text else rows
        return Page([_found(row) for row in items], _cursor(rows[-1]) if further else None)

    async def _saying(self, text: str, rows: Sequence[Row[Any]], limit: int) -> list[Row[Any]]:
        """The first of these conversations in which it was said or written."""
        # The record's own text tells cheaply who cannot have it; its slots, in the clear, must not tell who has.
        written = json.dumps(text, ensure_ascii=False)[1:-1]
        holds = conversations.c.record.icontains(written, autoescape=True)
        hits: list[Row[Any]] = []
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            query = select(conversations.c.id).where(conversations.c.id.in_([row.id for row in some]), holds)
            async with self._database.begin() as connection:
                candidates = (await connection.scalars(query)).all()
                records = await stored.read(connection, candidates)
            hits += [row for row in some if row.id in records and _said(records[row.id].record, text)]
            if len(hits) >= limit:
                break
        return hits[:limit]

    async def _of_person(self, connection: AsyncConnection, tenant: str, wanted: Wanted) -> list[ColumnElement[bool]]:
        """Conversations of a customer, and those that came from a number or address."""
        conditions: list[ColumnElement[bool]] = []
        if wanted.customer is not None:
            ids = await customer_rows.family(connection, tenant, wanted.customer)
            conditions.append(conversations.c.customer_id.in_(ids) if ids else false())
        for kind, value in (("phone", wanted.number), ("email", wanted.email)):
            if value is not None:
                hashed = pseudonym(value, self._key)
                ids = await customer_rows.known_by(connection, tenant, kind, hashed)
                # Each of the two by its index: the database would look at every conversation for an OR.
                came = select(conversations.c.id).where(conversations.c.customer == hashed)
                of_theirs = select(conversations.c.id).where(conversations.c.customer_id.in_(ids))
                conditions.append(conversations.c.id.in_(came.union(of_theirs)))
        return conditions


def _of(tenant: str, found: Conversation | None) -> Conversation | None:
    return found if found and found.tenant == tenant and found.is_listed else None


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    table = conversations.c
    conditions: list[ColumnElement[bool]] = []
    plain: Mapping[str, str | None] = {
        "queue": wanted.queue, "agent": wanted.agent, "outcome": wanted.outcome, "customer": wanted.hashed,
    }  # fmt: skip
    conditions += [table[name] == value for name, value in plain.items() if value is not None]
    if wanted.channel is not None:
        conditions.append(table.channels.contains(f" {wanted.channel} ", autoescape=True))
    if wanted.is_open is not None:
        conditions.append(table.ended_ms.is_(None) if wanted.is_open else table.ended_ms.is_not(None))
    if wanted.since is not None:
        conditions.append(table.started_ms >= ms(wanted.since))
    if wanted.until is not None:
        conditions.append(table.started_ms < ms(wanted.until))
    return conditions


def _said(record: Conversation, text: str) -> bool:
    return any(text.casefold() in turn.text.casefold() for turn in record.turns)


def _after(query: Select[*tuple[object, ...]], place: tuple[int, str] | None) -> Select[*tuple[object, ...]]:
    if place is None:
        return query
    started_ms, name = place
    table = conversations.c
    older = or_(table.started_ms < started_ms, and_(table.started_ms == started_ms, table.id < name))
    return query.where(table.started_ms <= started_ms, older)  # the first by the index


def _found(row: Row[*tuple[object, ...]]) -> Found:
    return Found(
        id=row.id,
        customer_id=row.customer_id,
        customer=row.customer,
        channels=tuple(row.channels.split()),
        queue=row.queue,
        agent=row.agent,
        outcome=row.outcome,
        started_at=time_of(row.started_ms),
        ended_at=None if row.ended_ms is None else time_of(row.ended_ms),
        updated_at=time_of(row.updated_at_ms),
    )


def _cursor(row: Row[*tuple[object, ...]]) -> str:
    return base64.urlsafe_b64encode(f"{row.started_ms}.{row.id}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, str]:
    try:
        started_ms, _, name = base64.urlsafe_b64decode(f"{cursor}===").decode().partition(".")
        place = int(started_ms), name
    except (binascii.Error, ValueError):
        place = -1, ""
    if not (0 <= place[0] < 1 << 62):
        raise CursorError("this is no cursor of ours: give one that came with a page, or none")
    return place
