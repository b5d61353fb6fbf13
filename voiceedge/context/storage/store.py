"""What must survive: conversations, the outbox of events and the resume tokens, each change in one transaction."""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.cloudevents import StampedEvent, publish_form
from voiceedge.context.events.call import CallStarted
from voiceedge.context.record import MAIN, Conversation
from voiceedge.context.storage import calls_up, deliveries, legs
from voiceedge.context.storage import rows as stored
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.digital_tables import outbox_pruned
from voiceedge.context.storage.lease import PUBLISHING
from voiceedge.context.storage.rows import Kept, Row, ms, portions
from voiceedge.context.storage.tables import outbox, tokens
from voiceedge.errors import JoinRefusedError

POSITIONS = "positions"  # the lock of who adds to the outbox
RECENT = 1_000  # conversations, many more than have calls at once
PRUNED_AT_ONCE = 5_000  # events
_NEWEST = select(func.max(outbox.c.position))


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that waits for the broker."""

    position: int
    conversation: str
    body: str


@dataclass(frozen=True, slots=True)
class Added:
    """An event that was committed just now; `node` is to publish it."""

    position: int
    tenant: str
    conversation: str
    node: str
    body: str


@dataclass(frozen=True, slots=True)
class Commit:
    """What one transaction has added, one position after the other; `sends`: there is something for webhooks."""

    events: Sequence[Added]
    sends: bool


class Store:
    def __init__(self, database: Database, site: str, tenants: Mapping[str, str] | None = None) -> None:
        """`tenants`: called number to whose conversations it makes, where that is not the main one."""
        self._database, self._site, self._tenants = database, site, tenants or {}
        # The records of running conversations as they were committed: to read one back for each batch of its events
        # would cost more than all the rest. One that was written since, here or elsewhere, is known by its revision.
        self._recent: OrderedDict[str, Kept] = OrderedDict()
        self.listeners: list[Callable[[Commit], None]] = []

    @property
    def node(self) -> str:
        return self._database.node

    async def ingest(self, batch: Sequence[StampedEvent]) -> int:
        """Keep the events and what they change, all or nothing, leaving out those known by id. How many were new.

        Those of a conversation that was joined into another are that one's.
        """
        commit, records = await self._database.attempt(lambda connection: self._ingest(connection, batch))
        self._remember(records)
        if commit.events:
            for listen in self.listeners:
                listen(commit)
        return len(commit.events)

    async def join(self, *, visit: str, into: str) -> str:
        """File what the conversation `visit` has found out, and whatever it will, under `into`; the id of that one.

        Harmless where it is done already. What was published of `visit` stays as it is. Raises JoinRefusedError where
        `into` is unknown or another tenant's.
        """
        target, records = await self._database.attempt(lambda connection: self._join(connection, visit, into))
        self._remember(records)
        return target

    async def _ingest(
        self, connection: AsyncConnection, batch: Sequence[StampedEvent]
    ) -> tuple[Commit, Mapping[str, Kept]]:
        await self._database.lock(connection, [PUBLISHING], share=True)
        into, their_rows = await self._locked(connection, {event.conversation for event in batch})
        known = await _known_ids(connection, [event.id for event in batch])
        new = list({event.id: event for event in batch if event.id not in known}.values())
        fresh = [_filed(event, into) for event in new]
        concerned = {event.conversation for event in fresh}
        before = await self._current(connection, {name: their_rows[name] for name in concerned & their_rows.keys()})
        owners = await self._owners(connection, concerned)
        records = dict(before)
        rows, published = [], []
        for event in fresh:
            kept = records.get(event.conversation) or self._begun(event)
            record, sequence = kept.record.apply(event.time, event.data, event.changes), kept.sequence + 1
            records[event.conversation] = Kept(record, sequence, kept.revision)
            published.append((record.tenant, publish_form(event, self._site, sequence)))
            rows.append(
                {
                    "event_id": event.id,
                    "conversation_id": event.conversation,
                    "body": published[-1][1].model_dump_json(),
                    "node": owners.get(event.conversation, self.node),
                    "tenant": record.tenant,
                }
            )
        records = {name: _written(kept) for name, kept in records.items()}
        if not rows:
            return Commit((), sends=False), records
        await stored.write(connection, records, before)
        forgotten = {name for name, kept in records.items() if kept.record.forgotten}
        await legs.keep(connection, fresh, self.node, nameless=forgotten)
        await calls_up.keep(connection, new, self.node)
        sends = await deliveries.keep(connection, published)
        return Commit(await self._add_to_outbox(connection, rows), sends), records

    async def _join(self, connection: AsyncConnection, visit: str, into: str) -> tuple[str, Mapping[str, Kept]]:
        await self._database.lock(connection, [PUBLISHING], share=True)
        targets, rows = await self._locked(connection, {visit, into})
        visit, into = targets[visit], targets[into]
        if visit == into:
            return into, {}
        found = await self._current(connection, {name: rows[name] for name in {visit, into} & rows.keys()})
        earlier, later = found.get(into), found.get(visit)
        if earlier is None or earlier.record.forgotten:
            raise JoinRefusedError(f"conversation {into} is not known here: nothing can join it.")
        if later is None:  # its first event is still on its way
            later = _written(Kept(Conversation.begin(visit, earlier.record.updated_at, earlier.record.tenant), 0, 0))
            await stored.write(connection, {visit: later}, [])
        if later.record.tenant != earlier.record.tenant:
            raise JoinRefusedError(
                f"conversation {into} is another tenant's: nothing of {later.record.tenant} can join it."
            )
        joined = _written(Kept(earlier.record.joined(later.record), earlier.sequence, earlier.revision))
        await stored.write(connection, {into: joined}, [into])
        await stored.join(connection, visit, into, _written(later), later.record.started_at)
        return into, {into: joined}

    async def _locked(self, connection: AsyncConnection, names: set[str]) -> tuple[dict[str, str], dict[str, Row]]:
        """The conversations of which these are parts by now, held for ourselves with all of them; and their rows."""
        held: set[str] = set()
        into, rows = await stored.found(connection, names)
        while self._database.shared and not set(into.values()) <= held:
            held = names | set(into.values())
            await self._database.lock(connection, held)
            into, rows = await stored.found(connection, names)  # nobody joins any more what we hold
        return into, rows

    async def _current(self, connection: AsyncConnection, rows: Mapping[str, Row]) -> dict[str, Kept]:
        """The conversations' records, from memory where nobody has written them since."""
        records = {
            name: kept
            for name, row in rows.items()
            if (kept := self._recent.get(name)) and kept.revision == row.revision
        }
        return records | await stored.read(connection, rows.keys() - records.keys())

    def _begun(self, event: StampedEvent) -> Kept:
        """The conversation that begins with this event; whose it is, is settled with it."""
        called = event.data.called if isinstance(event.data, CallStarted) else ""
        tenant = event.changes.tenant or self._tenants.get(called, MAIN)
        return Kept(Conversation.begin(event.conversation, event.time, tenant), 0, 0)

    async def _add_to_outbox(self, connection: AsyncConnection, rows: Sequence[Mapping[str, str]]) -> list[Added]:
        """The last thing in a transaction.

        Positions are given to one at a time, until its commit: whoever has seen one has seen all before it.
        """
        await self._database.lock(connection, [POSITIONS])
        await connection.execute(insert(outbox), rows)
        newest = (await connection.execute(_NEWEST)).scalar_one()
        return [
            Added(newest - len(rows) + 1 + place, row["tenant"], row["conversation_id"], row["node"], row["body"])
            for place, row in enumerate(rows)
        ]

    async def _owners(self, connection: AsyncConnection, names: Iterable[str]) -> dict[str, str]:
        """Who has events of these conversations to publish, and so must publish what follows."""
        owners: dict[str, str] = {}
        if self._database.shared:
            for some in portions(names):
                query = select(outbox.c.conversation_id, outbox.c.node).distinct()
                waiting = query.where(outbox.c.published_at_ms.is_(None), outbox.c.conversation_id.in_(some))
                owners |= {name: node for name, node in await connection.execute(waiting)}  # noqa: C416 - a Row is no pair
        return owners

    def _remember(self, records: Mapping[str, Kept]) -> None:
        for name, record in records.items():
            self._recent[name] = record
            self._recent.move_to_end(name)
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    def written(self, conversation_id: str) -> Conversation | None:
        """As an event of it that was kept here last has left it, without asking the database; None where none was."""
        kept = self._recent.get(conversation_id)
        return kept.record if kept and not kept.record.forgotten else None

    async def conversation(self, conversation_id: str) -> Conversation | None:
        """The one it is a part of by now; None also where nothing of it is kept any more."""
        async with self._database.begin() as connection:
            into, rows = await stored.found(connection, [conversation_id])
            name = into[conversation_id]
            records = await self._current(connection, {name: rows[name]} if name in rows else {})
        self._remember({name: record for name, record in records.items() if name in self._recent})
        kept = records.get(name)
        return kept.record if kept and not kept.record.forgotten else None

    @property
    def _own_pending(self) -> ColumnElement[bool]:
        return outbox.c.published_at_ms.is_(None) & (outbox.c.node == self.node)

    async def newest(self) -> int:
        """The position of the last event that was added; 0 where none is kept."""
        async with self._database.begin() as connection:
            return (await connection.execute(_NEWEST)).scalar_one() or 0

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
            for some in portions(positions):
                query = update(outbox).where(outbox.c.position.in_(some)).values(published_at_ms=ms(at))
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
            await connection.execute(delete(tokens).where(tokens.c.expires_at_ms < ms(before)))
        by_age = outbox.c.published_at_ms.asc()
        aged = await self._prune(outbox.c.published_at_ms < ms(before), by_age, math.inf)
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
                query = delete(outbox).where(outbox.c.position.in_(some)).returning(outbox.c.position)
                positions = (await connection.scalars(query)).all()
                highest = max(positions, default=0)
                mark = update(outbox_pruned).where(outbox_pruned.c.position < highest).values(position=highest)
                await connection.execute(mark)
            gone = len(positions)
            pruned += gone
            if gone < portion:
                break
        return pruned


async def _known_ids(connection: AsyncConnection, ids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for some in portions(ids):
        known.update(await connection.scalars(select(outbox.c.event_id).where(outbox.c.event_id.in_(some))))
    return known


def _filed(event: StampedEvent, into: Mapping[str, str]) -> StampedEvent:
    target = into[event.conversation]
    return event if target == event.conversation else event.model_copy(update={"conversation": target})


def _written(kept: Kept) -> Kept:
    return replace(kept, revision=kept.revision + 1)
