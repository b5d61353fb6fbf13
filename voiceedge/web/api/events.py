"""Events as they come, by server-sent events: after a break a client goes on where it was, by Last-Event-ID."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import StreamingResponse
from starlette.types import Send

from voiceedge.clock import timeout
from voiceedge.context.events.catalogue import EVENTS
from voiceedge.context.publishing.hub import Missed, Subscription
from voiceedge.errors import StoreError
from voiceedge.web.api import models
from voiceedge.web.api.documents import ALWAYS, refusals
from voiceedge.web.api.door import ApiRoute, Caller, needs
from voiceedge.web.api.reading import seen
from voiceedge.web.keys import Key, Scope
from voiceedge.web.problems import Problem
from voiceedge.web.services import Services, Wanted

HEARTBEAT_S = 15.0  # a comment in the silence, so that proxies keep the connection and a dead one is found
AGAIN_MS = 2_000
MOST_STREAMS = 20  # of one key, at once
MEDIA_TYPE = "text/event-stream"

router = APIRouter(tags=["events"], route_class=ApiRoute, responses=refusals(*ALWAYS))

Events = Annotated[Caller, needs(Scope.EVENTS)]
Cursor = Annotated[str | None, Header(pattern=r"^[0-9]{1,18}$", description="The id of the last event that was read.")]
Types = Annotated[
    list[Annotated[str, Query(max_length=64)]] | None, Query(max_length=50, description="Only these; unset: all.")
]
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Each event is a CloudEvent in JSON; its id goes into Last-Event-ID. `voiceedge.missed` says "
        "that events before the next one are kept no more.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


class EventStream(StreamingResponse):
    media_type = MEDIA_TYPE

    def __init__(self, at: Services, key: Key, **wanted: Any) -> None:
        self.status_code, self.background = int(HTTPStatus.OK), None
        self.init_headers({"X-Accel-Buffering": "no"})  # nginx would hold it back
        self._at, self._key, self._wanted = at, key, wanted

    async def stream_response(self, send: Send) -> None:
        async with counted(self._key), self._at.context.hub.subscribe(**self._wanted) as subscription:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            text, clock = f"retry: {AGAIN_MS}\n\n", self._at.clock
            look_at = clock.monotonic() + HEARTBEAT_S
            while True:
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                text = await self._next(subscription)
                if clock.monotonic() >= look_at:
                    if not await opens_still(self._at, self._key):
                        break
                    look_at = clock.monotonic() + HEARTBEAT_S
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self, subscription: Subscription) -> str:
        try:
            async with timeout(self._at.clock, HEARTBEAT_S):
                delivery = await anext(subscription)
        except TimeoutError:
            return ": still here\n\n"
        if isinstance(delivery, Missed):
            return f"id: {delivery.cursor}\nevent: voiceedge.missed\ndata: {{}}\n\n"
        event = delivery.event
        return f"id: {delivery.cursor}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n"


_streams: Counter[str] = Counter()


@asynccontextmanager
async def counted(key: Key) -> AsyncIterator[None]:
    """One stream more of this key, while the block lasts. Raises Problem."""
    if _streams[key.id] >= MOST_STREAMS:
        told = f"a key has at most {MOST_STREAMS} streams at once: close one"
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too_many_streams", told, headers={"Retry-After": "10"})
    _streams[key.id] += 1
    try:
        yield
    finally:
        _streams[key.id] -= 1


async def opens_still(at: Services, key: Key) -> bool:
    """While the store is away nobody is sent off."""
    try:
        return await at.keys.goes_on(key)
    except StoreError:
        return True


def known_types(types: list[str] | None) -> list[str] | None:
    """Raises Problem."""
    if unknown := sorted(set(types or ()) - {event.type for event in EVENTS}):
        told = f"there are no events {', '.join(unknown)}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_event_type", told)
    return types or None


@router.get("/events", response_class=StreamingResponse, responses=STREAM)
async def follow_events(
    caller: Events,
    at: Wanted,
    type: Types = None,  # noqa: A002 - its name in the URL
    last_event_id: Cursor = None,
) -> EventStream:
    """Every event of this tenant from now on, or after the one of Last-Event-ID."""
    return EventStream(at, caller.key, tenant=caller.tenant, types=known_types(type), after=last_event_id)


@router.get(
    "/conversations/{conversation_id}/events",
    response_class=StreamingResponse,
    responses={**STREAM, **refusals(HTTPStatus.NOT_FOUND)},
)
async def follow_conversation(
    conversation_id: Annotated[models.Identifier, Path()],
    caller: Events,
    at: Wanted,
    last_event_id: Cursor = None,
) -> EventStream:
    """The same of one conversation, whichever conversations it is found to continue."""
    await seen(at, caller, conversation_id, "follow")
    return EventStream(at, caller.key, tenant=caller.tenant, conversation=conversation_id, after=last_event_id)
