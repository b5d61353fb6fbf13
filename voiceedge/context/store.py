"""What must survive: conversations, the outbox of events and the resume tokens, each change in one transaction."""

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog
from pydantic import ValidationError
from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context import legs
from voiceedge.context.cloudevents import StampedEvent, publish_form
from voiceedge.context.database import Database
from voiceedge.context.lease import PUBLISHING
from voiceedge.context.record import Conversation
from voiceedge.context.tables import conversations, outbox, tokens

Item = TypeVar("Item")

Numbered = tuple[Conversation | None, int]  # with the sequence of its last event; None: unreadable

RECENT = 1_000  # conversations, many more than have calls at once
PRUNED_AT_ONCE = 5_000  # events
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that waits for the broker."""

    position: int
    conversation: str
    body: str


class Store:
    def __init__(self, database: Database, site: str) -> None:
        self._database, self._site = database, site
        # The records of running conversations as they were committed: to read one back for each batch of its events
        # would cost more than all the rest. One that another node has written since is known by its last sequence.
        self._recent: OrderedDict[str, Numbered] = OrderedDict()

    @property
    def node(self) -> str:
        return self._database.node

    async def ingest(self, batch: Sequence[StampedEvent]) -> int:
        """Keep the events and what they change, all or nothing, leaving out those known by id. How many were new."""
        events, records = await self._database.attempt(lambda connection: self._ingest(connection, batch))
        self._remember(records)
        return events

    async def _ingest(
        self, connection: AsyncConnection, batch: Sequence[StampedEvent]
    ) -> tuple[int, Mapping[str, Numbered]]:
        names = {event.conversation for event in batch}
        await self._database.lock(connection, [PUBLISHING], share=True)
        await self._database.lock(connection, names)
        known = await _known_ids(connection, [event.id for event in batch])
        fresh = {event.id: event for event in batch if event.id not in known}
        concerned = {event.conversation for event in fresh.values()}
        records = await self._current(connection, concerned)
        owners = await self._owners(connection, concerned)
        rows = []
        for event in fresh.values():
            record, sequence = records.get(event.conversation, (None, 0))
            record = record or Conversation.begin(event.conversation, event.time)
            records[event.conversation] = record.apply(event.time, event.data, event.changes), sequence + 1
            body = publish_form(event, self._site, sequence + 1).model_dump_json()
            node = owners.get(event.conversation, self.node)
            rows.append({"event_id": event.id, "conversation_id": event.conversation, "body": body, "node": node})
        if rows:
            await _save(connection, records.values())
            await connection.execute(insert(outbox), rows)
        await legs.keep(connection, fresh.values(), self.node)
        return len(rows), records

    async def _current(self, connection: AsyncConnection, names: set[str]) -> dict[str, Numbered]:
        """The conversations' records, from memory where nobody else has written them."""
        records = {name: self._recent[name] for name in names & self._recent.keys()}
        if self._database.shared:
            sequences = await _sequences(connection, records)
            records = {name: record for name, record in records.items() if record[1] == sequences.get(name)}
        return records | await _records(connection, names - records.keys())

    async def _owners(self, connection: AsyncConnection, names: Iterable[str]) -> dict[str, str]:
        """Who has events of these conversations to publish, and so must publish what follows."""
        owners: dict[str, str] = {}
        if self._database.shared:
            for some in _portions(names):
                query = select(outbox.c.conversation_id, outbox.c.node).distinct()
                waiting = query.where(outbox.c.published_at_ms.is_(None), outbox.c.conversation_id.in_(some))
                owners |= {name: node for name, node in await connection.execute(waiting)}  # noqa: C416 - a Row is no pair
        return owners

    def _remember(self, records: Mapping[str, Numbered]) -> None:
        for name, record in records.items():
            self._recent[name] = record
            self._recent.move_to_end(name)
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    async def conversation(self, conversation_id: str) -> Conversation | None:
        async with self._database.begin() as connection:
            record, _ = (await _records(connection, {conversation_id})).get(conversation_id, (None, 0))
        return record

    @property
    def _own_pending(self) -> ColumnElement[bool]:
        return outbox.c.published_at_ms.is_(None) & (outbox.c.node == self.node)

    async def pending(self, limit: int, after: int = 0) -> list[Pending]:
        query = (
            select(outbox.c.position, outbox.c.conversation_id, outbox.c.body)
            .where(self._own_pending, outbox.c.position > after)
            .order_by(outbox.c.position)
            .limit(limit)
        )
        async with self._database.begin() as connection:
            return [Pending(*row) for row in await connection.execute(query)]

    async def count_pending(self) -> int:
        async with self._database.begin() as connection:
            query = select(func.count()).where(self._own_pending)
            return (await connection.execute(query)).scalar_one()

    async def mark_published(self, positions: Iterable[int], at: datetime) -> None:
        async with self._database.begin() as connection:
            for some in _portions(positions):
                query = update(outbox).where(outbox.c.position.in_(some)).values(published_at_ms=_ms(at))
                await connection.execute(query)

    async def reoffer(self, span_ms: int) -> int:
        """Make what was published in the last `span_ms` before the newest published event pending again; how many."""
        own = outbox.c.node == self.node
        newest = select(func.max(outbox.c.published_at_ms)).where(own).scalar_subquery()
        query = update(outbox).where(own, outbox.c.published_at_ms >= newest - span_ms).values(published_at_ms=None)
        async with self._database.begin() as connection:
            return (await connection.execute(query)).rowcount

    async def prune(self, before: datetime, keep: int) -> int:
        """Forget tokens and events from before `before`, and the oldest published beyond `keep`; how many events."""
        async with self._database.begin() as connection:
            await connection.execute(delete(tokens).where(tokens.c.expires_at_ms < _ms(before)))
        by_age = outbox.c.published_at_ms.asc()
        aged = await self._prune(outbox.c.published_at_ms < _ms(before), by_age, math.inf)
        async with self._database.begin() as connection:
            excess = (await connection.execute(select(func.count()).select_from(outbox))).scalar_one() - keep
        return aged + await self._prune(outbox.c.published_at_ms.is_not(None), outbox.c.position.asc(), excess)

    async def _prune(self, which: ColumnElement[bool], order: ColumnElement[int], most: float) -> int:
        """So many at a time that nobody waits long for the database; other nodes may prune at the same moment."""
        pruned = 0
        while pruned < most:
            portion = int(min(PRUNED_AT_ONCE, most - pruned))
            some = select(outbox.c.position).where(which).order_by(order).limit(portion)
            some = some.with_for_update(skip_locked=True)
            async with self._database.begin() as connection:
                gone = (await connection.execute(delete(outbox).where(outbox.c.position.in_(some)))).rowcount
            pruned += gone
            if gone < portion:
                break
        return pruned


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _portions(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Few enough at a time for a statement's parameters."""
    rest = list(items)
    for start in range(0, len(rest), 500):
        yield rest[start : start + 500]


async def _known_ids(connection: AsyncConnection, ids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for some in _portions(ids):
        known.update(await connection.scalars(select(outbox.c.event_id).where(outbox.c.event_id.in_(some))))
    return known


async def _sequences(connection: AsyncConnection, names: Iterable[str]) -> dict[str, int]:
    sequences: dict[str, int] = {}
    for some in _portions(names):
        query = select(conversations.c.id, conversations.c.last_sequence).where(conversations.c.id.in_(some))
        sequences |= {name: sequence for name, sequence in await connection.execute(query)}  # noqa: C416
    return sequences


async def _records(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, Numbered]:
    records: dict[str, Numbered] = {}
    for some in _portions(ids):
        query = select(conversations.c.id, conversations.c.record, conversations.c.last_sequence)
        for name, text, last_sequence in await connection.execute(query.where(conversations.c.id.in_(some))):
            try:
                records[name] = Conversation.model_validate_json(text), last_sequence
            except ValidationError:  # one broken record must not hold up every call's events
                log.error("record_unreadable", conversation=name, remedy="its history begins anew")  # noqa: TRY400
                records[name] = None, last_sequence
    return records


async def _save(connection: AsyncConnection, records: Iterable[Numbered]) -> None:
    rows = [
        {
            "id": record.id,
            "record": record.model_dump_json(),
            "last_sequence": sequence,
            "updated_at_ms": _ms(record.updated_at),
        }
        for record, sequence in records
        if record
    ]
    await connection.execute(delete(conversations).where(conversations.c.id.in_([row["id"] for row in rows])))
    await connection.execute(insert(conversations), rows)
