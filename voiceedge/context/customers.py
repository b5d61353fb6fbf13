"""Customers: known by identities, one person one customer; merged and split again, with a trail of who did it and why.

A verified identity is one customer's. Who shows it is that customer; and two customers of whom one person has shown
verified identities are one from then on (the older one), unless somebody has split them before. An identity that nobody
has verified only hints: it makes nobody a customer, but it is the customer's who alone has it once it is verified.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock
from voiceedge.context import people
from voiceedge.context.cloudevents import new_id
from voiceedge.context.database import Database
from voiceedge.context.digital import CustomerIdentified
from voiceedge.context.digital_tables import customer_trail, customers, identities
from voiceedge.context.events import EventData
from voiceedge.context.identifiers import Kind as Identifying
from voiceedge.context.pii import canonical, mask_text, pseudonym
from voiceedge.context.record import Slot, without_card
from voiceedge.context.rows import ms, time_of
from voiceedge.context.store import Store
from voiceedge.errors import CustomerError

Kind = Literal["phone", "email", "chat", "external"]
Action = Literal["created", "identified", "merged", "split", "kept_apart"]
Note = Callable[[str, EventData], Awaitable[None]]

LONGEST_VALUE, LONGEST_ATTRIBUTE, MOST_ATTRIBUTES = 256, 1_000, 100
LONGEST_SOURCE, LONGEST_WHO = 64, 128


@dataclass(frozen=True, slots=True)
class Claim:
    """That somebody is known by `value`, in the clear; `verified` where they have shown that it is theirs."""

    kind: Kind
    value: str
    verified: bool
    source: str


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


@dataclass(frozen=True, slots=True)
class Decided:
    """Whose a claim is, None where it only hints; `merged`: it made one customer of two."""

    customer: str | None
    merged: bool = False


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

        async def decide(connection: AsyncConnection) -> Decided:
            await self.lock(connection, known.tenant)
            mine = known.customer_id and await people.root(connection, known.tenant, known.customer_id)
            return await self.decide(connection, known.tenant, claim, mine, who=who)

        decided = await self._database.attempt(decide)
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
            roots = [await people.root(connection, tenant, row.customer_id) for row in await connection.execute(query)]
            found = [await self._read(connection, tenant, name) for name in dict.fromkeys(roots) if name]
        return [one for one in found if one]

    async def change(self, tenant: str, customer: str, attributes: Mapping[str, Slot | None]) -> None:
        """Set these, or forget those that are None. Raises CustomerError and StoreError."""

        async def work(connection: AsyncConnection) -> None:
            await self.lock(connection, tenant)
            await self.set_attributes(connection, await _present(connection, tenant, customer), attributes)

        await self._database.attempt(work)

    async def merge(self, tenant: str, one: str, other: str, *, who: str, why: str) -> str:
        """Both are the same person: the id of the older one, who stays. Raises CustomerError and StoreError."""

        async def work(connection: AsyncConnection) -> str:
            await self.lock(connection, tenant)
            roots = [await _present(connection, tenant, name) for name in (one, other)]
            if roots[0] == roots[1]:
                raise CustomerError(f"{one} and {other} are one customer already")
            return await self._merge(connection, roots[0], roots[1], who, why)

        return await self._database.attempt(work)

    async def split(self, tenant: str, customer: str, *, who: str, why: str) -> str:
        """`customer`, who was merged into another, is somebody else again: the id of the other.

        Their identities and conversations are theirs again, and no rule merges the two any more. Raises CustomerError
        and StoreError.
        """

        async def work(connection: AsyncConnection) -> str:
            await self.lock(connection, tenant)
            await _present(connection, tenant, customer)
            into = (await connection.scalars(select(customers.c.merged_into).where(customers.c.id == customer))).one()
            if into is None:
                raise CustomerError(f"{customer} was merged into nobody: name the one who was")
            await connection.execute(update(customers).where(customers.c.id == customer).values(merged_into=None))
            first = await _present(connection, tenant, into)
            await self._trail(connection, first, "split", customer, who, why)
            return first

        return await self._database.attempt(work)

    async def trail(self, tenant: str, customer: str) -> Sequence[TrailEntry]:
        """How this customer, and those who are the same, came to be; the oldest entry first."""
        async with self._database.begin() as connection:
            names = await people.family(connection, tenant, customer)
            about = or_(customer_trail.c.customer_id.in_(names), customer_trail.c.other_id.in_(names))
            rows = await connection.execute(select(customer_trail).where(about).order_by(customer_trail.c.position))
            return [
                TrailEntry(time_of(row.at_ms), row.customer_id, row.action, row.other_id, row.who, row.why)
                for row in rows
            ]

    async def lock(self, connection: AsyncConnection, tenant: str) -> None:
        """Customers of a tenant are changed by one at a time: who is who depends on all of them."""
        await self._database.lock(connection, [f"customers of {tenant}"])

    async def decide(
        self, connection: AsyncConnection, tenant: str, claim: Claim, mine: str | None, *, who: str
    ) -> Decided:
        """Whose the claim is, where `mine` is whom the person is known to be so far; written down, under `lock`."""
        value = plain(claim.kind, claim.value)
        hashed = pseudonym(value, self._key)
        same = identities.c.tenant == tenant, identities.c.kind == claim.kind, identities.c.hash == hashed
        rows = (await connection.execute(select(identities).where(*same).order_by(identities.c.position))).all()
        owner = await _root_of(connection, tenant, [row for row in rows if row.verified])
        if not claim.verified:
            if mine:
                await self._add(connection, tenant, mine, claim, rows)
            return Decided(mine)
        if owner is None:
            return await self._first(connection, tenant, claim, mine, rows, who)
        if mine is None or mine == owner:
            return Decided(owner)
        why = f"{claim.kind} ({claim.source})"
        if await _were_split(connection, tenant, mine, owner):
            await self._trail(connection, mine, "kept_apart", owner, who, why)
            return Decided(mine)
        return Decided(await self._merge(connection, mine, owner, who, why), merged=True)

    async def create(self, connection: AsyncConnection, tenant: str, *, who: str, why: str) -> str:
        """A new customer, of whom nothing is known yet; under `lock`."""
        name = new_id(self._clock)
        row = {"id": name, "tenant": tenant, "attributes": "{}", "created_ms": ms(self._clock.now())}
        await connection.execute(insert(customers).values(row))
        await self._trail(connection, name, "created", None, who, why)
        return name

    async def set_attributes(
        self, connection: AsyncConnection, customer: str, attributes: Mapping[str, Slot | None]
    ) -> bool:
        """Whether that changed anything; under `lock`."""
        text = (await connection.scalars(select(customers.c.attributes).where(customers.c.id == customer))).one()
        before = _attributes(text)
        after = {name: _keepable(slot) for name, slot in {**before, **attributes}.items() if slot is not None}
        if len(after) > MOST_ATTRIBUTES or any(len(slot.value) > LONGEST_ATTRIBUTE for slot in after.values()):
            raise CustomerError(
                f"a customer has at most {MOST_ATTRIBUTES} attributes of {LONGEST_ATTRIBUTE} characters: send fewer"
            )
        if after == before:
            return False
        written = json.dumps({name: slot.model_dump(mode="json") for name, slot in after.items()}, ensure_ascii=False)
        await connection.execute(update(customers).where(customers.c.id == customer).values(attributes=written))
        return True

    async def _first(  # noqa: PLR0917 - those of decide
        self,
        connection: AsyncConnection,
        tenant: str,
        claim: Claim,
        mine: str | None,
        rows: Sequence[Row[*tuple[object, ...]]],
        who: str,
    ) -> Decided:
        """Nobody has shown this before."""
        claimants = {await people.root(connection, tenant, row.customer_id) for row in rows} - {None}
        if mine is None and len(claimants) > 1:
            return Decided(None)
        why = f"{claim.kind} ({claim.source})"
        whose = mine or next(iter(claimants), None) or await self.create(connection, tenant, who=who, why=why)
        await self._add(connection, tenant, whose, claim, rows)
        await self._trail(connection, whose, "identified", None, who, why)
        return Decided(whose)

    async def _add(
        self,
        connection: AsyncConnection,
        tenant: str,
        whose: str,
        claim: Claim,
        rows: Sequence[Row[*tuple[object, ...]]],
    ) -> None:
        """Once for each customer."""
        names = await people.family(connection, tenant, whose)
        theirs = [row for row in rows if row.customer_id in names]
        if theirs:
            if claim.verified:
                proved = {"verified": True, "source": claim.source[:LONGEST_SOURCE]}
                await connection.execute(
                    update(identities).where(identities.c.position == theirs[0].position).values(proved)
                )
            return
        value = plain(claim.kind, claim.value)
        row = {
            "customer_id": whose,
            "tenant": tenant,
            "kind": claim.kind,
            "hash": pseudonym(value, self._key),
            "value": value,
            "verified": claim.verified,
            "source": claim.source[:LONGEST_SOURCE],
            "added_ms": ms(self._clock.now()),
        }
        await connection.execute(insert(identities).values(row))

    async def _merge(self, connection: AsyncConnection, one: str, other: str, who: str, why: str) -> str:
        query = select(customers.c.id).where(customers.c.id.in_([one, other]))
        older: str
        older, younger = (await connection.scalars(query.order_by(customers.c.created_ms, customers.c.id))).all()
        await connection.execute(update(customers).where(customers.c.id == younger).values(merged_into=older))
        await self._trail(connection, older, "merged", younger, who, why)
        return older

    async def _trail(  # noqa: PLR0917 - its columns
        self, connection: AsyncConnection, customer: str, action: Action, other: str | None, who: str, why: str
    ) -> None:
        row = {
            "at_ms": ms(self._clock.now()),
            "customer_id": customer,
            "action": action,
            "other_id": other,
            "who": who[:LONGEST_WHO],
            "why": mask_text(why)[:LONGEST_ATTRIBUTE],
        }
        await connection.execute(insert(customer_trail).values(row))

    async def _read(self, connection: AsyncConnection, tenant: str, customer: str) -> Customer | None:
        names = await people.family(connection, tenant, customer)
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
            attributes = {**_attributes(rows[name].attributes), **attributes}
        first = rows[names[0]]
        return Customer(first.id, tenant, time_of(first.created_ms), attributes, known, names[1:])


def plain(kind: Kind, value: str) -> str:
    """The value as it is kept. Raises CustomerError where it is none of its kind."""
    text = canonical(value)
    good = bool(text) and len(text) <= LONGEST_VALUE and text.isprintable()
    if kind == "phone":
        good = good and text.isascii() and text.isdigit() and 3 <= len(text) <= 18  # noqa: PLR2004 - E.164, and extensions
    elif kind == "email":
        local, _, domain = text.rpartition("@")
        good = good and bool(local) and "." in domain.strip(".") and not any(map(str.isspace, text))
    if not good:
        raise CustomerError(f"this is no {kind}: give one as people write it, {LONGEST_VALUE} characters at most")
    return text


async def _present(connection: AsyncConnection, tenant: str, customer: str) -> str:
    found = await people.root(connection, tenant, customer)
    if found is None:
        raise CustomerError("there is no such customer")
    return found


async def _root_of(connection: AsyncConnection, tenant: str, rows: Sequence[Row[*tuple[object, ...]]]) -> str | None:
    return await people.root(connection, tenant, rows[0].customer_id) if rows else None


async def _were_split(connection: AsyncConnection, tenant: str, one: str, other: str) -> bool:
    ours, theirs = [await people.family(connection, tenant, name) for name in (one, other)]
    trail = customer_trail.c
    both = or_(
        trail.customer_id.in_(ours) & trail.other_id.in_(theirs),
        trail.customer_id.in_(theirs) & trail.other_id.in_(ours),
    )
    query = select(trail.position).where(trail.action == "split", both).limit(1)
    return (await connection.scalars(query)).one_or_none() is not None


def _attributes(text: str) -> dict[str, Slot]:
    return {name: Slot.model_validate(slot) for name, slot in json.loads(text).items()}


def _keepable(slot: Slot) -> Slot:
    """Card numbers are never kept."""
    return without_card(slot.model_copy(update={"value": mask_text(slot.value, {Identifying.CARD})}))
