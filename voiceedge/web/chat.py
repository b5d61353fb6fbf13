"""The web chat for visitors: its page, its messages, and how it goes on by phone."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from voiceedge.channels.chat_model import Chat, ChatError, ChatMessage
from voiceedge.channels.file import WEB_CHAT
from voiceedge.context.resuming.tokens import TokenRefusedError
from voiceedge.web.chat_door import ChatDoor, CrossOrigin, Door, Own, Perhaps, Visitor, as_problem, remember
from voiceedge.web.guarding import HEADERS
from voiceedge.web.problems import Problem
from voiceedge.web.services import Services, Wanted

Result = TypeVar("Result")

PAGE = Path(__file__).parent / "pages" / "chat"
HEARTBEAT_S = 15.0  # keeps proxies from closing a silent stream, and tells the page that we are there
STREAMS_OF_A_CHAT = 6  # tabs of one browser
MOST_STORY = 100  # turns
LONGEST_ID = 10
NAME = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"

router = APIRouter(include_in_schema=False)


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Begin(Asked):
    channel: Annotated[str, Field(pattern=NAME)] = WEB_CHAT
    language: Annotated[str, Field(max_length=16)] = "ko"
    token: Annotated[str, Field(max_length=2_000)] | None = None
    opening: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    embedded: bool = False


class Write(Asked):
    text: Annotated[str, Field(max_length=20_000)]
    sending: Annotated[str, Field(max_length=64)] = ""


class Choose(Asked):
    message: int
    name: Annotated[str, Field(max_length=64)]


class Rate(Asked):
    value: Annotated[int, Field(ge=1, le=5)]


class Phone(Asked):
    way: Literal["call", "code"]
    number: Annotated[str, Field(max_length=32)] = ""


class Nothing(Asked):
    pass


def install(app: FastAPI, at: Services) -> None:
    door = app.state.chat_door = ChatDoor(at)
    app.state.chat_streams = Counter()
    app.include_router(router)
    app.add_middleware(CrossOrigin, door=door)


# The page.


@router.get("/chat")
@router.get("/c")
def page(door: Door, channel: Annotated[str, Query(pattern=NAME)] = WEB_CHAT) -> Response:
    """Links end here too: what they hold is in the fragment, which no server sees."""
    try:
        origins = door.origins(channel)
    except ChatError as error:
        raise as_problem(error) from None
    framed = " ".join(origins) or "'none'"
    policy = HEADERS["Content-Security-Policy"].replace("frame-ancestors 'none'", f"frame-ancestors {framed}")
    return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": policy})


@router.get("/chat/embed.js")
def embed() -> Response:
    """For pages of shops: a button, and our page in a frame."""
    headers = {"Cross-Origin-Resource-Policy": "cross-origin", "Cache-Control": "max-age=300"}
    return FileResponse(PAGE / "embed.js", media_type="text/javascript", headers=headers)


# What the page asks.


@router.post("/chat/sessions")
async def begin(body: Begin, request: Request, at: Wanted, visitor: Visitor) -> Response:
    """A chat of somebody new, or with a token one that goes on with a conversation.

    `opening` is a secret of the page: what it asks again under it is answered again, for the token is used up then.
    """
    try:
        if body.token is None:
            chat, secret = await at.chats.begin(body.channel, body.language, visitor)
        else:
            opening = body.opening or ""
            chat, secret = await at.chats.open_link(body.channel, body.token, body.language, visitor, opening)
    except ChatError as error:
        raise as_problem(error) from None
    except TokenRefusedError as refused:
        raise Problem(HTTPStatus.GONE, f"link_{refused.reason.value}", "this link opens nothing any more") from None
    session = f"{chat.id}.{secret}"
    told = await _state(at, chat)
    answer = JSONResponse(told | {"session": session} if body.embedded else told, HTTPStatus.CREATED)
    if not body.embedded:
        remember(request, answer, session)
    return answer


@router.get("/chat/state")
async def state(at: Wanted, chat: Perhaps, channel: Annotated[str, Query(pattern=NAME)] = WEB_CHAT) -> dict[str, Any]:
    """All there is to see, and the rest comes by the stream; where the browser has no chat, how `channel` is called."""
    if chat:
        return await _state(at, chat)
    try:
        return {"chat": None, "title": at.chats.channel(channel).title}
    except ChatError as error:
        raise as_problem(error) from None


@router.get("/chat/messages")
async def messages(at: Wanted, chat: Own, after: Annotated[int, Query(ge=0)] = 0) -> dict[str, Any]:
    return {"messages": [_message(at, one) for one in await at.chats.messages(chat.id, after)]}


@router.post("/chat/messages", status_code=HTTPStatus.CREATED)
async def write(body: Write, at: Wanted, chat: Own, door: Door) -> dict[str, Any]:
    """`sending` is the page's own name of it: sent again under it, it is written once."""
    door.write(chat.id, len(body.text))
    return _message(at, await _done(at.chats.hear(chat.id, body.text, body.sending)))


