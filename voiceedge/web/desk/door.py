"""Who may come to the desk: agents of the switch plan by name and code, known from then on by a cookie."""

import hmac
import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from voiceedge.switch.plan import AgentEntry
from voiceedge.web.arrival import is_safe, network
from voiceedge.web.desk.room import DeskRoom
from voiceedge.web.desk.sessions import LONGEST_S, Session
from voiceedge.web.problems import Problem

SHORTEST_CODE = 6
COOKIE, SAFE_COOKIE = "voiceedge_desk", "__Host-voiceedge_desk"
HEADER = "X-VoiceEdge-Desk"  # no other site's page can send it without asking us first, and we allow none

router = APIRouter(prefix="/desk/api", include_in_schema=False)


def room_of(request: Request) -> DeskRoom:
    room: DeskRoom = request.app.state.desk
    return room


Room = Annotated[DeskRoom, Depends(room_of)]


@dataclass(frozen=True, slots=True)
class Asker:
    """The agent who asks, with what the plan says now."""

    session: Session
    entry: AgentEntry

    @property
    def name(self) -> str:
        return self.session.agent

    @property
    def actor(self) -> str:
        """As the access log knows them."""
        return f"agent:{self.session.agent}"


async def known(request: Request, room: Room) -> Asker:
    """Whoever the cookie belongs to; changes must carry our header besides."""
    if request.method not in {"GET", "HEAD"} and request.headers.get(HEADER) != "1":
        raise Problem(HTTPStatus.FORBIDDEN, "not_from_the_desk", f"changes are asked for with {HEADER}: 1")
    cookie = request.cookies.get(SAFE_COOKIE if is_safe(request) else COOKIE)
    session = await room.sessions.find(cookie) if cookie else None
    entry = room.agents.get(session.agent) if session else None
    if session is None or entry is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, "not_logged_in", "log in at /desk")
    return Asker(session, entry)


async def supervising(asker: Annotated[Asker, Depends(known)]) -> Asker:
    if not asker.entry.supervisor:
        raise Problem(HTTPStatus.FORBIDDEN, "not_a_supervisor", "the switch plan does not make this agent a supervisor")
    return asker


Known = Annotated[Asker, Depends(known)]
Supervising = Annotated[Asker, Depends(supervising)]


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")
    agent: str = Field(max_length=40)
    code: str = Field(max_length=64)


@router.post("/login", status_code=HTTPStatus.NO_CONTENT)
async def log_in(wish: Login, request: Request, response: Response, room: Room) -> None:
    """A cookie for a shift. Wrong name and wrong code are told alike."""
    if request.headers.get(HEADER) != "1":
        raise Problem(HTTPStatus.FORBIDDEN, "not_from_the_desk", f"changes are asked for with {HEADER}: 1")
    address, where = request.client.host if request.client else "", network(request)
    entry = room.agents.get(wish.agent)
    if wait_s := room.attempts.locked_s(wish.agent, where, known=entry is not None):
        headers = {"Retry-After": str(math.ceil(wait_s))}
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "locked", "too many wrong codes: wait", headers=headers)
    code = entry.code if entry else ""
    right = hmac.compare_digest(code.encode(), wish.code.encode())
    if entry is None or not right or not code:
        room.attempts.failed(wish.agent, where, known=entry is not None)
        await room.note(f"agent:{wish.agent}" if entry else "agent:?", "login_refused", address)
        raise Problem(HTTPStatus.UNAUTHORIZED, "wrong", "no agent has this name and code")
    room.attempts.succeeded(wish.agent, where)
    if len(code) < SHORTEST_CODE:
        text = f"the desk wants a code of {SHORTEST_CODE} digits or more: change the agent's code in the switch plan"
        raise Problem(HTTPStatus.FORBIDDEN, "code_too_short", text)
    cookie = await room.sessions.open(wish.agent)
    await room.note(f"agent:{wish.agent}", "logged_in", address)
    await room.begin_work(wish.agent)
    safe = is_safe(request)
    response.set_cookie(
        SAFE_COOKIE if safe else COOKIE,
        cookie,
        max_age=LONGEST_S,
        path="/",
        secure=safe,
        httponly=True,
        samesite="strict",
    )


@router.post("/logout", status_code=HTTPStatus.NO_CONTENT)
async def log_out(asker: Known, request: Request, response: Response, room: Room) -> None:
    """Out of the queues too; chats go back to whoever is there."""
    await room.sessions.close(asker.session)
    await room.note(asker.actor, "logged_out", asker.name)
    await room.end_work(asker.name)
    response.delete_cookie(SAFE_COOKIE if is_safe(request) else COOKIE, path="/")
