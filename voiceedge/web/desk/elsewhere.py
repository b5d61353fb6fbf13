"""What another system knows of a customer: asked by the connector that the switch plan names for desks."""

import asyncio
from typing import Any

from voiceedge.connectors.trying import TryOut
from voiceedge.context.people.customers import Customer
from voiceedge.context.record import Conversation
from voiceedge.web.desk.room import DeskRoom

LONGEST_S = 11.0  # connectors give up by themselves, within 10 s

PHONE = frozenset({"phone", "number", "caller"})  # parameters that are the customer's number


async def ask(room: DeskRoom, record: Conversation, customer: Customer | None) -> dict[str, Any]:
    """{"state": none, missing, found, not_found or error, …}; values are masked by their classes."""
    name = room.plan.connector
    if name is None:
        return {"state": "none"}
    missing, tried = await _tried(room, name, record, customer)
    if tried is None:
        return {"state": "missing", "name": name, "needs": missing}
    values = [
        {
            "name": one.name,
            "class": one.class_.value,
            "value": one.text,
            "hidden": one.text is not None and one.class_ in {"personal", "sensitive"},
        }
        for one in tried.values()
    ]
    return {"state": tried.result, "name": name, "values": values, "kept": tried.kept, "why": tried.explanation}


async def in_full(room: DeskRoom, record: Conversation, customer: Customer | None, value: str) -> str | None:
    """One of the values in the clear."""
    name = room.plan.connector
    _, tried = await _tried(room, name, record, customer) if name else ([], None)
    return next((one.text for one in tried.values(in_full=True) if one.name == value), None) if tried else None


async def number_of(room: DeskRoom, record: Conversation, customer: Customer | None) -> str:
    """The customer's, in the clear: known of them, or of the call that is up; else empty."""
    for identity in customer.identities if customer else ():
        if identity.kind == "phone" and identity.verified:
            return identity.value
    for visit in record.channels:
        if visit.channel == "phone" and visit.ended_at is None:
            answers = await room.services.ask_workers("number", {"call": visit.reference})
            if number := next((answer["number"] for answer in answers.values() if answer.get("number")), ""):
                return str(number)
    return ""


async def _tried(
    room: DeskRoom, name: str, record: Conversation, customer: Customer | None
) -> tuple[list[str], TryOut | None]:
    """What is not known that would be needed, or the answer."""
    profile = room.services.connectors.profiles.get(name)
    wanted = profile.parameters if profile else frozenset()
    values = {key: one.value for key, one in record.slots.items()}
    values |= {one.kind: one.value for one in customer.identities if one.verified} if customer else {}
    if wanted & PHONE and (number := await number_of(room, record, customer)):
        values |= dict.fromkeys(PHONE, number)
    if missing := sorted(key for key in wanted if not values.get(key)):
        return missing, None
    try:
        async with asyncio.timeout(LONGEST_S):
            tried = await room.services.connectors.try_out(name, {key: values[key] for key in wanted})
    except TimeoutError:
        return ["an answer in time"], None
    return [], tried
