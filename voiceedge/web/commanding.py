"""The API over MQTT: a command is the request of the same name, done by the same code, its answer published.

    voiceedge/{site}/v1/commands/conversations/turn/{id}   {"conversation_id": "…", "by": "customer", "text": "…"}
    voiceedge/{site}/api/v1/answers/{id}                   {"status": 200, "body": {…}}

A command that comes twice by its id is done once. Whoever may publish there has all rights in the tenant main.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import httpx
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from voiceedge.bus.backoff import backoff
from voiceedge.bus.client import Broker, Connection, Message, connect
from voiceedge.clock import sleep
from voiceedge.config import Mqtt
from voiceedge.context.pii import pseudonym_key
from voiceedge.context.record import MAIN
from voiceedge.errors import BusError
from voiceedge.web.api.door import CALLER, Caller
from voiceedge.web.app import create_app
from voiceedge.web.keys import Key
from voiceedge.web.keys import Scope as Right
from voiceedge.web.limits import Allowance
from voiceedge.web.services import Services

LARGEST = 64 * 1024  # bytes of a command
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
UNLIMITED = Allowance(allowed=True, quota=0, left=0, next_s=0)
OPERATIONS: Mapping[str, tuple[str, str]] = {
    "conversations/open": ("POST", "/v1/conversations"),
    "conversations/read": ("GET", "/v1/conversations/{conversation_id}"),
    "conversations/change": ("PATCH", "/v1/conversations/{conversation_id}"),
    "conversations/turn": ("POST", "/v1/conversations/{conversation_id}/turns"),
    "conversations/close": ("POST", "/v1/conversations/{conversation_id}/close"),
    "conversations/token": ("POST", "/v1/conversations/{conversation_id}/tokens"),
    "conversations/call-back": ("POST", "/v1/conversations/{conversation_id}/call-back"),
    "tokens/resolve": ("POST", "/v1/tokens/resolve"),
    "calls/add": ("POST", "/v1/calls"),
    "calls/read": ("GET", "/v1/calls/{call_id}"),
}

log = structlog.get_logger()


class Commands:
    def __init__(self, at: Services) -> None:
        self._site = at.config.site.name
        key = Key("mqtt", "mqtt", MAIN, frozenset(Right), at.clock.now())
        secret = hmac.digest(pseudonym_key(at.config.site.data_dir), b"commands by MQTT", "sha512")
        app = _AsCaller(create_app(at), Caller(key, secret, UNLIMITED))
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False))

    @property
    def topics(self) -> list[str]:
        return [f"voiceedge/{self._site}/v1/commands/{name}/+" for name in OPERATIONS]

    async def done(self, message: Message) -> Message | None:
        """The answer; None where the topic names no command, or no id to answer to."""
        name, _, command = message.topic.removeprefix(f"voiceedge/{self._site}/v1/commands/").rpartition("/")
        if name not in OPERATIONS or not ID.fullmatch(command):
            return None
        status, body = await self._asked(name, command, message.payload)
        payload = json.dumps({"status": status, "body": body}, ensure_ascii=False).encode()
        return Message(f"voiceedge/{self._site}/api/v1/answers/{command}", payload)

    async def _asked(self, name: str, command: str, payload: bytes) -> tuple[int, Any]:
        method, path = OPERATIONS[name]
        try:
            wish = json.loads(payload) if len(payload) <= LARGEST else None
        except (ValueError, RecursionError):
            wish = None
        if not isinstance(wish, dict):
            return 400, {"code": "bad_request", "detail": f"a command is a JSON object of at most {LARGEST} bytes"}
        for field in re.findall(r"{(\w+)}", path):
            value = wish.pop(field, None)
            if not isinstance(value, str) or not ID.fullmatch(value):
                return 422, {"code": "invalid", "detail": f"{field}: give one"}
            path = path.replace(f"{{{field}}}", value)
        content = None if method == "GET" else json.dumps(wish).encode()
        headers = {"Idempotency-Key": command, "Content-Type": "application/json"}
        answer = await self._client.request(method, f"http://mqtt{path}", content=content, headers=headers)
        return answer.status_code, answer.json()


class _AsCaller:
    """Requests of our own making, which have no key to show."""

    def __init__(self, app: ASGIApp, caller: Caller) -> None:
        self._app, self._caller = app, caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, CALLER: self._caller}, receive, send)


async def follow(at: Services, url: Callable[[], str | None]) -> NoReturn:
    """`url` is where the broker is, once there is one. A broker of one's own keeps commands while we are away."""
    commands, delays, config = Commands(at), backoff(), at.config
    while True:
        try:
            if where := url():
                settings = config.mqtt if config.mqtt.url else Mqtt()
                name = f"voiceedge-{config.site.name}-{config.switch.node}-api" if config.mqtt.url else None
                async with connect(Broker.from_url(where, settings), client_id=name) as connection:
                    for topic in commands.topics:
                        await connection.subscribe(topic)
                    delays = backoff()
                    await _serve(commands, connection)
        except BusError as error:
            log.warning("commands_wait", problem=str(error))
        await sleep(at.clock, next(delays))


async def _serve(commands: Commands, connection: Connection) -> None:
    async for message in connection.messages():
        if answer := await commands.done(message):
            await connection.publish([answer], lambda _: None)
