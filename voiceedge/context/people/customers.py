"""Customers: known by identities, one person one customer; merged and split again, with a trail of who did it and why.

A verified identity is one customer's. Who shows it is that customer; and two customers of whom one person has shown
verified identities are one from then on (the older one), unless somebody has split them before. An identity that nobody
has verified only hints: it makes nobody a customer, but it is the customer's who alone has it once it is verified.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock
from voiceedge.context.events.call import EventData
from voiceedge.context.events.digital import CustomerIdentified
from voiceedge.context.people import customer_rows
from voiceedge.context.people.customer_ledger import (
    Action,
    Claim,
    Decided,
    Kind,
    Ledger,
    check_attributes,
    plain,
    read_attributes,
)
from voiceedge.context.privacy.pii import PersonalDataClass, pseudonym
from voiceedge.context.record import Slot
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.digital_tables import customer_trail, customers, identities
from voiceedge.context.storage.rows import time_of
from voiceedge.context.storage.store import Store
from voiceedge.errors import CustomerError

__all__ = ["Claim", "Customer", "Customers", "Identity", "Imported", "Kind", "TrailEntry", "plain"]

Note = Callable[[str, EventData], Awaitable[None]]
Result = TypeVar("Result")

IMPORT = "import"
KINDS: tuple[Kind, ...] = ("external", "phone", "email")  # the columns of a table of customers


@dataclass(frozen=True, slots=True)
class Identity:
    kind: Kind
    value: str
    verified: bool
    source: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Customer:
    """`merged` are the ids of those who turned out to be the same person."""

    id: str
    tenant: str
    created_at: datetime
    attributes: Mapping[str, Slot]
    identities: Sequence[Identity]
    merged: Sequence[str]


@dataclass(frozen=True, slots=True)
class TrailEntry:
    time: datetime
    customer: str
    action: Action
    other: str | None
    who: str
    why: str


@dataclass(slots=True)
class Imported:
    """How many customers a table made, changed or found as they were; by line, why one was left out."""

    created: int = 0
    changed: int = 0
    same: int = 0
    problems: dict[int, str] = field(default_factory=dict)


class Customers:
    def __init__(self, database: Database, store: Store, key: bytes, clock: Clock, note: Note) -> None:
        """`key` is that of pseudonyms; `note` keeps an event of a conversation."""
        self._database, self._store, self._key, self._clock, self._note = database, store, key, clock, note

    async def identify(self, conversation: str, claim: Claim, *, who: str) -> str | None:
        """Whose the conversation is, now that this is known of whoever it is with; None where it only hints.

        Raises CustomerError where the value is none of its kind, or the conversation is unknown; StoreError.
        """
        known = await self._store.conversation(conversation)
        if known is None:
            raise CustomerError("there is no such conversation")

        async def decide(connection: AsyncConnection, ledger: Ledger) -> Decided:
            mine = await customer_rows.root(connection, known.tenant, known.customer_id) if known.customer_id else None
            return await ledger.decide(claim, mine)

        decided = await self._changed(known.tenant, who, decide)
        if decided.customer and (decided.customer != known.customer_id or decided.merged):
            told = CustomerIdentified(customer_id=decided.customer, by=claim.kind, merged=decided.merged)
            await self._note(known.id, told)
        return decided.customer

    async def read(self, tenant: str, customer: str) -> Customer | None:
        """Also by the id of one who was merged. None where there is none of this tenant."""
        async with self._database.begin() as connection:
            return await self._read(connection, tenant, customer)

    async def find(self, tenant: str, kind: Kind, value: str) -> Sequence[Customer]:
        """All who may be known by this, the one who has shown it first."""
        return await self.hinted(tenant, pseudonym(value, self._key), kind)

    async def hinted(self, tenant: str, hashed: str, kind: Kind | None = None) -> Sequence[Customer]:
        """As `find`, by the keyed hash of the value, such as a conversation's `customer`."""
        query = select(identities.c.customer_id, identities.c.verified)
        query = query.where(identities.c.tenant == tenant, identities.c.hash == hashed)
        if kind is not None:
            query = query.where(identities.c.kind == kind)
        query = query.order_by(identities.c.verified.desc(), identities.c.position)
        async with self._database.begin() as connection:
            rows = (await connection.execute(query)).all()
            roots = [await customer_rows.root(connection, tenant, row.customer_id) for row in rows]
            found = [await self._read(connection, tenant, name) for name in dict.fromkeys(roots) if name]
        return [one for one in found if one]

    async def known_as(self, tenant: str, who: str) -> Sequence[Customer]:
        """By id, or all who may be known by a number, an address or an id of the site's."""
        one = await self.read(tenant, who)
        return [one] if one else await self.hinted(tenant, pseudonym(who, self._key))

    async def change(self, tenant: str, customer: str, attributes: Mapping[str, Slot | None], *, who: str = "") -> None:
        """Set these, or forget those that are None. Raises CustomerError and StoreError."""

        async def work(_: AsyncConnection, ledger: Ledger) -> bool:
            return await ledger.set_attributes(await ledger.present(customer), attributes)

        await self._changed(tenant, who, work)

    async def merge(self, tenant: str, one: str, other: str, *, who: str, why: str) -> str:
        """Both are the same person: the id of the older one, who stays. Raises CustomerError and StoreError."""

        async def work(_: AsyncConnection, ledger: Ledger) -> str:
            first, second = await ledger.present(one), await ledger.present(other)
            if first == second:
                raise CustomerError(f"{one} and {other} are one customer already")
            return await ledger.merge(first, second, why)

        return await self._changed(tenant, who, work)

    async def split(self, tenant: str, customer: str, *, who: str, why: str) -> str:
        """`customer`, who was merged into another, is somebody else again: the id of the other.

        Their identities and conversations are theirs again, and no rule merges the two any more. Raises CustomerError
        and StoreError.
        """
        return await self._changed(tenant, who, lambda _, ledger: ledger.split(customer, why))

    async def trail(self, tenant: str, customer: str) -> Sequence[TrailEntry]:
        """How this customer, and those who are the same, came to be; the oldest entry first."""
        async with self._database.begin() as connection:
            names = await customer_rows.family(connection, tenant, customer)
            about = or_(customer_trail.c.customer_id.in_(names), customer_trail.c.other_id.in_(names))
            rows = await connection.execute(select(customer_trail).where(about).order_by(customer_trail.c.position))
            return [
                TrailEntry(time_of(row.at_ms), row.customer_id, row.action, row.other_id, row.who, row.why)
                for row in rows
            ]

    async def take(self, tenant: str, rows: Mapping[int, Mapping[str, str]], *, who: str) -> Imported:
        """Customers of a table of the site's, by line: columns external, phone, email, and any others as attributes.

        `external` is the site's own id, theirs for sure; a number or address that a table tells is not verified by
        that. The same again changes nothing. All in one transaction: give a few hundred at a time. Raises StoreError.
        """

        async def work(_: AsyncConnection, ledger: Ledger) -> Imported:
            result = Imported()
            for line, row in rows.items():
                try:
                    created, changed = await _take(ledger, row)
                except CustomerError as error:
                    result.problems[line] = str(error)
                    continue
                result.created += created
                result.changed += changed and not created
                result.same += not changed and not created
            return result

        return await self._changed(tenant, who, work)

    async def _changed(
        self, tenant: str, who: str, work: Callable[[AsyncConnection, Ledger], Awaitable[Result]]
    ) -> Result:
        async def locked(connection: AsyncConnection) -> Result:
            ledger = Ledger(connection, tenant, self._key, self._clock, who)
            await ledger.lock(self._database)
            result = await work(connection, ledger)
            await ledger.note_seen()
            return result

        return await self._database.attempt(locked)

    @staticmethod
    async def _read(connection: AsyncConnection, tenant: str, customer: str) -> Customer | None:
        names = await customer_rows.family(connection, tenant, customer)
        if not names:
            return None
        rows = {row.id: row for row in await connection.execute(select(customers).where(customers.c.id.in_(names)))}
        query = select(identities).where(identities.c.customer_id.in_(names)).order_by(identities.c.position)
        known = [
            Identity(row.kind, row.value, row.verified, row.source, time_of(row.added_ms))
            for row in await connection.execute(query)
        ]
        attributes: dict[str, Slot] = {}
        for name in names:  # what the oldest says counts
            attributes = {**read_attributes(rows[name].attributes), **attributes}
        first = rows[names[0]]
        return Customer(first.id, tenant, time_of(first.created_ms), attributes, known, names[1:])


async def _take(ledger: Ledger, row: Mapping[str, str]) -> tuple[bool, bool]:
    """Whether a customer was created, and whether anything was changed. Nothing is written where it raises."""
    given = {name: value.strip() for name, value in row.items() if value.strip()}
    claims = [Claim(kind, given[kind], verified=kind == "external", source=IMPORT) for kind in KINDS if kind in given]
    if not claims:
        raise CustomerError(f"nobody is named: give {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    for claim in claims:
        plain(claim.kind, claim.value)
    attributes = {
        name: Slot(value=value, personal_data=PersonalDataClass.PERSONAL)
        for name, value in given.items()
        if name not in KINDS
    }
    found = await ledger.alone(claims[:1] if claims[0].verified else claims)
    check_attributes(attributes)
    whose = found or await ledger.create(IMPORT)
    news = [await ledger.set_attributes(whose, attributes)]  # first, as it may refuse
    news += [await ledger.add(whose, claim) for claim in claims]
    return found is None, any(news)
