"""What is to be sent to webhooks: noted in the transaction that keeps the events, so that none is left out."""

import json
from collections.abc import Iterable

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.cloudevents import CloudEvent
from voiceedge.context.storage.api_tables import webhook_deliveries, webhooks

PORTION = 200  # rows of one statement


async def keep(connection: AsyncConnection, published: Iterable[tuple[str, CloudEvent]]) -> bool:
    """Each event with its tenant, in the order in which a conversation's are to be sent. Whether any is."""
    query = select(webhooks.c.id, webhooks.c.tenant, webhooks.c.types).where(webhooks.c.disabled_ms.is_(None))
    wanting = [(row.id, row.tenant, set(json.loads(row.types))) for row in await connection.execute(query)]
    if not wanting:
        return False
    rows = [
        row_of(webhook, event)
        for tenant, event in published
        for webhook, its_tenant, types in wanting
        if its_tenant == tenant and (not types or event.type in types)
    ]
    for start in range(0, len(rows), PORTION):
        await connection.execute(insert(webhook_deliveries), rows[start : start + PORTION])
    return bool(rows)


def row_of(webhook: str, event: CloudEvent) -> dict[str, object]:
    at_ms = int(event.time.timestamp() * 1000)
    return {
        "webhook": webhook, "event_id": event.id, "conversation": event.subject, "type": event.type,
        "body": event.model_dump_json(), "state": "waiting", "tries": 0, "added_ms": at_ms, "due_ms": 0, "lease_ms": 0,
        "problem": "",
    }  # fmt: skip
