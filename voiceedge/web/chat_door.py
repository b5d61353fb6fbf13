"""Who may use a chat: its visitor by a secret, from pages that may, and no faster than people write."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voiceedge.channels.chat_model import Chat, ChatError
from voiceedge.context.privacy.pii import pseudonym, pseudonym_key
from voiceedge.web.arrival import is_safe, network
from voiceedge.web.limits import Buckets
from voiceedge.web.problems import Problem
from voiceedge.web.services import Services, Wanted

COOKIE, HEADER = "voiceedge_chat", "X-Chat-Session"
KEPT_S = 7 * 86_400
WRITES_PER_MIN = 30  # of one chat
COUNTED_ONCE = 500  # characters
CODES = {
    "unknown": HTTPStatus.NOT_FOUND,
    "no_flow": HTTPStatus.SERVICE_UNAVAILABLE,
    "elsewhere": HTTPStatus.SERVICE_UNAVAILABLE,
    "too_many": HTTPStatus.TOO_MANY_REQUESTS,
    "too_fast": HTTPStatus.TOO_MANY_REQUESTS,
    "too_long": HTTPStatus.UNPROCESSABLE_ENTITY,
    "empty": HTTPStatus.UNPROCESSABLE_ENTITY,
    "bad_number": HTTPStatus.UNPROCESSABLE_ENTITY,
}


class ChatDoor:
    def __init__(self, at: Services) -> None:
        self._at = at
        self._key = pseudonym_key(at.config.site.data_dir)
        self._asking = Buckets(at.config.web.requests_per_min, at.clock)
        self._writing = Buckets(WRITES_PER_MIN, at.clock)

    def visitor(self, request: Request) -> str:
        """Of their network, a hash."""
        return pseudonym(network(request), self._key)

    def knock(self, request: Request) -> str:
        """Raises Problem where one address asks too much."""
        visitor = self.visitor(request)
        allowance = self._asking.take(visitor)
        if not allowance.allowed:
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too_fast", "too many requests", headers=allowance.headers)
        return visitor

    def write(self, chat: str, length: int = 0) -> None:
        """`length` characters: long texts are work."""
        allowance = self._writing.take(chat, 1 + length // COUNTED_ONCE)
        if not allowance.allowed:
            text = "one thing after the other, please"
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too_fast", text, headers=allowance.headers)

    def allows(self, request: Request) -> bool:
        """Whether the page that asks may: ours, or by a header one of an origin that shows our chat."""
        origin = request.headers.get("Origin")
        if origin is None:
            return request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}
        if urlsplit(origin).netloc in self._own(request):
            return True
        return origin in self.origins() and COOKIE not in request.cookies

    def _own(self, request: Request) -> set[str]:
        public = self._at.config.web.public_url
        return {request.headers.get("Host", ""), urlsplit(public).netloc if public else ""} - {""}

    def origins(self, channel: str | None = None) -> tuple[str, ...]:
        """Whose pages may show our chat, or use it."""
        names = [channel] if channel else self._at.chats.channels
        return tuple(origin for name in names for origin in self._at.chats.channel(name).origins)


def door(request: Request) -> ChatDoor:
    found: ChatDoor = request.app.state.chat_door
    return found


Door = Annotated[ChatDoor, Depends(door)]


def _guarded(request: Request, door: Door) -> str:
    """The visitor. Nobody else's page makes a browser ask or write here."""
    if not door.allows(request):
        raise Problem(HTTPStatus.FORBIDDEN, "foreign_page", "this page may not use the chat")
    if request.method == "POST" and request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", "send application/json")
    return door.knock(request)


Visitor = Annotated[str, Depends(_guarded)]


async def _chat(request: Request, at: Wanted, _visitor: Visitor) -> Chat | None:
    session = request.headers.get(HEADER) or request.cookies.get(COOKIE, "")
    name, _, secret = session.partition(".")
    try:
        return await at.chats.visited(name, secret) if secret else None
    except ChatError:
        return None


Perhaps = Annotated[Chat | None, Depends(_chat)]


def _own(chat: Perhaps) -> Chat:
    if chat is None:
        raise Problem(HTTPStatus.NOT_FOUND, "unknown", "there is no such chat")
    return chat


Own = Annotated[Chat, Depends(_own)]


def as_problem(error: ChatError) -> Problem:
    headers = {"Retry-After": str(max(1, int(error.retry_after_s)))} if error.retry_after_s else None
    return Problem(CODES.get(error.code, HTTPStatus.CONFLICT), error.code, str(error), headers=headers)


class CrossOrigin:
    """ASGI middleware: pages of the origins that a chat names may use it by a header, without cookies (Fetch, CORS)."""

    def __init__(self, app: ASGIApp, door: ChatDoor) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/chat/"):
            await self._app(scope, receive, send)
            return
        origin = Headers(scope=scope).get("Origin", "")
        if origin not in self._door.origins():
            await self._app(scope, receive, send)
            return
        allowed = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if scope["method"] == "OPTIONS":
            methods = {"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Max-Age": "600"}
            allowed_headers = {"Access-Control-Allow-Headers": f"Content-Type, Last-Event-ID, {HEADER}"}
            answer = Response(status_code=HTTPStatus.NO_CONTENT, headers={**allowed, **methods, **allowed_headers})
            await answer(scope, receive, send)
            return

        async def shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(allowed)
            await send(message)

        await self._app(scope, receive, shared)


def remember(request: Request, response: Response, session: str) -> None:
    """In the browser, where no script reads it and no other site's page sends it."""
    secure = is_safe(request)
    response.set_cookie(COOKIE, session, KEPT_S, path="/chat", secure=secure, httponly=True, samesite="strict")
