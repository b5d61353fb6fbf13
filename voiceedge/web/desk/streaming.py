"""The stream by which an open desk hears that something has changed (server-sent events, HTML 9.2)."""

import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from voiceedge.clock import timeout
from voiceedge.errors import StoreError
from voiceedge.web.desk.door import Asker, Known, Room
from voiceedge.web.desk.room import DeskRoom

BEAT_S = 15.0  # a comment, by which either side notices that the other has gone

router = APIRouter(include_in_schema=False)


@router.get("/desk/stream")
async def stream(asker: Known, room: Room) -> StreamingResponse:
    return StreamingResponse(_news(room, asker), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _news(room: DeskRoom, asker: Asker) -> AsyncIterator[str]:
    """Until the desk goes, or its session is over."""
    async with room.streams.opened(asker.name, supervises=asker.entry.supervisor) as desk:
        yield _event({"type": "hello"})
        while True:
            try:
                async with timeout(room.services.clock, BEAT_S):
                    messages = await desk.next()
            except TimeoutError:
                if not await _goes_on(room, asker):
                    yield _event({"type": "over"})
                    return
                yield ": beat\n\n"
            else:
                for message in messages:
                    yield _event(message)


async def _goes_on(room: DeskRoom, asker: Asker) -> bool:
    """While the store is away nobody is sent home."""
    try:
        return await room.sessions.goes_on(asker.session)
    except StoreError:
        return True


def _event(message: dict[str, object]) -> str:
    return f"data: {json.dumps(message, ensure_ascii=False)}\n\n"
