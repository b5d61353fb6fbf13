"""Customers as rows of the database: who was merged into whom, and who is known by what."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.storage.digital_tables import customers, identities


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
