"""What an agent's desk shows of the agent: state, contacts, what is offered, and who waits in their queues."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from voiceedge.channels.chat_model import Chat, ChatError, ChatState
from voiceedge.context.people.customers import Customer
from voiceedge.context.privacy.pii import mask_text
from voiceedge.context.record import Conversation
from voiceedge.switch.queues.messages import AgentState, TicketState
from voiceedge.switch.queues.model import Ticket
from voiceedge.switch.queues.picture import Picture
from voiceedge.web.desk import story
from voiceedge.web.desk.coming import Sent
from voiceedge.web.desk.contacts import Contact
from voiceedge.web.desk.door import Asker
from voiceedge.web.desk.rights import waits_for
from voiceedge.web.desk.room import DeskRoom

Json = dict[str, Any]


async def desk(room: DeskRoom, asker: Asker) -> Json:
    """All of it; times are milliseconds since 1970, so that nothing in it changes by itself."""
    picture, now = await room.services.queues.picture(), room.services.clock.now()
    chats = [chat for chat in await room.services.chats.waiting() if waits_for(chat, asker)]
    contacts = Drawing(room, asker, picture)
    return {
        "me": _me(room, asker, picture, now),
        "state": _state(asker, picture, now),
        "contacts": await contacts.all(),
        "waiting": [_waiting(room, name, picture.state.tickets.values(), chats) for name in asker.entry.queues],
    }


def choices(room: DeskRoom, asker: Asker) -> Json:
    """What an agent chooses from; it changes with the switch plan only."""
    tenant = asker.entry.tenant
    return {
        "reasons": room.plan.reasons,
        "outcomes": room.plan.outcomes,
        "answers": room.plan.answers,
        "queues": [_queue(room, name) for name in queues_of(room, tenant)],
        "agents": [
            {"name": name, "title": entry.title or name}
            for name, entry in room.agents.items()
            if entry.tenant == tenant and name != asker.name
        ],
        "connector": room.plan.connector,
    }


def queues_of(room: DeskRoom, tenant: str) -> list[str]:
    """Those that agents of this tenant serve."""
    served = {queue for entry in room.agents.values() if entry.tenant == tenant for queue in entry.queues}
    return [name for name in room.services.queues.rules.queues if name in served]


class Drawing:
    """An agent's contacts: what rings or is offered first, then what goes on, then what is to be wrapped up."""

    def __init__(self, room: DeskRoom, asker: Asker, picture: Picture) -> None:
        self._room, self._asker = room, asker
        mine = picture.state.agents.get(asker.name)
        self._ticket = picture.state.tickets.get(mine.ticket or "") if mine else None
        self._rings = mine is not None and mine.state is AgentState.RINGING

    async def all(self) -> list[Json]:
        room, name = self._room, self._asker.name
        found = [await self._ringing(self._ticket)] if self._ticket and self._rings else []
        found += [await self._coming(sent) for sent in room.coming.to(name)]
        found += [await self._offered(offer.chat, offer.since_ms) for offer in room.assigning.offers_to(name)]
        contacts = await room.contacts.open_of(name)
        under_way = [contact for contact in contacts if contact.ended_ms is None]
        found += [await self._contact(contact) for contact in under_way]
        return found + [await self._contact(contact) for contact in contacts if contact.ended_ms is not None]

    async def _ringing(self, ticket: Ticket) -> Json:
        return {
            **await self._about(ticket.conversation, "phone"),
            "id": f"ringing {ticket.id}",
            "state": "ringing",
            "queue": _queue(self._room, ticket.queue),
            "since": ticket.changed_ms,
            "waited_ms": ticket.changed_ms - ticket.joined_ms,
        }

    async def _coming(self, sent: Sent) -> Json:
        about = await self._about(sent.conversation, "phone")
        more = {"id": f"coming {sent.call}", "state": "ringing", "since": sent.since_ms, "queue": None}
        return {**about, **more, "note": sent.note, "from": self._title(sent.by)}

    async def _offered(self, chat: Chat, since_ms: int) -> Json:
        waited = since_ms - (chat.waiting_since_ms or since_ms)
        return {
            **await self._about(chat.conversation, chat.channel),
            "id": f"offered {chat.id}",
            "chat": chat.id,
            "state": "offered",
            "queue": _queue(self._room, chat.queue) if chat.queue else None,
            "since": since_ms,
            "until": since_ms + round(self._asker.entry.ring_s * 1000),
            "waited_ms": max(0, waited),
            "note": chat.note,
        }

    async def _contact(self, contact: Contact) -> Json:
        about = await self._about(contact.conversation_id, contact.channel)
        ticket = self._ticket
        found: Json = {
            **about,
            "id": contact.id,
            "state": "talking" if contact.ended_ms is None else "wrap_up",
            "queue": _queue(self._room, contact.queue) if contact.queue else None,
            "since": contact.began_ms if contact.ended_ms is None else contact.ended_ms,
        }
        if contact.channel == "phone":
            found["call"] = contact.reference
            found["note"] = self._room.coming.note(contact.reference, self._asker.name)
            if ticket and ticket.answered_ms and mask_text(ticket.call) == contact.reference:
                found["waited_ms"] = ticket.answered_ms - ticket.joined_ms
        else:
            found["chat"] = contact.reference
            chat = await self._chat(contact.reference)
            found["last_number"] = chat.last_number if chat else 0
            found["note"] = chat.note if chat and chat.agent == self._asker.name else ""
            found["closed_by"] = chat.cause if chat and chat.state is ChatState.ENDED else None
        return found

    async def _about(self, conversation: str, channel: str) -> Json:
        context, tenant = self._room.services.context, self._asker.entry.tenant
        record = await context.archive.read(tenant, conversation)
        known = await customer_of(self._room, tenant, record) if record else None
        about: Json = {"conversation": conversation, "channel": channel, "who": "", "intent": None, "last": ""}
        if record:
            told = story.short(record, self._room.titles(record))
            about |= {name: told[name] for name in ("intent", "language", "last")}
            about |= {"conversation": record.id, "who": story.who(record, known), "why": why(record)}
        return about

    async def _chat(self, chat: str) -> Chat | None:
        try:
            return await self._room.services.chats.chat(chat)
        except ChatError:
            return None

    def _title(self, agent: str) -> str:
        entry = self._room.agents.get(agent)
        return entry.title or agent if entry else agent