@router.post("/chat/choices", status_code=HTTPStatus.CREATED)
async def choose(body: Choose, at: Wanted, chat: Own, door: Door) -> dict[str, Any]:
    door.write(chat.id)
    return _message(at, await _done(at.chats.choose(chat.id, body.message, body.name)))


@router.post("/chat/end")
async def end(_: Nothing, at: Wanted, chat: Own) -> dict[str, Any]:
    await _done(at.chats.leave(chat.id))
    return {}


@router.post("/chat/satisfaction")
async def rate(body: Rate, at: Wanted, chat: Own) -> dict[str, Any]:
    await _done(at.chats.rate(chat.id, body.value))
    return {}


@router.post("/chat/phone")
async def phone(body: Phone, at: Wanted, chat: Own, door: Door) -> dict[str, Any]:
    """call: somebody calls `number`. code: what to call, and with which PIN."""
    door.write(chat.id)
    if body.way == "call":
        await _done(at.chats.call_me(chat.id, body.number))
        return {}
    ticket = await _done(at.chats.phone_code(chat.id))
    number = ticket.number or at.chats.channel(chat.channel).phone
    return {"pin": ticket.pin, "number": number, "expires_at": ticket.code_expires_at.isoformat()}


@router.get("/chat/stream")
async def stream(request: Request, at: Wanted, chat: Own, after: Annotated[int, Query(ge=0)] = 0) -> Response:
    """Server-sent events (WHATWG HTML 9.2): message, each with its number as id, and state. Last-Event-ID is known."""
    last = request.headers.get("Last-Event-ID", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) < LONGEST_ID else after
    streams: Counter[str] = request.app.state.chat_streams
    if streams[chat.id] >= STREAMS_OF_A_CHAT:
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too_many", "this chat is open too often")
    return StreamingResponse(_streamed(at, chat.id, after, streams), media_type="text/event-stream")


async def _streamed(at: Services, chat: str, after: int, streams: "Counter[str]") -> AsyncIterator[bytes]:
    streams[chat] += 1
    following = at.chats.follow(chat, after)
    coming = asyncio.ensure_future(anext(following, None))
    try:
        yield b"retry: 1000\n\n"
        while True:
            done, _ = await asyncio.wait({coming}, timeout=HEARTBEAT_S)
            if not done:
                yield b": \n\n"
                continue
            news = coming.result()
            if news is None:
                return
            now, written = news
            for one in written:
                yield _event("message", _message(at, one), one.number)
            yield _event("state", _shown(at, now))
            coming = asyncio.ensure_future(anext(following, None))
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await following.aclose()
        streams[chat] -= 1
        if not streams[chat]:
            del streams[chat]


def _event(kind: str, data: dict[str, Any], number: int | None = None) -> bytes:
    name = f"id: {number}\n" if number is not None else ""
    return f"event: {kind}\n{name}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


async def _done(work: Awaitable[Result]) -> Result:
    try:
        return await work
    except ChatError as error:
        raise as_problem(error) from None


async def _state(at: Services, chat: Chat) -> dict[str, Any]:
    now = await at.chats.chat(chat.id)
    story = [
        {"by": turn.speaker, "channel": turn.channel, "at": turn.time.isoformat(), "text": turn.text}
        for turn in await at.chats.story(now)
    ]
    written = [_message(at, one) for one in await at.chats.messages(chat.id)]
    return {"chat": _shown(at, now), "story": story[-MOST_STORY:], "messages": written}


def _shown(at: Services, chat: Chat) -> dict[str, Any]:
    """To its visitor; agents have a title here, and no name."""
    settings = at.chats.channel(chat.channel)
    return {
        "state": chat.state.value,
        "language": chat.language,
        "title": settings.title,
        "agent": at.chats.title_of(chat.agent) if chat.agent else None,
        "cause": chat.cause,
        "rated": chat.satisfaction is not None,
        "call_me": settings.campaign is not None,
        "number": settings.phone,
        "last": chat.last_number,
    }


def _message(at: Services, message: ChatMessage) -> dict[str, Any]:
    return {
        "number": message.number,
        "at_ms": message.at_ms,
        "by": message.by,
        "kind": message.kind,
        "text": message.text,
        "agent": at.chats.title_of(message.agent) if message.agent else None,
        "buttons": [{"name": one.name, "label": one.label, "quiet": one.quiet} for one in message.buttons],
        "digits": message.digits,
        "offers_phone": message.offers_phone,
    }
