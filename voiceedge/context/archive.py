"""Conversations read and searched, of one tenant only: newest first, page by page."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Row, Select, and_, false, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context import people
from voiceedge.context import rows as stored
from voiceedge.context.database import Database
from voiceedge.context.pii import pseudonym
from voiceedge.context.record import Conversation
from voiceedge.context.rows import ms, time_of
from voiceedge.context.store import Store
from voiceedge.context.tables import conversations
from voiceedge.errors import CursorError

MOST = 200  # a page
LOOKED_AT = 2_000  # conversations whose words are searched for one page

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
        found = await self._store.conversation(conversation_id)
        return found if found and found.tenant == tenant and found.is_listed else None

    async def search(self, tenant: str, wanted: Wanted, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Raises CursorError where `cursor` is none that a page of this search had."""
        limit = min(max(limit, 1), MOST)
        before = _place(cursor) if cursor is not None else None
        async with self._database.begin() as connection:
            query = select(*_COLUMNS).where(conversations.c.tenant == tenant, *_conditions(wanted))
            query = query.where(*await self._of_person(connection, tenant, wanted))
            query = query.order_by(conversations.c.started_ms.desc(), conversations.c.id.desc())
            if wanted.text:
                return await _with_text(connection, query, wanted.text, limit, before)
            rows = (await connection.execute(_after(query, before).limit(limit + 1))).all()
        items = [_found(row) for row in rows[:limit]]
        return Page(items, _cursor(rows[limit - 1]) if len(rows) > limit else None)

    async def _of_person(self, connection: AsyncConnection, tenant: str, wanted: Wanted) -> list[ColumnElement[bool]]:
        """Conversations of a customer, and those that came from a number or address."""
        conditions: list[ColumnElement[bool]] = []
        if wanted.customer is not None:
            ids = await people.family(connection, tenant, wanted.customer)
            conditions.append(conversations.c.customer_id.in_(ids) if ids else false())
        for kind, value in (("phone", wanted.number), ("email", wanted.email)):
            if value is not None:
                hashed = pseudonym(value, self._key)
                ids = await people.known_by(connection, tenant, kind, hashed)
                conditions.append(or_(conversations.c.customer == hashed, conversations.c.customer_id.in_(ids)))
        return conditions


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


async def _with_text(
    connection: AsyncConnection,
    query: Select[*tuple[object, ...]],
    text: str,
    limit: int,
    before: tuple[int, str] | None,
) -> Page:
    """Look into so many conversations, the newest first, and say where to go on."""
    rows = (await connection.execute(_after(query, before).limit(LOOKED_AT + 1))).all()
    looked_at = rows[:LOOKED_AT]
    by_id = {row.id: row for row in looked_at}
    # The record's own text tells cheaply who cannot have it; its slots, in the clear, must not tell who has.
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    hits: list[str] = []
    for some in stored.portions(by_id):
        holds = conversations.c.record.icontains(written, autoescape=True)
        narrowed = select(conversations.c.id).where(conversations.c.id.in_(some), holds)
        candidates = set((await connection.scalars(narrowed)).all())
        records = await stored.read(connection, candidates)
        hits += [name for name in some if name in records and _said(records[name].record, text)]
        if len(hits) >= limit:
            break
    if len(hits) >= limit:
        hits = hits[:limit]
        return Page([_found(by_id[name]) for name in hits], _cursor(by_id[hits[-1]]))
    more = len(rows) > LOOKED_AT
    return Page([_found(by_id[name]) for name in hits], _cursor(looked_at[-1]) if more else None)


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