async def customer_of(room: DeskRoom, tenant: str, record: Conversation) -> Customer | None:
    """Whose it is; of whom it is not known, nobody is shown."""
    if record.customer_id is None:
        return None
    return await room.services.context.customers.read(tenant, record.customer_id)


def why(record: Conversation) -> str:
    """Why an agent is needed: what was noted last for whoever comes next, or what the flow said."""
    notes = [note for note in record.notes if note.to]
    if notes:
        return notes[-1].text
    return record.hand_overs[-1].reason if record.hand_overs else ""


def _me(room: DeskRoom, asker: Asker, picture: Picture, now: datetime) -> Json:
    entry = asker.entry
    return {
        "name": asker.name,
        "title": entry.title or asker.name,
        "supervisor": entry.supervisor,
        "phone": picture.agent(asker.name, now).phone.removeprefix("sip:").partition("@")[0],
        "queues": [_queue(room, name) for name in entry.queues],
        "chats": entry.chats,
    }


def _state(asker: Asker, picture: Picture, now: datetime) -> Json:
    agent, known = picture.agent(asker.name, now), picture.state.agents.get(asker.name)
    return {
        "state": agent.state,
        "reason": agent.reason,
        "since": known.since_ms if known else ms(now - timedelta(seconds=agent.since_s)),
        "then": agent.then,
        "on_a_call": agent.on_a_call,
        "until": known.until_ms if known and known.state is AgentState.AFTER_CALL else None,
    }


def _queue(room: DeskRoom, name: str) -> Json:
    queue = room.services.queues.rules.queues.get(name)
    return {"name": name, "title": queue.title or name if queue else name}


def _waiting(room: DeskRoom, name: str, tickets: Iterable[Ticket], chats: Sequence[Chat]) -> Json:
    waiting = [one.joined_ms for one in tickets if one.queue == name and one.state is TicketState.WAITING]
    written = [chat.waiting_since_ms or chat.changed_ms for chat in chats if chat.queue == name]
    return {
        **_queue(room, name),
        "calls": len(waiting),
        "chats": len(written),
        "since": min([*waiting, *written], default=None),
    }


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
