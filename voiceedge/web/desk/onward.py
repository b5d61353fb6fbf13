"""Sending a customer to another channel from the desk: a link or code that works once, shown or sent."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from voiceedge.channels.file import WEB_CHAT, Sms
from voiceedge.context.events.digital import LinkSent
from voiceedge.context.record import Conversation
from voiceedge.context.resuming.continuing import PHONE, Ticket
from voiceedge.web.desk import elsewhere, rights, view
from voiceedge.web.desk.contacts import Contact
from voiceedge.web.desk.door import Asker, Known, Room
from voiceedge.web.desk.room import DeskRoom
from voiceedge.web.problems import Problem

BY_DESK = "desk"  # of a link or code that the agent tells the customer

router = APIRouter(prefix="/desk/api/conversations/{conversation}", include_in_schema=False)


class Elsewhere(BaseModel):
    """`address` empty: the customer's own number, where it is known and the channel sends to numbers."""

    model_config = ConfigDict(extra="forbid")
    channel: str = Field(max_length=40)
    address: str = Field("", max_length=320)


@router.post("/continue")
async def go_on(conversation: str, wish: Elsewhere, asker: Known, room: Room) -> dict[str, Any]:
    contact = await rights.own(room, asker, conversation)
    record = await rights.opened(room, asker, conversation)
    await room.note(asker.actor, f"sent on to {wish.channel}"[:40], conversation=record.id)
    if room.services.senders.channel(wish.channel):
        return await _sent(room, asker, record, contact, wish)
    if wish.channel == PHONE:
        ticket = await _issued(room, record, PHONE)
        found: dict[str, Any] = {"pin": ticket.pin, "number": ticket.number}
        expires = ticket.code_expires_at
    elif wish.channel == WEB_CHAT and room.services.config.web.public_url:
        ticket = await _issued(room, record, WEB_CHAT)
        found, expires = {"link": ticket.link}, ticket.expires_at
    else:
        raise Problem(HTTPStatus.NOT_FOUND, "not_found", "there is no such channel")
    told = LinkSent(interaction=contact.reference, channel=wish.channel, via=BY_DESK, address=None, result="sent")
    await room.services.context.note(record.id, told)
    return {**found, "expires_at": expires.isoformat()}


async def _issued(room: DeskRoom, record: Conversation, channel: str) -> Ticket:
    codes = channel == PHONE
    return await room.services.context.continuing.issue(record.id, channel, pin=codes, number=codes)


async def _sent(
    room: DeskRoom, asker: Asker, record: Conversation, contact: Contact, wish: Elsewhere
) -> dict[str, Any]:
    senders = room.services.senders
    settings = senders.channel(wish.channel)
    assert settings  # noqa: S101 - it has just been looked for
    channel = wish.channel if settings.link else settings.opens
    to = wish.address
    if not to and isinstance(settings, Sms):
        known = await view.customer_of(room, asker.entry.tenant, record)
        to = await elsewhere.number_of(room, record, known)
    ticket = await _issued(room, record, channel)
    sent = await senders.put(
        ticket,
        via=wish.channel,
        to=to,
        channel=channel,
        conversation=record.id,
        interaction=contact.reference,
        language=record.language or room.services.config.site.language,
    )
    if not sent:
        text = "it was not sent: is the address right, was much sent to it, and is there a link to send?"
        raise Problem(HTTPStatus.CONFLICT, "not_sent", text)
    return {"sent": True, "expires_at": ticket.expires_at.isoformat()}


def channels(room: DeskRoom) -> list[dict[str, Any]]:
    """Where a customer can go on from the desk; to those that are `addressed` something is sent."""
    senders = room.services.senders
    found: list[dict[str, Any]] = [{"name": PHONE, "title": "", "addressed": False}]
    if room.services.config.web.public_url:
        found.append({"name": WEB_CHAT, "title": "", "addressed": False})
    for name in senders.names:
        is_text = isinstance(senders.channel(name), Sms)
        found.append({"name": name, "title": "", "addressed": True, "to_their_number": is_text})
    return found
