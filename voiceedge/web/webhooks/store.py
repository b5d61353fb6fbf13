"""Webhooks and what is to be sent to them, in the database.

Of each conversation the first event that waits goes out, and the next when that is over. Whoever sends one holds a
lease on it, so that no other node sends it too; of a node that died over it the lease ends.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.storage.api_tables import webhook_deliveries as deliveries
from voiceedge.context.storage.api_tables import webhooks
from voiceedge.context.storage.rows import ms, time_of

WAITING, DELIVERED, FAILED = "waiting", "delivered", "failed"
MOST_WEBHOOKS = 50  # of one tenant


@dataclass(frozen=True, slots=True)
class Webhook:
    id: str
    tenant: str
    url: str
    types: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    position: int
    webhook: str
    event_id: str
    conversation: str
    type: str
    body: str
    state: str
    tries: int
    added_at: datetime
    due_at: datetime | None
    answered: int | None
    problem: str


async def add(connection: AsyncConnection, webhook: Webhook) -> bool:
    """False where the tenant has too many already."""
    own = select(func.count()).select_from(webhooks).where(webhooks.c.tenant == webhook.tenant)
    if (await connection.execute(own)).scalar_one() >= MOST_WEBHOOKS:
        return False
    if await one(connection, webhook.tenant, webhook.id) is None:  # it may be asked for again
        row = {
            "id": webhook.id, "tenant": webhook.tenant, "url": webhook.url, "types": json.dumps(webhook.types),
            "created_ms": ms(webhook.created_at), "why": "",
        }  # fmt: skip
        await connection.execute(insert(webhooks).values(row))
    return True


async def listed(connection: AsyncConnection, tenant: str) -> list[Webhook]:
    query = select(webhooks).where(webhooks.c.tenant == tenant).order_by(webhooks.c.created_ms, webhooks.c.id)
    return [_webhook(row) for row in await connection.execute(query)]


async def one(connection: AsyncConnection, tenant: str, webhook_id: str) -> Webhook | None:
    query = select(webhooks).where(webhooks.c.tenant == tenant, webhooks.c.id == webhook_id)
    row = (await connection.execute(query)).one_or_none()
    return _webhook(row) if row else None


async def remove(connection: AsyncConnection, webhook_id: str) -> None:
    await connection.execute(delete(deliveries).where(deliveries.c.webhook == webhook_id))
    await connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))


async def latest(connection: AsyncConnection, webhook_id: str, limit: int) -> list[Delivery]:
    query = select(deliveries).where(deliveries.c.webhook == webhook_id).order_by(deliveries.c.position.desc())
    return [_delivery(row) for row in await connection.execute(query.limit(limit))]


# --- sending ---


async def enabled(connection: AsyncConnection) -> list[Webhook]:
    return [_webhook(row) for row in await connection.execute(select(webhooks).where(webhooks.c.disabled_ms.is_(None)))]


async def claim(
    connection: AsyncConnection, webhook_id: str, now_ms: int, until_ms: int, limit: int
) -> Sequence[Delivery]:
    """What may be sent now, ours until `until_ms`; what another node has locked is left out."""
    mine = deliveries.c.webhook == webhook_id, deliveries.c.state == WAITING
    heads = select(func.min(deliveries.c.position)).where(*mine).group_by(deliveries.c.conversation)
    ready = select(deliveries).where(
        *mine, deliveries.c.position.in_(heads), deliveries.c.due_ms <= now_ms, deliveries.c.lease_ms <= now_ms
    )
    in_turn = ready.order_by(deliveries.c.position).limit(limit).with_for_update(skip_locked=True)
    found = [_delivery(row) for row in await connection.execute(in_turn)]
    positions = [one.position for one in found]
    lease = update(deliveries).where(deliveries.c.position.in_(positions)).values(lease_ms=until_ms)
    await connection.execute(lease)
    return found


async def next_due_ms(connection: AsyncConnection, now_ms: int) -> int | None:
    """When the first of those that wait for another try may be sent."""
    query = select(func.min(deliveries.c.due_ms)).where(deliveries.c.state == WAITING, deliveries.c.due_ms > now_ms)
    due_ms: int | None = (await connection.execute(query)).scalar_one_or_none()
    return due_ms


async def over(connection: AsyncConnection, position: int, state: str, now_ms: int, answered: int | None) -> None:
    values = {"state": state, "over_ms": now_ms, "answered": answered, "tries": deliveries.c.tries + 1}
    await connection.execute(update(deliveries).where(deliveries.c.position == position).values(values))


async def again(connection: AsyncConnection, position: int, due_ms: int, answered: int | None, problem: str) -> None:
    values = {
        "due_ms": due_ms, "lease_ms": 0, "answered": answered, "problem": problem, "tries": deliveries.c.tries + 1
    }  # fmt: skip
    await connection.execute(update(deliveries).where(deliveries.c.position == position).values(values))


async def succeeded_since(connection: AsyncConnection, webhook_id: str, since_ms: int) -> bool:
    query = select(deliveries.c.position).where(
        deliveries.c.webhook == webhook_id, deliveries.c.state == DELIVERED, deliveries.c.over_ms >= since_ms
    )
    return (await connection.execute(query.limit(1))).first() is not None


async def disable(connection: AsyncConnection, webhook_id: str, now_ms: int, why: str) -> None:
    """Nothing is sent to it any more, nor kept for it."""
    changed = update(webhooks).where(webhooks.c.id == webhook_id, webhooks.c.disabled_ms.is_(None))
    await connection.execute(changed.values(disabled_ms=now_ms, why=why))
    waiting = update(deliveries).where(deliveries.c.webhook == webhook_id, deliveries.c.state == WAITING)
    await connection.execute(waiting.values(state=FAILED, over_ms=now_ms))


async def prune(connection: AsyncConnection, before_ms: int) -> None:
    await connection.execute(delete(deliveries).where(deliveries.c.over_ms < before_ms))


# --- rows ---


def _webhook(row: Row[tuple[object, ...]]) -> Webhook:
    return Webhook(
        row.id, row.tenant, row.url, tuple(json.loads(row.types)), time_of(row.created_ms),
        time_of(row.disabled_ms) if row.disabled_ms else None, row.why,
    )  # fmt: skip


def _delivery(row: Row[tuple[object, ...]]) -> Delivery:
    return Delivery(
        row.position, row.webhook, row.event_id, row.conversation, row.type, row.body, row.state, row.tries,
        time_of(row.added_ms), time_of(row.due_ms) if row.state == WAITING and row.due_ms else None,
        row.answered, row.problem,
    )  # fmt: skip
