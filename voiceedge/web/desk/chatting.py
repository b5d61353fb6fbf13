"""Chats at the desk: taken or left to others, read, written in."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from voiceedge.channels.chat_model import LONGEST_MESSAGE, ChatError, ChatMessage
from voiceedge.channels.chat_words import means
from voiceedge.web.desk import rights
from voiceedge.web.desk.acting import told
from voiceedge.web.desk.door import Known, Room
from voiceedge.web.desk.room import DeskRoom

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
    """In full for whom it is given, since the customer asked for an agent and for as long as it is theirs.

    What was answered to the flow stands in the story, masked as its slots demand.
    """
    given = await rights.given_chat(room, asker, chat)
    await room.note_reading(asker.session.digest, asker.actor, given.conversation)
    try:
        found = await _all(room, chat)
    except ChatError as error:
        raise told(error) from None
    asked = [message.at_ms for message in found if message.kind == "note" and means(message.text, "waiting")]
    began_ms = min(asked[-1] if asked else given.began_ms, given.began_ms)
    until_ms = LARGEST_MS if given.until_ms is None else given.until_ms
    return [asdict(one) for one in found if one.number > after and began_ms <= one.at_ms <= until_ms]


async def _all(room: DeskRoom, chat: str) -> list[ChatMessage]:
    """They come in parts."""
    found: list[ChatMessage] = []
    while more := await room.services.chats.messages(chat, found[-1].number if found else 0):
        found += more
    return found


@router.post("/say")
async def say(chat: str, wish: Said, asker: Known, room: Room) -> dict[str, Any]:
    try:
        return asdict(await room.services.chats.say(chat, asker.name, wish.text))
    except ChatError as error:
        raise told(error) from None
