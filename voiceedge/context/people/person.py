"""Everything kept of one person, in whichever table: found, told as one document, and forgotten."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.people import customer_rows
from voiceedge.context.privacy.pii import MASK, pseudonym
from voiceedge.context.storage.api_tables import webhook_deliveries
from voiceedge.context.storage.chat_tables import chat_events, chat_inputs, chat_messages, chats
from voiceedge.context.storage.continuing_tables import lent_numbers, messages_out, pins
from voiceedge.context.storage.digital_tables import customer_trail, customers, identities
from voiceedge.context.storage.rows import portions
from voiceedge.context.storage.tables import conversations, legs, outbound_orders, outbox, queue_tickets, tokens

_WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Person:
    """`hashes` are of their numbers and addresses.

    `parts` are the ids of `conversations` and of those that were joined into them.
    """

    tenant: str
    customers: Sequence[str]
    hashes: Sequence[str]
    conversations: Sequence[str]
    parts: Sequence[str]


async def find(connection: AsyncConnection, tenant: str, who: str, key: bytes) -> Person:
    """`who` is a customer's id, or a number or address that was shown or called from.

    A customer's are the conversations in which they were identified, and those of nobody yet that came from what they
    have shown. What they have only said may be somebody else's.
    """
    ids = await customer_rows.family(connection, tenant, who)
    hashes: list[str] = []
    if not ids:
        hashes = [pseudonym(who, key)]
        owners = select(identities.c.customer_id).where(
            identities.c.tenant == tenant, identities.c.hash.in_(hashes), identities.c.verified
        )
        for owner in (await connection.scalars(owners)).all():
            ids += [one for one in await customer_rows.family(connection, tenant, owner) if one not in ids]
    shown = select(identities.c.hash).where(identities.c.customer_id.in_(ids), identities.c.verified)
    hashes = list(dict.fromkeys([*hashes, *(await connection.scalars(shown)).all()]))
    theirs = or_(
        conversations.c.customer_id.in_(ids),
        conversations.c.customer.in_(hashes) & conversations.c.customer_id.is_(None),
    )
    query = select(conversations.c.id).where(conversations.c.tenant == tenant, theirs)
    names = (await connection.scalars(query.order_by(conversations.c.started_ms, conversations.c.id))).all()
    return Person(tenant, ids, hashes, names, await with_parts(connection, names))


async def with_parts(connection: AsyncConnection, names: Iterable[str]) -> list[str]:
    found = list(names)
    for some in portions(list(found)):
        query = select(conversations.c.id).where(conversations.c.joined_into.in_(some))
        found += (await connection.scalars(query)).all()
    return found


async def told(connection: AsyncConnection, person: Person) -> dict[str, Any]:
    """All of it but the conversations themselves, as JSON values by where it was found."""
    theirs = person.parts
    trail = or_(customer_trail.c.customer_id.in_(person.customers), customer_trail.c.other_id.in_(person.customers))
    chat_ids = [row["id"] for row in await _rows(connection, chats, chats.c.conversation, theirs)]
    return {
        "customers": [
            {**row, "attributes": json.loads(row["attributes"])}
            for row in await _rows(connection, customers, customers.c.id, person.customers)
        ],
        "identities": await _rows(connection, identities, identities.c.customer_id, person.customers),
        "trail": _plain((await connection.execute(select(customer_trail).where(trail))).mappings().all()),
        "messages": await _rows(connection, chat_messages, chat_messages.c.chat, chat_ids),
        "calls": [
            {**row, "record": json.loads(row["record"])}
            for row in await _rows(connection, legs, legs.c.conversation_id, theirs)
        ],
        "orders": await _rows(connection, outbound_orders, outbound_orders.c.conversation, theirs),
        "sent": await _rows(connection, messages_out, messages_out.c.conversation_id, theirs),
    }


async def forget_words(connection: AsyncConnection, names: Sequence[str]) -> None:
    """What was written in the chats of these conversations."""
    for some in portions(names):
        of_chats = select(chats.c.id).where(chats.c.conversation.in_(some)).scalar_subquery()
        await connection.execute(delete(chat_messages).where(chat_messages.c.chat.in_(of_chats)))
        await connection.execute(delete(chat_inputs).where(chat_inputs.c.chat.in_(of_chats)))
        await connection.execute(delete(chat_events).where(chat_events.c.chat.in_(of_chats)))


async def forget_around(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Whatever is kept of these conversations beside their records. What is under way ends by itself."""
    await forget_words(connection, names)
    for some in portions(names):
        for column in (
            tokens.c.conversation_id, pins.c.conversation_id, lent_numbers.c.conversation_id,
            messages_out.c.conversation_id,
        ):  # fmt: skip
            await connection.execute(delete(column.table).where(column.in_(some)))
        await _delete(connection, chats, chats.c.conversation.in_(some), chats.c.ended_ms.is_not(None))
        await _delete(connection, outbox, outbox.c.conversation_id.in_(some), outbox.c.published_at_ms.is_not(None))
        sent = webhook_deliveries.c.state != _WAITING
        await _delete(connection, webhook_deliveries, webhook_deliveries.c.conversation.in_(some), sent)
        await connection.execute(update(legs).where(legs.c.conversation_id.in_(some)).values(number=""))
        await _forget_calls(
            connection, queue_tickets.c.conversation.in_(some), outbound_orders.c.conversation.in_(some)
        )


async def forget_person(connection: AsyncConnection, person: Person, now_ms: int) -> None:
    """Whatever is kept of them beside their conversations. That nobody may call a number is not forgotten."""
    hashes = list(person.hashes)
    await _delete(connection, messages_out, messages_out.c.addressee.in_(hashes))
    theirs = outbound_orders.c.customer.in_(hashes)
    waiting = update(outbound_orders).where(theirs, outbound_orders.c.state == _WAITING)
    await connection.execute(waiting.values(state="cancelled", over_ms=now_ms))
    await _forget_calls(connection, queue_tickets.c.customer.in_(hashes), theirs)
    await customer_rows.forget(connection, person.customers)


async def _forget_calls(connection: AsyncConnection, tickets: ColumnElement[bool], orders: ColumnElement[bool]) -> None:
    over = update(queue_tickets).where(tickets, queue_tickets.c.over_ms.is_not(None))
    await connection.execute(over.values(customer=None, number=None))
    done = update(outbound_orders).where(orders, outbound_orders.c.over_ms.is_not(None))
    await connection.execute(done.values(customer="", number=MASK, slots="{}"))


async def _delete(connection: AsyncConnection, table: Table, *which: ColumnElement[bool]) -> None:
    await connection.execute(delete(table).where(*which))


async def _rows(
    connection: AsyncConnection, table: Table, column: ColumnElement[str], names: Sequence[str]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for some in portions(names):
        query = select(table).where(column.in_(some)).order_by(*table.primary_key.columns)
        found += _plain((await connection.execute(query)).mappings().all())
    return found


def _plain(rows: Iterable[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items() if name != "secret"} for row in rows]
