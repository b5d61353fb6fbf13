"""Customers as rows of the database: who was merged into whom, who is known by what, and of whom nothing is left."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.storage.digital_tables import customer_trail, customers, identities
from voiceedge.context.storage.tables import conversations

# One in which they were identified, or that came from what they are known by.
HAS_CONVERSATION = or_(
    exists().where(conversations.c.customer_id == customers.c.id),
    exists().where(
        identities.c.customer_id == customers.c.id,
        conversations.c.customer == identities.c.hash,
        conversations.c.tenant == customers.c.tenant,
    ),
)


async def root(connection: AsyncConnection, tenant: str, customer_id: str) -> str | None:
    """Who this customer turned out to be, mostly the same; None where there is none of this tenant."""
    found = None
    seen: set[str] = set()
    name: str | None = customer_id
    while name is not None and name not in seen:
        seen.add(name)
        query = select(customers.c.merged_into).where(customers.c.id == name, customers.c.tenant == tenant)
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            break
        found, name = name, row.merged_into
    return found


async def family(connection: AsyncConnection, tenant: str, customer_id: str) -> list[str]:
    """The customer and all who were merged into the same person; empty where there is none of this tenant."""
    first = await root(connection, tenant, customer_id)
    names = [first] if first else []
    latest: Collection[str] = names
    while latest:
        query = select(customers.c.id).where(customers.c.merged_into.in_(latest), customers.c.id.not_in(names))
        latest = (await connection.scalars(query.order_by(customers.c.created_ms, customers.c.id))).all()
        names += latest
    return names


async def known_by(connection: AsyncConnection, tenant: str, kind: str, hashed: str) -> list[str]:
    """Whoever has this as their verified identity, with all who are the same person."""
    query = select(identities.c.customer_id).where(
        identities.c.tenant == tenant, identities.c.kind == kind, identities.c.hash == hashed, identities.c.verified
    )
    owner = (await connection.scalars(query)).one_or_none()
    return await family(connection, tenant, owner) if owner else []


async def abandoned(connection: AsyncConnection, before_ms: int, after: str, most: int) -> Sequence[Row[Any, Any]]:
    """By id after that one: whoever has no conversation, and of whom nothing was told since then (id, tenant)."""
    old = customers.c.seen_ms < before_ms, customers.c.merged_into.is_(None), ~HAS_CONVERSATION
    query = select(customers.c.id, customers.c.tenant).where(customers.c.id > after, *old)
    return (await connection.execute(query.order_by(customers.c.id).limit(most))).all()


async def forget(connection: AsyncConnection, names: Sequence[str]) -> None:
    """With all that they are known by, and how that came to be."""
    trail = or_(customer_trail.c.customer_id.in_(names), customer_trail.c.other_id.in_(names))
    await connection.execute(delete(customer_trail).where(trail))
    await connection.execute(delete(identities).where(identities.c.customer_id.in_(names)))
    await connection.execute(delete(customers).where(customers.c.id.in_(names)))
