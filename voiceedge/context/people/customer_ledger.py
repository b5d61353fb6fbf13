"""Customers of one tenant as a transaction sees and changes them: who a claim makes whom, written down with a trail."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock
from voiceedge.context.cloudevents import new_id
from voiceedge.context.people import customer_rows
from voiceedge.context.privacy.identifiers import Kind as Identifying
from voiceedge.context.privacy.pii import canonical, mask_text, pseudonym
from voiceedge.context.record import Slot, without_card
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.digital_tables import customer_trail, customers, identities
from voiceedge.context.storage.rows import ms, portions
from voiceedge.errors import CustomerError

Kind = Literal["phone", "email", "chat", "external"]
Action = Literal["created", "identified", "merged", "split", "kept_apart"]

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
class Decided:
    """Whose a claim is, None where it only hints; `merged`: it made one customer of two."""

    customer: str | None
    merged: bool = False


class Ledger:
    """`who` does it, for the trail. Its methods raise CustomerError."""

    def __init__(self, connection: AsyncConnection, tenant: str, key: bytes, clock: Clock, who: str) -> None:
        """`key` is that of pseudonyms."""
        self._connection, self._tenant, self._key, self._clock, self._who = connection, tenant, key, clock, who
        self._seen: set[str] = set()

    async def lock(self, database: Database) -> None:
        """First of all: customers of a tenant are changed by one at a time, as who is who depends on all of them."""
        await database.lock(self._connection, [f"customers of {self._tenant}"])

    async def present(self, customer: str) -> str:
        """Who this customer turned out to be."""
        found = await customer_rows.root(self._connection, self._tenant, customer)
        if found is None:
            raise CustomerError("there is no such customer")
        self._seen.add(found)
        return found

    async def note_seen(self) -> None:
        """Last of all: whoever this was about is not forgotten for a while."""
        for some in portions(self._seen):
            seen = update(customers).where(customers.c.id.in_(some))
            await self._connection.execute(seen.values(seen_ms=ms(self._clock.now())))

    async def forget(self, customer: str, before_ms: int) -> bool:
        """Whether nothing was told of them, or of who is the same, since then, and no conversation is left of any."""
        names = await customer_rows.family(self._connection, self._tenant, customer)
        kept = or_(customers.c.seen_ms >= before_ms, customer_rows.HAS_CONVERSATION)
        query = select(customers.c.id).where(customers.c.id.in_(names), kept).limit(1)
        if not names or (await self._connection.scalars(query)).one_or_none():
            return False
        await customer_rows.forget(self._connection, names)
        return True

    async def decide(self, claim: Claim, mine: str | None) -> Decided:
        """Whose the claim is, where `mine` is whom the person is known to be so far."""
        decided = await self._decide(claim, mine)
        if decided.customer:
            self._seen.add(decided.customer)
        return decided

    async def _decide(self, claim: Claim, mine: str | None) -> Decided:
        rows = await self._known(claim)
        verified = next((row for row in rows if row.verified), None)
        owner = await self._root(verified) if verified else None
        if not claim.verified:
            if mine:
                await self._add(mine, claim, rows)
            return Decided(mine)
        if owner is None:
            return await self._first(claim, mine, rows)
        if mine is None or mine == owner:
            return Decided(owner)
        why = f"{claim.kind} ({claim.source})"
        if await self._were_split(mine, owner):
            await self._trail(mine, "kept_apart", owner, why)
            return Decided(mine)
        return Decided(await self.merge(mine, owner, why), merged=True)

    async def alone(self, claims: Sequence[Claim]) -> str | None:
        """The one customer who is known by any of these, None where there is none: verified ones by such only."""
        roots = {
            await self._root(row)
            for claim in claims
            for row in await self._known(claim)
            if row.verified or not claim.verified
        } - {None}
        if len(roots) > 1:
            raise CustomerError("several customers are known by this: give the external id, or merge them")
        return next(iter(roots), None)

    async def create(self, why: str) -> str:
        """A new customer, of whom nothing is known yet."""
        name = new_id(self._clock)
        now_ms = ms(self._clock.now())
        row = {"id": name, "tenant": self._tenant, "attributes": "{}", "created_ms": now_ms, "seen_ms": now_ms}
        await self._connection.execute(insert(customers).values(row))
        await self._trail(name, "created", None, why)
        return name

    async def add(self, whose: str, claim: Claim) -> bool:
        """Whether that was news. Raises CustomerError where it is another's for sure."""
        self._seen.add(whose)
        rows = await self._known(claim)
        return await self._add(whose, claim, rows)

    async def set_attributes(self, customer: str, attributes: Mapping[str, Slot | None]) -> bool:
        """Whether that changed anything; None forgets one."""
        query = select(customers.c.attributes).where(customers.c.id == customer)
        before = read_attributes((await self._connection.scalars(query)).one())
        after = {name: _keepable(slot) for name, slot in {**before, **attributes}.items() if slot is not None}
        check_attributes(after)
        if after == before:
            return False
        written = json.dumps({name: slot.model_dump(mode="json") for name, slot in after.items()}, ensure_ascii=False)
        await self._connection.execute(update(customers).where(customers.c.id == customer).values(attributes=written))
        return True

    async def merge(self, one: str, other: str, why: str) -> str:
        """Both are the same person from now on: the older one, whose id is returned."""
        query = select(customers.c.id).where(customers.c.id.in_([one, other]))
        ordered = query.order_by(customers.c.created_ms, customers.c.id)
        older, younger = [str(name) for name in (await self._connection.scalars(ordered)).all()]
        await self._connection.execute(update(customers).where(customers.c.id == younger).values(merged_into=older))
        await self._trail(older, "merged", younger, why)
        return older

    async def split(self, customer: str, why: str) -> str:
        """Who was merged is somebody else again; from whom."""
        query = select(customers.c.merged_into).where(customers.c.id == customer, customers.c.tenant == self._tenant)
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            raise CustomerError("there is no such customer")
        if row.merged_into is None:
            raise CustomerError(f"{customer} was merged into nobody: name the one who was")
        await self._connection.execute(update(customers).where(customers.c.id == customer).values(merged_into=None))
        self._seen.add(customer)
        other = await self.present(row.merged_into)
        await self._trail(other, "split", customer, why)
        return other

    async def _first(self, claim: Claim, mine: str | None, rows: Sequence[Row[Any]]) -> Decided:
        """Nobody has shown this before."""
        claimants = {await self._root(row) for row in rows} - {None}
        if mine is None and len(claimants) > 1:
            return Decided(None)
        why = f"{claim.kind} ({claim.source})"
        whose = mine or next(iter(claimants), None) or await self.create(why)
        await self._add(whose, claim, rows)
        await self._trail(whose, "identified", None, why)
        return Decided(whose)

    async def _add(self, whose: str, claim: Claim, rows: Sequence[Row[Any]]) -> bool:
        """Once for each customer."""
        names = await customer_rows.family(self._connection, self._tenant, whose)
        if claim.verified and any(row.verified and row.customer_id not in names for row in rows):
            raise CustomerError(f"this {claim.kind} is another customer's: merge them if they are one")
        theirs = [row for row in rows if row.customer_id in names]
        source = claim.source[:LONGEST_SOURCE]
        if theirs:
            if not claim.verified or any(row.verified for row in theirs):
                return False
            this = identities.c.position == theirs[0].position
            await self._connection.execute(update(identities).where(this).values(verified=True, source=source))
            return True
        value = plain(claim.kind, claim.value)
        row = {
            "customer_id": whose,
            "tenant": self._tenant,
            "kind": claim.kind,
            "hash": pseudonym(value, self._key),
            "value": value,
            "verified": claim.verified,
            "source": source,
            "added_ms": ms(self._clock.now()),
        }
        await self._connection.execute(insert(identities).values(row))
        return True

    async def _known(self, claim: Claim) -> Sequence[Row[Any]]:
        """All who are known by this, the first first."""
        hashed = pseudonym(plain(claim.kind, claim.value), self._key)
        same = identities.c.tenant == self._tenant, identities.c.kind == claim.kind, identities.c.hash == hashed
        return (await self._connection.execute(select(identities).where(*same).order_by(identities.c.position))).all()

    async def _root(self, row: Row[Any]) -> str | None:
        return await customer_rows.root(self._connection, self._tenant, row.customer_id)

    async def _were_split(self, one: str, other: str) -> bool:
        ours, theirs = [await customer_rows.family(self._connection, self._tenant, name) for name in (one, other)]
        trail = customer_trail.c
        both = or_(
            trail.customer_id.in_(ours) & trail.other_id.in_(theirs),
            trail.customer_id.in_(theirs) & trail.other_id.in_(ours),
        )
        query = select(trail.position).where(trail.action == "split", both).limit(1)
        return (await self._connection.scalars(query)).one_or_none() is not None

    async def _trail(self, customer: str, action: Action, other: str | None, why: str) -> None:
        row = {
            "at_ms": ms(self._clock.now()),
            "customer_id": customer,
            "action": action,
            "other_id": other,
            "who": self._who[:LONGEST_WHO],
            "why": mask_text(why)[:LONGEST_ATTRIBUTE],
        }
        await self._connection.execute(insert(customer_trail).values(row))


