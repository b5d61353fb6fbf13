"""What an agent does with a conversation of theirs: notes, sending on, another channel, wrapping up."""

from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from voiceedge.channels.chat_model import ChatError
from voiceedge.context.events.digital import ConversationClosed, NoteAdded
from voiceedge.switch.queues.messages import AgentChange, AgentState
from voiceedge.web.desk import rights
from voiceedge.web.desk.contacts import Contact
from voiceedge.web.desk.door import Asker, Known, Room
from voiceedge.web.desk.room import DeskRoom
from voiceedge.web.problems import Problem

LONGEST_NOTE = 2_000

router = APIRouter(prefix="/desk/api/conversations/{conversation}", include_in_schema=False)

NOT_SENT = {
    "": (HTTPStatus.CONFLICT, "no_call", "the call is over, or at another node"),
    "refused": (HTTPStatus.FORBIDDEN, "refused", "the switch plan does not allow this number"),
    "unknown": (HTTPStatus.CONFLICT, "unknown", "nobody has that name or number"),
    "busy": (HTTPStatus.CONFLICT, "busy", "this call is being sent on already, or has another agent"),
}


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=LONGEST_NOTE)


class Onward(BaseModel):
    """To one of the three."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["agent", "queue", "number"]
    to: str = Field(min_length=1, max_length=64)
    note: str = Field("", max_length=LONGEST_NOTE)


class Closing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    outcome: str | None = Field(None, max_length=64)
    satisfaction: int | None = Field(None, ge=1, le=5)
    note: str = Field("", max_length=LONGEST_NOTE)


@router.post("/notes", status_code=HTTPStatus.NO_CONTENT)
async def note(conversation: str, wish: Note, asker: Known, room: Room) -> None:
    """A supervisor may, too."""
    record = await rights.opened(room, asker, conversation)
    if not asker.entry.supervisor:
        await rights.own(room, asker, record.id)
    await room.services.context.note(record.id, NoteAdded(by=asker.name, text=wish.text))


@router.post("/send_on", status_code=HTTPStatus.NO_CONTENT)
async def send_on(conversation: str, wish: Onward, asker: Known, room: Room) -> None:
    contact = await rights.own(room, asker, conversation)
    if contact.ended_ms is not None:
        raise _no(*NOT_SENT[""])
    _must_exist(room, asker, wish)
    if contact.channel == "phone":
        await _send_call_on(room, asker, contact, wish)
    else:
        await _send_chat_on(room, asker, contact, wish)
    to = None if wish.kind == "number" else wish.to
    if wish.note:
        await room.services.context.note(conversation, NoteAdded(by=asker.name, text=wish.note, to=to))


@router.post("/close", status_code=HTTPStatus.NO_CONTENT)
async def close(conversation: str, wish: Closing, asker: Known, room: Room) -> None:
    """Wrap up. It ends a chat that goes on, and after-call work with the last contact; a call is hung up by phone."""
    contact = await rights.own(room, asker, conversation)
    if contact.ended_ms is None and contact.channel == "phone":
        raise _no(HTTPStatus.CONFLICT, "call_is_up", "hang up first")
    if wish.outcome and room.plan.outcomes and wish.outcome not in room.plan.outcomes:
        raise _no(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"outcomes are {', '.join(room.plan.outcomes)}")
    if contact.ended_ms is None:
        try:
            await room.services.chats.end(contact.reference, asker.name, wish.outcome)
        except ChatError as error:
            if error.code not in {"ended", "unknown"}:
                raise told(error) from None
    closed = ConversationClosed(by=asker.name, outcome=wish.outcome, note=wish.note, satisfaction=wish.satisfaction)
    await room.services.context.note(conversation, closed)
    await room.contacts.close(contact)
    left = [one for one in await room.contacts.open_of(asker.name) if one.channel == "phone" and one.ended_ms]
    known = (await room.services.queues.picture()).state.agents.get(asker.name)
    if contact.channel == "phone" and not left and known and known.state is AgentState.AFTER_CALL:
        then = AgentState.AVAILABLE if known.then is None else known.then
        change = AgentChange.model_validate({"agent": asker.name, "state": then, "reason": known.then_reason})
        await room.services.queues.agent_asked(change)
    room.streams.desk_changed(asker.name)


def told(error: ChatError) -> Problem:
    status = HTTPStatus.NOT_FOUND if error.code == "unknown" else HTTPStatus.CONFLICT
    return _no(status, error.code, str(error))


def _no(status: HTTPStatus, code: str, text: str) -> Problem:
    return Problem(status, code, text)


def _must_exist(room: DeskRoom, asker: Asker, wish: Onward) -> None:
    known: bool = wish.kind == "number"
    if wish.kind == "queue":
        known = wish.to in room.services.queues.rules.queues
    elif wish.kind == "agent":
        entry = room.agents.get(wish.to)
        known = entry is not None and entry.tenant == asker.entry.tenant and wish.to != asker.name
    if not known:
        raise _no(*NOT_SENT["unknown"])


async def _send_call_on(room: DeskRoom, asker: Asker, contact: Contact, wish: Onward) -> None:
    asked: dict[str, Any] = {"call": contact.reference, "agent": asker.name, "to": wish.to}
    if wish.kind == "agent":
        picture = await room.services.queues.picture()
        known = picture.state.agents.get(wish.to)
        if known and known.state in {AgentState.TALKING, AgentState.RINGING}:
            raise _no(HTTPStatus.CONFLICT, "agent_busy", "this agent is on another call")
        asked["uri"] = room.services.queues.rules.uri(wish.to, known.phone if known else None)
        room.coming.begin(
            contact.reference, contact.conversation_id, by=asker.name, to=wish.to, note=wish.note
        )  # before their phone rings
    else:
        asked[wish.kind] = wish.to
    answers = await room.services.ask_workers("send_on", asked)
    found = next((answer for answer in answers.values() if answer.get("found")), {"why": ""})
    if not found.get("found") or found["why"]:
        room.coming.over(contact.reference)
        raise _no(*NOT_SENT[found["why"]])
    room.streams.desk_changed(asker.name, wish.to)


async def _send_chat_on(room: DeskRoom, asker: Asker, contact: Contact, wish: Onward) -> None:
    if wish.kind == "number":
        raise _no(HTTPStatus.CONFLICT, "no_call", "a chat goes to an agent or a queue")
    queue, agent = (wish.to, None) if wish.kind == "queue" else (None, wish.to)
    try:
        await room.services.chats.transfer(contact.reference, asker.name, queue=queue, to_agent=agent, note=wish.note)
    except ChatError as error:
        raise told(error) from None
