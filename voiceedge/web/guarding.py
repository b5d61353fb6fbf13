"""What holds for every request and answer: bounded bodies, and headers by which browsers keep pages to themselves."""

from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voiceedge.web import problems

LARGEST_BODY = 256 * 1024  # bytes

# Pages have no inline script or style, load nothing from elsewhere, and may be framed by nobody unless a route says so.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class _TooLargeError(Exception):
    pass


class Guarding:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received, begun = 0, False

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                raise _TooLargeError
            return message

        async def guarded(message: Message) -> None:
            nonlocal begun
            if received > LARGEST_BODY and not begun:
                return  # whatever it makes of half a body
            begun = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with suppress(_TooLargeError):
            await self._app(scope, bounded, guarded)
        if received > LARGEST_BODY and not begun:
            received = 0
            text = f"a request has at most {LARGEST_BODY // 1024} KiB"
            refusal = problems.response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", text)
            await refusal(scope, receive, guarded)
