"""Events over a WebSocket: the client says once what it wants, and gets each event with its cursor.

→ {"conversation": "…", "types": ["voiceedge.message.sent"], "after": "1207"}     each of them, or none
← {"cursor": "1208", "event": {…}}      {"missed": "1300"}: events before the next one are kept no more
"""

import asyncio
import json
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, WebSocket
from pydantic import Field, ValidationError
from starlette.websockets import WebSocketDisconnect

from voiceedge.clock import sleep, timeout
from voiceedge.context.publishing.hub import Missed, Subscription
from voiceedge.errors import StoreError
from voiceedge.web import problems
from voiceedge.web.api.door import Caller, Door
from voiceedge.web.api.events import HEARTBEAT_S, counted, known_types, opens_still
from voiceedge.web.api.models import Asked, Identifier
from voiceedge.web.api.reading import seen
from voiceedge.web.keys import Scope
from voiceedge.web.problems import Problem
from voiceedge.web.services import Services, Wanted

WISH_S = 10.0
SEND_S = 10.0  # whoever takes nothing for so long is dropped; its events wait in the database meanwhile
VIOLATION, TRY_LATER = 1008, 1013  # RFC 6455 §7.4, and its registry

router = APIRouter()


class Wish(Asked):
    conversation: Identifier | None = None
    types: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=50)] = Field(default_factory=list)
    after: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")] | None = None


@router.websocket("/stream")
async def stream(socket: WebSocket, at: Wanted) -> None:
    door: Door = socket.app.state.door
    try:
        caller = await door.entered(socket)
        caller.check(Scope.EVENTS)
    except Problem as refusal:
        told = problems.response(refusal.status, refusal.code, str(refusal), refusal.headers, **refusal.more)
        await socket.send_denial_response(told)
        return
    except StoreError as error:
        await socket.send_denial_response(problems.away(error))
        return
    await socket.accept()
    try:
        async with counted(caller.key):
            await _serve(socket, caller, at)
    except (Problem, ValidationError, ValueError) as error:
        why = str(error) if isinstance(error, Problem) else "say what you want as the documentation tells"
        await _close(socket, VIOLATION, why, at)
    except TimeoutError:
        await _close(socket, TRY_LATER, "nothing was read, or said, for too long", at)
    except StoreError:
        await _close(socket, TRY_LATER, "the store is away: try again", at)
    except WebSocketDisconnect:
        pass


async def _serve(socket: WebSocket, caller: Caller, at: Services) -> None:
    async with timeout(at.clock, WISH_S):
        wish = Wish.model_validate_json(await _said(socket))
    if wish.conversation:
        await seen(at, caller, wish.conversation, "follow")
    wanted = at.context.hub.subscribe(
        tenant=caller.tenant, conversation=wish.conversation, types=known_types(wish.types), after=wish.after
    )
    async with wanted as subscription:
        sending = asyncio.ensure_future(_send(socket, subscription, at))
        reading = asyncio.ensure_future(_until_gone(socket))
        looking = asyncio.ensure_future(_until_over(caller, at))
        tasks = sending, reading, looking
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result


async def _send(socket: WebSocket, subscription: Subscription, at: Services) -> None:
    async for delivery in subscription:
        if isinstance(delivery, Missed):
            text = json.dumps({"missed": delivery.cursor})
        else:
            text = f'{{"cursor": "{delivery.cursor}", "event": {delivery.event.model_dump_json()}}}'
        async with timeout(at.clock, SEND_S):
            await socket.send_text(text)


async def _until_gone(socket: WebSocket) -> None:
    await _said(socket)
    raise ValueError("one wish for each connection")


async def _said(socket: WebSocket) -> str:
    """Raises ValueError for what is no text."""
    try:
        return await socket.receive_text()
    except KeyError:
        raise ValueError("say it as text") from None


async def _until_over(caller: Caller, at: Services) -> None:
    while await opens_still(at, caller.key):
        await sleep(at.clock, HEARTBEAT_S)
    raise Problem(HTTPStatus.UNAUTHORIZED, "wrong_key", "this key was revoked, or is past its time")


async def _close(socket: WebSocket, code: int, why: str, at: Services) -> None:
    with suppress(TimeoutError, RuntimeError):
        async with timeout(at.clock, 1.0):
            await socket.close(code, why[:100])
