"""The desk's page, what it shows of the agent, and the whole story of a conversation."""

from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, Response

from voiceedge.context.people.customers import Customer
from voiceedge.context.record import Conversation
from voiceedge.switch.queues.messages import AgentChange, AgentState
from voiceedge.web.desk import elsewhere, onward, rights, story, view
from voiceedge.web.desk.door import SHORTEST_CODE, Asker, Known, Room
from voiceedge.web.desk.room import DeskRoom
from voiceedge.web.problems import Problem

PAGE = Path(__file__).parents[1] / "pages" / "desk" / "index.html"

router = APIRouter(include_in_schema=False)


@router.get("/desk")
async def page() -> Response:
    return FileResponse(PAGE, media_type="text/html; charset=utf-8")


@router.get("/desk/api/about")
async def about(room: Room) -> dict[str, Any]:
    """For who is not logged in yet."""
    return {"site": room.services.config.site.name, "shortest_code": SHORTEST_CODE}


@router.get("/desk/api/desk")
async def desk(asker: Known, room: Room) -> dict[str, Any]:
    now = view.ms(room.services.clock.now())
    choices = {**view.choices(room, asker), "channels": onward.channels(room)}
    return {**await view.desk(room, asker), "choices": choices, "now": now}


class State(BaseModel):
    model_config = ConfigDict(extra="forbid")
    state: Literal[AgentState.AVAILABLE, AgentState.BREAK]
    reason: str = Field("", max_length=200)


@router.post("/desk/api/state", status_code=HTTPStatus.NO_CONTENT)
async def change_state(wish: State, asker: Known, room: Room) -> None:
    change = AgentChange(agent=asker.name, state=wish.state, reason=wish.reason)
    await room.services.queues.agent_asked(change)


@router.get("/desk/api/conversations/{conversation}")
async def conversation(conversation: str, asker: Known, room: Room) -> dict[str, Any]:
    record, customer = await _opened(room, asker, conversation)
    room.streams.shows(asker.name, record.id)
    return story.whole(record, customer, room.titles(record))


@router.get("/desk/api/conversations/{conversation}/earlier")
async def earlier(conversation: str, asker: Known, room: Room) -> list[dict[str, Any]]:
    record, _ = await _opened(room, asker, conversation)
    return [story.short(one, room.titles(one)) for one in await rights.earlier(room, asker.entry.tenant, record)]


@router.get("/desk/api/conversations/{conversation}/data")
async def data(conversation: str, asker: Known, room: Room) -> dict[str, Any]:
    record, customer = await _opened(room, asker, conversation)
    return await elsewhere.ask(room, record, customer)


class Reveal(BaseModel):
    model_config = ConfigDict(extra="forbid")
    what: str = Field(max_length=100, pattern=r"^(slot|attribute|identity|data|number):")


@router.post("/desk/api/conversations/{conversation}/reveal")
async def reveal(conversation: str, wish: Reveal, asker: Known, room: Room) -> dict[str, str | None]:
    """One value in the clear, which the access log knows by its name."""
    record, customer = await _opened(room, asker, conversation)
    if not await rights.may_reveal(room, asker, record):
        text = "personal values are shown to whoever has this customer before them"
        raise Problem(HTTPStatus.FORBIDDEN, "not_before_you", text)
    await room.note(asker.actor, f"revealed {wish.what}"[:40], conversation=record.id)
    match wish.what.partition(":"):
        case "data", _, name:
            return {"value": await elsewhere.in_full(room, record, customer, name)}
        case "number", _, _:
            return {"value": await elsewhere.number_of(room, record, customer) or None}
    return {"value": story.clear(wish.what, record, customer)}


async def _opened(room: DeskRoom, asker: Asker, conversation: str) -> tuple[Conversation, Customer | None]:
    record = await rights.opened(room, asker, conversation)
    return record, await view.customer_of(room, asker.entry.tenant, record)
