"""What supervisors see and do: queues, agents and chats as they are, whispering, the access log, connectors."""

from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from voiceedge.channels.chat_model import Chat
from voiceedge.context.people.access import Ours
from voiceedge.context.privacy.pii import mask_text
from voiceedge.context.record import MAIN
from voiceedge.switch.queues.messages import QueueView, TicketState
from voiceedge.web.desk import figures, rights, story, view
from voiceedge.web.desk.door import Asker, Room, Supervising
from voiceedge.web.desk.room import DeskRoom
from voiceedge.web.problems import Problem

MOST_ENTRIES = 200
LARGEST = 2**62

router = APIRouter(prefix="/desk/api/supervisor", include_in_schema=False)


@router.get("")
async def floor(asker: Supervising, room: Room) -> dict[str, Any]:
    """Queues, agents, and what goes on, of the tenant."""
    tenant = asker.entry.tenant
    names = view.queues_of(room, tenant)
    crew = [name for name, entry in room.agents.items() if entry.tenant == tenant]
    queues = await room.watching.queues(*names) if names else []
    agents = await room.watching.agents(*crew) if crew else []
    waiting = [chat for chat in await room.services.chats.waiting() if chat.tenant == tenant]
    written = {name: await room.services.chats.of_agent(name) for name in crew}
    now = room.services.clock.now()
    since_ms = view.ms(room.services.queues.rules.midnight(now))
    of_agent, of_queue = await figures.chats_handled(room.services.context.database, crew, since_ms)
    chatting = [chat for chats in written.values() for chat in chats]
    return {
        "now": view.ms(now),
        "queues": [
            {
                **queue.model_dump(mode="json"),
                **_chats_in(queue, waiting, view.ms(now)),
                "chatting": sum(chat.queue == queue.name for chat in chatting),
                "chats_handled": of_queue[queue.name],
            }
            for queue in queues
        ],
        "agents": [
            {
                **agent.model_dump(mode="json"),
                "chats": len(written[agent.name]),
                "chats_handled": of_agent[agent.name],
                "present": room.services.desks.is_open(agent.name),
            }
            for agent in agents
        ],
        "live": [
            *await _calls(room, asker),
            *[await _chat(room, asker, chat) for chat in (*waiting, *chatting)],
        ],
    }


class Whisper(BaseModel):
    model_config = ConfigDict(extra="forbid")
    agent: str = Field(max_length=40)
    conversation: str = Field(max_length=64)
    text: str = Field(min_length=1, max_length=500)


@router.post("/whisper", status_code=HTTPStatus.NO_CONTENT)
async def whisper(wish: Whisper, asker: Supervising, room: Room) -> None:
    """Shown at the agent's desk, and nowhere kept; that it was done is noted."""
    record = await rights.opened(room, asker, wish.conversation)
    entry = room.agents.get(wish.agent)
    if entry is None or entry.tenant != asker.entry.tenant:
        raise rights.unknown()
    await room.note(asker.actor, f"whispered to {wish.agent}"[:40], conversation=record.id)
    by = asker.entry.title or asker.name
    if not room.streams.whisper(wish.agent, record.id, wish.text, by):
        raise Problem(HTTPStatus.CONFLICT, "no_desk", "this agent has no desk open")


@router.get("/access")
async def access(
    asker: Supervising,
    room: Room,
    before: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
    actor: Annotated[str | None, Query(max_length=128)] = None,
    subject: Annotated[str | None, Query(max_length=128)] = None,
) -> list[dict[str, Any]]:
    """Of conversations and customers of the tenant, and of its agents; the latest first."""
    await room.note(asker.actor, "read_access_log", subject or actor or "all")
    tenant = asker.entry.tenant
    ours = Ours(tenant, [f"agent:{name}" for name, entry in room.agents.items() if entry.tenant == tenant])
    log = room.services.context.access
    entries = await log.listed(MOST_ENTRIES, before=before, actor=actor, subject=subject, of=ours)
    return [{**asdict(one), "time": one.time.isoformat(), "actor": mask_text(one.actor)} for one in entries]


@router.get("/connectors")
async def connectors(asker: Supervising, room: Room) -> list[dict[str, Any]]:
    """They reach into systems of the site, whoever's conversations these hold: of the main tenant alone."""
    if asker.entry.tenant != MAIN:
        return []
    profiles = room.services.connectors.profiles
    return [
        {**asdict(state), "parameters": sorted(profiles[state.name].parameters), "means": profiles[state.name].means}
        for state in room.services.connectors.state()
    ]


class Trying(BaseModel):
    model_config = ConfigDict(extra="forbid")
    values: dict[str, str] = Field(max_length=20)


@router.post("/connectors/{name}/try")
async def try_out(name: str, wish: Trying, asker: Supervising, room: Room) -> dict[str, Any]:
    """What a flow or a desk would be answered; values are masked by their classes."""
    if asker.entry.tenant != MAIN or name not in room.services.connectors.profiles:
        raise Problem(HTTPStatus.NOT_FOUND, "not_found", "there is no such connector")
    await room.note(asker.actor, f"tried connector {name}"[:40], name)
    tried = await room.services.connectors.try_out(name, wish.values)
    return {
        "result": tried.result,
        "took_ms": tried.took_ms,
        "kept": tried.kept,
        "why": tried.explanation,
        "values": [{"name": one.name, "class": one.class_.value, "value": one.text} for one in tried.values()],
    }


def _chats_in(queue: QueueView, waiting: Sequence[Chat], now_ms: int) -> dict[str, Any]:
    """How many wait in it, and how long whoever has waited longest there, by phone or in a chat."""
    waits_s = [
        (now_ms - (chat.waiting_since_ms or chat.changed_ms)) / 1000 for chat in waiting if chat.queue == queue.name
    ]
    return {"chats": len(waits_s), "longest_wait_s": max([queue.longest_wait_s or 0.0, *waits_s])}


async def _calls(room: DeskRoom, asker: Asker) -> list[dict[str, Any]]:
    """Those that talk with an agent, and those that wait."""
    found = []
    for contact in await room.contacts.under_way():
        entry = room.agents.get(contact.agent)
        if contact.channel == "phone" and entry and entry.tenant == asker.entry.tenant:
            more = {"agent": contact.agent, "queue": contact.queue, "state": "talking", "since": contact.began_ms}
            found.append({**await _about(room, asker, contact.conversation_id, "phone"), **more})
    for ticket in (await room.services.queues.picture()).state.tickets.values():
        if ticket.state in {TicketState.WAITING, TicketState.OFFERED} and not ticket.call_back:
            more = {"agent": None, "queue": ticket.queue, "state": "waiting", "since": ticket.joined_ms}
            about = await _about(room, asker, ticket.conversation, "phone")
            found += [{**about, **more}] if about else []
    return found


async def _chat(room: DeskRoom, asker: Asker, chat: Chat) -> dict[str, Any]:
    since = chat.changed_ms if chat.agent else chat.waiting_since_ms or chat.changed_ms
    more = {"agent": chat.agent, "queue": chat.queue, "state": chat.state.value, "since": since}
    return {**await _about(room, asker, chat.conversation, chat.channel), **more}


async def _about(room: DeskRoom, asker: Asker, conversation: str, channel: str) -> dict[str, Any]:
    """Empty where it is another tenant's."""
    record = await room.services.context.archive.read(asker.entry.tenant, conversation)
    if record is None:
        return {}
    who = story.who(record, await view.customer_of(room, asker.entry.tenant, record))
    intent = story.short(record, room.titles(record))["intent"]
    return {"conversation": record.id, "channel": channel, "who": who, "intent": intent}
