"""Chats at the desk: taken or left to others, read, written in."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from voiceedge.channels.chat_model import LONGEST_MESSAGE, ChatError
from voiceedge.web.desk import rights
from voiceedge.web.desk.acting import told
from voiceedge.web.desk.door import Known, Room

LARGEST, LARGEST_MS = 2**31 - 1, 2**62

router = APIRouter(prefix="/desk/api/chats/{chat}", include_in_schema=False)


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=LONGEST_MESSAGE)


@router.post("/take", status_code=HTTPStatus.NO_CONTENT)
async def take(chat: str, asker: Known, room: Room) -> None:
    try:
        await room.assigning.accept(chat, asker.name, asker.entry.title or asker.name)
    except ChatError as error:
        raise told(error) from None


@router.post("/decline", status_code=HTTPStatus.NO_CONTENT)
async def decline(chat: str, asker: Known, room: Room) -> None:
    room.assigning.decline(chat, asker.name)


@router.get("/messages")
async def messages(
    chat: str, asker: Known, room: Room, after: Annotated[int, Query(ge=0, le=LARGEST)] = 0
) -> list[dict[str, Any]]:
    """In full for as long as they have the chat. All else stands in the story, masked as its slots demand."""
    contact = await rights.own_chat(room, asker, chat)
    await room.note_reading(asker.session.digest, asker.actor, contact.conversation_id)
    try:
        found = await room.services.chats.messages(chat, after)
    except ChatError as error:
        raise told(error) from None
    until_ms = LARGEST_MS if contact.ended_ms is None else contact.ended_ms
    return [asdict(message) for message in found if contact.began_ms <= message.at_ms <= until_ms]


@router.post("/say")
async def say(chat: str, wish: Said, asker: Known, room: Room) -> dict[str, Any]:
    try:
        return asdict(await room.services.chats.say(chat, asker.name, wish.text))
    except ChatError as error:
        raise told(error) from None
