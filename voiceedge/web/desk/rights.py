"""Which conversations an agent may open: nothing of another tenant's, and of others' only what is before them now."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from voiceedge.channels.chat_model import Chat
from voiceedge.clock import sleep
from voiceedge.context.people.archive import Found, Wanted
from voiceedge.context.record import Conversation
from voiceedge.switch.queues.messages import TicketState
from voiceedge.web.desk.contacts import Contact
from voiceedge.web.desk.door import Asker
from voiceedge.web.desk.room import DeskRoom
from voiceedge.web.problems import Problem

MOST_EARLIER = 20
RECORDED_S, AGAIN_S = 2.0, 0.1


def unknown() -> Problem:
    """Another's and none are told alike."""
    return Problem(HTTPStatus.NOT_FOUND, "not_found", "there is no such conversation, or it is not yours to open")


async def opened(room: DeskRoom, asker: Asker, conversation: str) -> Conversation:
    """The record, and the access log knows. Raises Problem and StoreError."""
    record = await _recorded(room, asker, conversation)
    if record is None or not await may_open(room, asker, record):
        raise unknown()
    await room.note_reading(asker.session.digest, asker.actor, record.id)
    return record


async def _recorded(room: DeskRoom, asker: Asker, conversation: str) -> Conversation | None:
    """A chat that has just begun is an agent's a moment before its first event is in the store."""
    clock, archive = room.services.clock, room.services.context.archive
    until = clock.monotonic() + RECORDED_S
    while True:
        record = await archive.read(asker.entry.tenant, conversation)
        if record or clock.monotonic() > until or not await room.contacts.has_had(asker.name, [conversation]):
            return record
        await sleep(clock, AGAIN_S)


async def may_open(room: DeskRoom, asker: Asker, record: Conversation) -> bool:
    if asker.entry.supervisor or await room.contacts.has_had(asker.name, [record.id]):
        return True
    return await _is_about(room, asker, record, [name async for name in before(room, asker)])


async def may_reveal(room: DeskRoom, asker: Asker, record: Conversation) -> bool:
    """Personal values are for whoever has that customer before them now."""
    if asker.entry.supervisor:
        return True
    mine = [contact.conversation_id for contact in await room.contacts.open_of(asker.name)]
    return await _is_about(room, asker, record, mine)


async def _is_about(room: DeskRoom, asker: Asker, record: Conversation, names: Sequence[str]) -> bool:
    """Whether it is one of these, or of the same customer as one of these."""
    if record.id in names:
        return True
    if not record.customer and not record.customer_id:
        return False
    tenant = asker.entry.tenant
    for name in names:
        current = await room.services.context.archive.read(tenant, name)
        if current and _same_person(current, record, await family(room, tenant, current)):
            return True
    return False


async def before(room: DeskRoom, asker: Asker) -> AsyncIterator[str]:
    """The conversations that they have now, are being offered, or that wait in their queues."""
    for contact in await room.contacts.open_of(asker.name):
        yield contact.conversation_id
    for sent in room.coming.to(asker.name):
        yield sent.conversation
    state = (await room.services.queues.picture()).state
    mine = state.agents.get(asker.name)
    for ticket in state.tickets.values():
        waits = ticket.state is TicketState.WAITING and ticket.queue in asker.entry.queues
        if waits or (mine and mine.ticket == ticket.id):
            yield ticket.conversation
    for offer in room.assigning.offers_to(asker.name):
        yield offer.chat.conversation
    for chat in await room.services.chats.waiting():
        if waits_for(chat, asker):
            yield chat.conversation


def waits_for(chat: Chat, asker: Asker) -> bool:
    return chat.tenant == asker.entry.tenant and (
        chat.wanted == asker.name or chat.queue is None or chat.queue in asker.entry.queues
    )


async def family(room: DeskRoom, tenant: str, record: Conversation) -> frozenset[str]:
    """All ids of the record's customer."""
    if record.customer_id is None:
        return frozenset()
    customer = await room.services.context.customers.read(tenant, record.customer_id)
    return frozenset((customer.id, *customer.merged)) if customer else frozenset()


def _same_person(current: Conversation, other: Conversation, family: frozenset[str]) -> bool:
    if other.customer_id is not None and other.customer_id in family:
        return True
    return current.customer is not None and current.customer == other.customer


async def earlier(room: DeskRoom, tenant: str, record: Conversation) -> list[Conversation]:
    """Others of the same customer, the newest first."""
    archive, found = room.services.context.archive, list[Found]()
    if record.customer_id:
        found += (await archive.search(tenant, Wanted(customer=record.customer_id), limit=MOST_EARLIER + 1)).items
    if record.customer:
        found += (await archive.search(tenant, Wanted(hashed=record.customer), limit=MOST_EARLIER + 1)).items
    newest = sorted({one.id: one for one in found}.values(), key=lambda one: one.started_at, reverse=True)
    names = [one.id for one in newest if one.id != record.id][:MOST_EARLIER]
    records = [await archive.read(tenant, name) for name in names]
    return [one for one in records if one]


async def own(room: DeskRoom, asker: Asker, conversation: str) -> Contact:
    """Their contact in this conversation, the latest where there are several. Raises Problem: theirs alone may act."""
    contacts = [one for one in await room.contacts.open_of(asker.name) if one.conversation_id == conversation]
    if not contacts:
        raise unknown()
    return next((one for one in reversed(contacts) if one.ended_ms is None), contacts[-1])


@dataclass(frozen=True, slots=True)
class Given:
    """A chat that is offered to an agent, or was theirs until `until_ms`; `began_ms`: since when."""

    conversation: str
    began_ms: int
    until_ms: int | None


async def given_chat(room: DeskRoom, asker: Asker, chat: str) -> Given:
    """Whoever is given a chat sees its note and messages in full. Raises Problem to anybody else."""
    for offer in room.assigning.offers_to(asker.name):
        if offer.chat.id == chat:
            return Given(offer.chat.conversation, offer.since_ms, None)
    contact = await room.contacts.find(asker.name, chat)
    if contact is None:
        raise unknown()
    return Given(contact.conversation_id, contact.began_ms, contact.ended_ms)
