"""Conversations as rows of the database: which record an event's conversation has, read, and written back."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from pydantic import ValidationError
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.record import MAIN, Conversation
from voiceedge.context.storage.tables import conversations

Item = TypeVar("Item")

NOBODYS = ""  # the tenant of rows that are not listed: an agent's states, say
BITS = {"sensitive": 1, "personal": 2, "transcript": 4}  # of `erased`
FORGOTTEN = 8  # nothing is kept
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it was committed, with the sequence of its last event."""

    record: Conversation
    sequence: int
    revision: int


@dataclass(frozen=True, slots=True)
class Row:
    """What a conversation's row tells without its record."""

    id: str
    joined_into: str | None
    sequence: int
    revision: int


async def rows_of(connection: AsyncConnection, names: Iterable[str]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    columns = conversations.c.id, conversations.c.joined_into, conversations.c.last_sequence, conversations.c.revision
    for some in portions(names):
        for row in await connection.execute(select(*columns).where(conversations.c.id.in_(some))):
            found[row[0]] = Row(*row)
    return found


async def targets(connection: AsyncConnection, names: Iterable[str]) -> dict[str, str]:
    """For each of these conversations the one it is a part of by now: mostly itself."""
    return (await found(connection, names))[0]


async def found(connection: AsyncConnection, names: Iterable[str]) -> tuple[dict[str, str], dict[str, Row]]:
    """As `targets`, and the rows of all these conversations that there are."""
    into = {name: name for name in names}
    rows: dict[str, Row] = {}
    asked: set[str] = set()
    while unasked := set(into.values()) - asked:
        asked |= unasked
        rows |= await rows_of(connection, unasked)
        into = {name: rows[target].joined_into or target if target in rows else target for name, target in into.items()}
    return into, rows


async def read(connection: AsyncConnection, names: Iterable[str]) -> dict[str, Kept]:
    records: dict[str, Kept] = {}
    for some in portions(names):
        for row in await connection.execute(select(conversations).where(conversations.c.id.in_(some))):
            try:
                record = Conversation.model_validate_json(row.record)
            except ValidationError:  # one broken record must not hold up every call's events
                log.error("record_unreadable", conversation=row.id, remedy="its history begins anew")  # noqa: TRY400
                record = Conversation.begin(row.id, time_of(row.started_ms), row.tenant or MAIN)
            records[row.id] = Kept(record, row.last_sequence, row.revision)
    return records


async def write(connection: AsyncConnection, records: Mapping[str, Kept], known: Iterable[str]) -> None:
    """Those that are `known` have a row already."""
    known = set(known)
    rows = {name: _row(kept.record, kept) for name, kept in records.items()}
    if fresh := [row for name, row in rows.items() if name not in known]:
        await connection.execute(insert(conversations), fresh)
    if changed := [
        {"name" if key == "id" else key: value for key, value in rows[name].items()} for name in rows.keys() & known
    ]:
        statement = update(conversations).where(conversations.c.id == bindparam("name"))
        await connection.execute(statement, changed)


async def join(connection: AsyncConnection, visit: str, into: str, kept: Kept, time: datetime) -> None:
    """From now on `visit`, and whatever was joined into it before, is a part of `into`; its own record is empty."""
    empty = Conversation.begin(visit, time)
    row = _row(empty, kept) | {"joined_into": into, "record": empty.model_dump_json()}
    await connection.execute(update(conversations).where(conversations.c.id == visit).values(row))
    earlier = update(conversations).where(conversations.c.joined_into == visit)
    await connection.execute(earlier.values(joined_into=into))


def _row(record: Conversation, kept: Kept) -> dict[str, object]:
    channels = dict.fromkeys(visit.channel for visit in record.channels)
    return {
        "id": record.id,
        "record": record.model_dump_json(),
        "last_sequence": kept.sequence,
        "updated_at_ms": ms(record.updated_at),
        "revision": kept.revision,
        "tenant": record.tenant if record.is_listed else NOBODYS,
        "customer_id": record.customer_id,
        "customer": record.customer,
        "channels": f" {' '.join(channels)} " if channels else "",
        "queue": record.queue,
        "agent": record.agent,
        "outcome": record.outcome,
        "started_ms": ms(record.started_at),
        "ended_ms": ms(record.ended_at) if record.ended_at else None,
        "erased": FORGOTTEN if record.forgotten else sum(BITS[kind] for kind in record.erased),
    }


def portions(items: Iterable[Item], most: int = 500) -> Iterator[list[Item]]:
    """Few enough at a time for a statement's parameters."""
    rest = list(items)
    for start in range(0, len(rest), most):
        yield rest[start : start + most]


def ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def time_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
