"""How long conversations are kept, by class and age; and one person's data: told on request, erased on request."""

import asyncio
import re
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock
from voiceedge.config_digital import Retention as Settings
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.digital import ConversationErased
from voiceedge.context.people import customer_rows, person
from voiceedge.context.people.access import AccessLog
from voiceedge.context.people.customer_ledger import Ledger
from voiceedge.context.record import Changes, Conversation
from voiceedge.context.storage import rows as stored
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.rows import BITS, FORGOTTEN, ms
from voiceedge.context.storage.tables import conversations

Class = Literal["personal", "sensitive", "transcript", "all"]
Why = Literal["age", "request"]
Ingest = Callable[[Sequence[StampedEvent]], Awaitable[None]]

AT_ONCE = 100  # conversations of one transaction
ROWS_AT_ONCE = 500
FOLDERS = "recordings", "voicemail"  # in the site's data directory; their files are named by conversation
MOST_ACCESSES = 10_000
_CONVERSATION = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

log = structlog.get_logger()


class Retention:
    def __init__(  # noqa: PLR0917 - what it works on
        self, database: Database, ingest: Ingest, access: AccessLog, settings: Settings, key: bytes, data_dir: Path,
        clock: Clock,
    ) -> None:  # fmt: skip
        """`key` is that of pseudonyms."""
        self._database, self._ingest, self._access, self._key = database, ingest, access, key
        self._data_dir, self._clock = data_dir, clock
        self._ages: dict[Class, timedelta] = {
            "sensitive": timedelta(days=settings.sensitive_days),
            "personal": timedelta(days=settings.personal_days),
            "transcript": timedelta(days=settings.transcripts_days),
            "all": timedelta(days=settings.conversations_days),
        }
        self._customers_age = timedelta(days=settings.customers_days or settings.conversations_days)

    async def sweep(self) -> int:
        """Erase what is too old. How many conversations and customers were concerned. Raises StoreError.

        It counts from a conversation's last event; of one that is older than any is kept a bare row stays until the
        next sweep. Customers go of whom no conversation is left, from the last that was told of them.
        """
        await self._drop_rows()
        concerned = 0
        for kind in self._ages:
            while due := await self._due(kind):
                await self._erase_old(due)
                concerned += len(due)
        if concerned:
            log.info("conversations_erased", conversations=concerned, reason="age")
        if forgotten := await self._forget_customers():
            log.info("customers_erased", customers=forgotten, reason="age")
        return concerned + forgotten

    async def export(self, tenant: str, who: str) -> dict[str, Any]:
        """Everything kept of one person: `who` is a customer's id, or a number or address of theirs."""
        async with self._database.begin() as connection:
            found = await person.find(connection, tenant, who, self._key)
            around = await person.told(connection, found)
            records: list[Conversation] = []
            for some in stored.portions(found.conversations):
                kept = await stored.read(connection, some)
                records += [kept[name].record for name in some if name in kept]
        files = await asyncio.to_thread(self._files, found.parts)
        return {
            "tenant": tenant,
            "exported_at": self._clock.now().isoformat(),
            **around,
            "conversations": [record.model_dump(mode="json") for record in records],
            "files": [str(file.relative_to(self._data_dir)) for file in files],
            "accesses": [
                {"time": one.time.isoformat(), "actor": one.actor, "action": one.action, "subject": one.subject}
                for one in await self._access.of(found.conversations, found.customers, MOST_ACCESSES)
            ],
        }

    async def erase(self, tenant: str, who: str) -> int:
        """Forget one person, as `export` knows them. How many conversations were theirs.

        What is under way is forgotten as far as it has come. Harmless when done again. Raises StoreError.
        """
        async with self._database.begin() as connection:
            found = await person.find(connection, tenant, who, self._key)
        for file in await asyncio.to_thread(self._files, found.parts):
            await asyncio.to_thread(file.unlink, missing_ok=True)
        now = self._clock.now()
        for some in stored.portions(found.conversations, AT_ONCE):
            await self._erase_all(dict.fromkeys(some, now), "request")
        await self._database.attempt(lambda connection: person.forget_person(connection, found, ms(now)))
        return len(found.conversations)

    async def _erase_all(self, since: Mapping[str, datetime], why: Why) -> None:
        """What lies around them first: a record that is not erased yet can be found again."""

        async def around(connection: AsyncConnection) -> None:
            await person.forget_around(connection, await person.with_parts(connection, since))

        await self._database.attempt(around)
        await self._ingest([self._event(name, time, why, ("all",)) for name, time in since.items()])

    async def _due(self, kind: Class) -> list[tuple[str, datetime, int]]:
        """Conversations of which something of this class is too old: (id, last event, what is erased already)."""
        before = ms(self._clock.now() - self._ages[kind])
        bit = FORGOTTEN if kind == "all" else BITS[kind]
        yet = [bits for bits in range(FORGOTTEN) if not bits & bit]
        table = conversations.c
        query = select(table.id, table.updated_at_ms, table.erased).where(
            table.erased.in_(yet), table.started_ms < before, table.updated_at_ms < before, table.joined_into.is_(None)
        )
        async with self._database.begin() as connection:
            rows = await connection.execute(query.order_by(table.started_ms).limit(AT_ONCE))
            return [(name, stored.time_of(at), erased) for name, at, erased in rows]

    async def _erase_old(self, due: Sequence[tuple[str, datetime, int]]) -> None:
        now = self._clock.now()
        whole: dict[str, datetime] = {}
        parts: dict[str, list[Class]] = {}
        for name, updated, erased in due:
            old: list[Class] = [kind for kind, age in self._ages.items() if updated < now - age]
            if "all" in old:
                whole[name] = updated
            else:
                parts[name] = [kind for kind in old if not BITS[kind] & erased]
        if whole:
            await self._erase_all(whole, "age")
        if parts:
            held = await self._database.attempt(lambda connection: self._erase_parts(connection, parts))
            since = {name: updated for name, updated, _ in due}
            await self._ingest([self._event(name, since[name], "age", parts[name]) for name in held])

    @staticmethod
    async def _erase_parts(connection: AsyncConnection, parts: Mapping[str, Sequence[Class]]) -> list[str]:
        """Of which conversations an event must tell; of the others it is only noted that there is nothing."""
        wordless = [name for name, classes in parts.items() if "transcript" in classes]
        await person.forget_words(connection, await person.with_parts(connection, wordless))
        kept = await stored.read(connection, parts)
        held = [name for name in kept if any(kept[name].record.holds(kind) for kind in parts[name])]
        for name in kept.keys() - set(held):
            same = conversations.c.id == name, conversations.c.revision == kept[name].revision
            bits = conversations.c.erased.op("|")(sum(BITS[kind] for kind in parts[name]))
            await connection.execute(update(conversations).where(*same).values(erased=bits))
        return held

    async def _forget_customers(self) -> int:
        before_ms, forgotten, after = ms(self._clock.now() - self._customers_age), 0, ""
        while True:
            async with self._database.begin() as connection:
                found = await customer_rows.abandoned(connection, before_ms, after, AT_ONCE)
            if not found:
                return forgotten
            after = found[-1].id
            by_tenant: dict[str, list[str]] = defaultdict(list)
            for name, tenant in found:
                by_tenant[tenant].append(name)
            for tenant, names in by_tenant.items():
                forgotten += await self._forget_of(tenant, names, before_ms)

    async def _forget_of(self, tenant: str, names: Sequence[str], before_ms: int) -> int:
        async def forget(connection: AsyncConnection) -> int:
            ledger = Ledger(connection, tenant, self._key, self._clock, "retention")
            await ledger.lock(self._database)
            return sum([await ledger.forget(name, before_ms) for name in names])

        return await self._database.attempt(forget)

    async def _drop_rows(self) -> None:
        """Rows of which nothing is left, or never was: of what was erased, joined into another, or no conversation."""
        before = ms(self._clock.now() - self._ages["all"])
        empty = conversations.c.tenant == stored.NOBODYS, conversations.c.updated_at_ms < before
        some = select(conversations.c.id).where(*empty).limit(ROWS_AT_ONCE).scalar_subquery()
        gone = ROWS_AT_ONCE
        while gone == ROWS_AT_ONCE:
            async with self._database.begin() as connection:
                gone = (await connection.execute(delete(conversations).where(conversations.c.id.in_(some)))).rowcount

    def _event(self, name: str, since: datetime, why: Why, classes: Iterable[Class]) -> StampedEvent:
        """The same id on all nodes that find it at the same time."""
        classes = tuple(classes)
        told = f"{name} {since.isoformat()} {why} {' '.join(classes)}"
        return StampedEvent(
            id=str(uuid.uuid5(uuid.NAMESPACE_OID, told)),
            time=self._clock.now(),
            conversation=name,
            type=ConversationErased.type,
            data=ConversationErased(why=why, classes=classes),
            changes=Changes(),
        )

    def _files(self, parts: Collection[str]) -> list[Path]:
        """Recordings and messages of these conversations."""
        wanted = set(parts)
        found: list[Path] = []
        for folder in FOLDERS:
            for file in sorted((self._data_dir / folder).rglob("*")):
                name = _CONVERSATION.search(file.name)
                if name and name[0] in wanted and file.is_file():
                    found.append(file)
        return found