def plain(kind: Kind, value: str) -> str:
    """The value as it is kept. Raises CustomerError where it is none of its kind."""
    text = canonical(value)
    good = bool(text) and len(text) <= LONGEST_VALUE and text.isprintable()
    if kind == "phone":
        good = good and text.isascii() and text.isdigit() and 3 <= len(text) <= 18  # noqa: PLR2004 - with an extension
    elif kind == "email":
        local, _, domain = text.rpartition("@")
        good = good and bool(local) and "." in domain.strip(".") and not any(map(str.isspace, text))
    if not good:
        raise CustomerError(f"this is no {kind}: give one as people write it, {LONGEST_VALUE} characters at most")
    return text if kind in {"phone", "email"} else value.strip()


def check_attributes(attributes: Mapping[str, Slot]) -> None:
    texts = [text for name, slot in attributes.items() for text in (name, slot.value)]
    if len(attributes) > MOST_ATTRIBUTES or any(len(text) > LONGEST_ATTRIBUTE for text in texts):
        raise CustomerError(
            f"a customer has at most {MOST_ATTRIBUTES} attributes of {LONGEST_ATTRIBUTE} characters: send fewer"
        )


def read_attributes(text: str) -> dict[str, Slot]:
    return {name: Slot.model_validate(slot) for name, slot in json.loads(text).items()}


def _keepable(slot: Slot) -> Slot:
    """Card numbers are never kept."""
    return without_card(slot.model_copy(update={"value": mask_text(slot.value, {Identifying.CARD})}))
