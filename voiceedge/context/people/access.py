"""Who read or changed what of a person: an append-only log, each entry chained to the one before it by a keyed hash.

Its last entry is noted in a file of this node, too: who changes, deletes or cuts off entries in the database has
neither the key nor the file, and `verify` tells.
"""

import asyncio
import hashlib
import hmac
import json
import os
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, exists, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.digital_tables import access_log, customers
from voiceedge.context.storage.gathering import Gathering
from voiceedge.context.storage.rows import ms, portions, time_of
from voiceedge.context.storage.tables import conversations
from voiceedge.errors import StoreError

CHAIN = "access"  # the lock of who adds to it
LONGEST_NAME, LONGEST_ACTION = 128, 40
READ_AT_ONCE = 2_000
LOOKED_AT = 100_000  # entries looked through for those of one tenant
ANCHOR = "access.head"
Kind = Literal["conversation", "customer"]
KINDS: tuple[Kind, ...] = ("conversation", "customer")


@dataclass(frozen=True, slots=True)
class Access:
    position: int
    time: datetime
    actor: str
    action: str
    subject: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problem` says what is wrong, and from which position on; None: every entry is as it was written."""

    entries: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class Ours:
    """What is a tenant's own: all that these actors did, and all that was about its conversations and customers."""

    tenant: str
    actors: Collection[str]


class AccessLog:
    def __init__(self, database: Database, key: bytes, clock: Clock, directory: Path) -> None:
        """`key` must be the same on all nodes; `directory` is this node's own."""
        self._database, self._clock, self._anchor = database, clock, directory / ANCHOR
        self._key = hmac.new(key, b"access log", hashlib.sha256).digest()
        self._gathering = Gathering(self._write, clock, gather_s=0)
        self._anchoring, self._anchored = threading.Lock(), 0

    async def note(
        self,
        actor: str,
        action: str,
        subject: str = "",
        *,
        conversation: str | None = None,
        customer: str | None = None,
    ) -> None:
        """Return when it is on the disk. Raises StoreError: then nothing may be shown.

        What is about a conversation or customer is found by their ids; `subject` is anything else.
        """
        if conversation or customer:
            subject = _subject("conversation", conversation) if conversation else _subject("customer", customer or "")
        entry: dict[str, object] = {
            "at_ms": ms(self._clock.now()),
            "actor": actor[:LONGEST_NAME],
            "action": action[:LONGEST_ACTION],
            "subject": subject[:LONGEST_NAME],
        }
        await self._gathering.ingest([entry])

    async def listed(
        self,
        limit: int,
        *,
        before: int | None = None,
        actor: str | None = None,
        subject: str | None = None,
        of: Ours | None = None,
    ) -> list[Access]:
        """The latest first; `before` a position, `subject` as it stands there or an id alone.

        `of` looks through the latest `LOOKED_AT` only: the log has all tenants' and is never shortened.
        """
        query = select(access_log).order_by(access_log.c.position.desc()).limit(limit)
        if before is not None:
            query = query.where(access_log.c.position < before)
        if actor is not None:
            query = query.where(access_log.c.actor == actor)
        if subject is not None:
            query = query.where(access_log.c.subject.in_([subject, *(_subject(kind, subject) for kind in KINDS)]))
        if of is not None:
            newest = before if before is not None else select(func.max(access_log.c.position)).scalar_subquery()
            query = query.where(access_log.c.position > newest - LOOKED_AT)
            query = query.where(or_(access_log.c.actor.in_(of.actors), _is_of(of.tenant)))
        async with self._database.begin() as connection:
            rows = (await connection.execute(query)).all()
        return [_access(row) for row in rows]

    async def of(self, conversations: Iterable[str], customers: Iterable[str], limit: int) -> list[Access]:
        """Who had to do with any of these, by their ids; the oldest first."""
        subjects = [_subject("conversation", name) for name in conversations]
        subjects += [_subject("customer", name) for name in customers]
        found: list[Access] = []
        async with self._database.begin() as connection:
            for some in portions(subjects):
                query = select(access_log).where(access_log.c.subject.in_(some)).order_by(access_log.c.position)
                found += [_access(row) for row in await connection.execute(query.limit(limit))]
        return sorted(found, key=lambda one: one.position)[:limit]

    async def verify(self) -> Verdict:
        """Read all of it, in portions."""
        anchor = await asyncio.to_thread(self._read_anchor)
        count, last, digest = 0, 0, ""
        anchored = anchor is None
        query = select(access_log).order_by(access_log.c.position).limit(READ_AT_ONCE)
        while True:
            async with self._database.begin() as connection:
                rows = (await connection.execute(query.where(access_log.c.position > last))).all()
            for row in rows:
                entry = {"at_ms": row.at_ms, "actor": row.actor, "action": row.action, "subject": row.subject}
                digest = self._digest(digest, entry)
                if not hmac.compare_digest(digest, row.digest):
                    return Verdict(count, f"entry {row.position}, or one before it, was changed or deleted")
                anchored = anchored or anchor == (row.position, digest)
                count, last = count + 1, row.position
            if len(rows) < READ_AT_ONCE:
                break
        if not anchored and anchor:
            return Verdict(
                count, f"entry {anchor[0]}, which this node wrote, is missing: the log was cut off or replaced"
            )
        return Verdict(count, None)

    async def _write(self, entries: Sequence[dict[str, object]]) -> None:
        position, digest = await self._database.attempt(lambda connection: self._append(connection, entries))
        await asyncio.to_thread(self._write_anchor, position, digest)

    async def _append(self, connection: AsyncConnection, entries: Sequence[dict[str, object]]) -> tuple[int, str]:
        await self._database.lock(connection, [CHAIN])
        latest = select(access_log.c.digest).order_by(access_log.c.position.desc()).limit(1)
        digest = (await connection.scalars(latest)).one_or_none() or ""
        rows = []
        for entry in entries:
            digest = self._digest(digest, entry)
            rows.append({**entry, "digest": digest})
        *before, last = rows
        if before:
            await connection.execute(insert(access_log), before)
        position = (await connection.scalars(insert(access_log).returning(access_log.c.position), last)).one()
        return position, digest

    def _digest(self, before: str, entry: dict[str, object]) -> str:
        told = json.dumps([before, *(entry[name] for name in ("at_ms", "actor", "action", "subject"))])
        return hmac.new(self._key, told.encode(), hashlib.sha256).hexdigest()

    def _write_anchor(self, position: int, digest: str) -> None:
        """One at a time and never back: the thread of a write that was given up may come late."""
        draft = self._anchor.with_suffix(".draft")
        with self._anchoring:
            if position <= self._anchored:
                return
            try:
                draft.write_text(json.dumps([position, digest]), encoding="utf-8")
                os.replace(draft, self._anchor)  # noqa: PTH105 - whole, or not at all
            except OSError as error:
                problem = f"{self._anchor}: {error.strerror}: make site.data_dir writable for this user."
                raise StoreError(problem) from None
            self._anchored = position

    def _read_anchor(self) -> tuple[int, str] | None:
        try:
            position, digest = json.loads(self._anchor.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return position, digest


def _subject(kind: Kind, name: str) -> str:
    return f"{kind}:{name}"


def _is_of(tenant: str) -> ColumnElement[bool]:
    """Whether an entry is about a conversation of the tenant, be it one that was joined into another, or a customer."""

    def named(kind: Kind, row_id: ColumnElement[str]) -> ColumnElement[bool]:
        start = _subject(kind, "")
        name = func.substr(access_log.c.subject, len(start) + 1)
        return access_log.c.subject.startswith(start, autoescape=True) & (row_id == name)

    into = conversations.alias()
    joined = exists().where(into.c.id == conversations.c.joined_into, into.c.tenant == tenant)
    of_tenant = or_(conversations.c.tenant == tenant, joined)
    return or_(
        exists().where(named("conversation", conversations.c.id), of_tenant),
        exists().where(named("customer", customers.c.id), customers.c.tenant == tenant),
    )


def _access(row: Row[Any]) -> Access:
    return Access(row.position, time_of(row.at_ms), row.actor, row.action, row.subject)
