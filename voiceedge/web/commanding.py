"""The API over MQTT: a command is the request of the same name, done by the same code, its answer published.

    voiceedge/{site}/v1/commands/conversations/turn/{id}   {"conversation_id": "…", "by": "customer", "text": "…"}
    voiceedge/{site}/api/v1/answers/{id}                   {"status": 200, "body": {…}}

are of the tenant main; any that `context.mqtt_tenants` names has topics of its own, for a broker's access list to tell
apart: `…/v1/tenants/{tenant}/commands/…` and `…/api/v1/tenants/{tenant}/answers/…`. A command that comes twice by its
id is done once. Whoever may publish there has all rights in that tenant.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import httpx
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from voiceedge.bus.client import Message
from voiceedge.bus.commands import REMEDY, follow, wish_of
from voiceedge.context.privacy.pii import pseudonym_key
from voiceedge.context.record import MAIN
from voiceedge.web.api.door import CALLER, Caller
from voiceedge.web.app import create_app
from voiceedge.web.keys import Key
from voiceedge.web.keys import Scope as Right
from voiceedge.web.limits import Allowance
from voiceedge.web.services import Services

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
COMMAND = re.compile(rf"(tenants/([a-z0-9-]{{1,40}})/)?commands/([a-z]+/[a-z-]+)/({ID.pattern})")
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
        self._site = f"voiceedge/{at.config.site.name}"
        app = create_app(at)
        self._clients = {tenant: _client_of(tenant, app, at) for tenant in at.config.context.mqtt_tenants}

    @property
    def topics(self) -> list[str]:
        """Those of any tenant: whoever is refused is told."""
        places = "commands", "tenants/+/commands"
        return [f"{self._site}/v1/{place}/{name}/+" for place in places for name in OPERATIONS]

    async def done(self, message: Message) -> Message | None:
        """The answer; None where the topic names no command, or no id to answer to."""
        found = COMMAND.fullmatch(message.topic.removeprefix(f"{self._site}/v1/"))
        if found is None or found[3] not in OPERATIONS:
            return None
        place, tenant, name, command = found[1] or "", found[2] or MAIN, found[3], found[4]
        if client := self._clients.get(tenant):
            status, body = await _asked(client, name, command, message)
        else:
            log.warning("command_refused", tenant=tenant, remedy="name this tenant in context.mqtt_tenants")
            status, body = 403, {"code": "unknown_tenant", "detail": "context.mqtt_tenants does not name this tenant"}
        payload = json.dumps({"status": status, "body": body}, ensure_ascii=False).encode()
        return Message(f"{self._site}/api/v1/{place}answers/{command}", payload)


def _client_of(tenant: str, app: ASGIApp, at: Services) -> httpx.AsyncClient:
    """A key of the tenant's own: ids of what is made are derived from its secret."""
    key_id, name, purpose = "mqtt", "mqtt", "commands by MQTT"
    if tenant != MAIN:
        key_id += hashlib.sha256(tenant.encode()).hexdigest()[:12]
        name, purpose = f"{name} {tenant}", f"{purpose} of {tenant}"
    key = Key(key_id, name, tenant, frozenset(Right), at.clock.now())
    secret = hmac.digest(pseudonym_key(at.config.site.data_dir), purpose.encode(), "sha512")
    caller = _AsCaller(app, Caller(key, secret, UNLIMITED))
    return httpx.AsyncClient(transport=httpx.ASGITransport(caller, raise_app_exceptions=False))


async def _asked(client: httpx.AsyncClient, name: str, command: str, message: Message) -> tuple[int, Any]:
    method, path = OPERATIONS[name]
    wish = wish_of(message)
    if wish is None:
        return 400, {"code": "bad_request", "detail": REMEDY}
    for field in re.findall(r"{(\w+)}", path):
        value = wish.pop(field, None)
        if not isinstance(value, str) or not ID.fullmatch(value):
            return 422, {"code": "invalid", "detail": f"{field}: give one"}
        path = path.replace(f"{{{field}}}", value)
    content = None if method == "GET" else json.dumps(wish).encode()
    headers = {"Idempotency-Key": command, "Content-Type": "application/json"}
    answer = await client.request(method, f"http://mqtt{path}", content=content, headers=headers)
    return answer.status_code, answer.json()


class _AsCaller:
    """Requests of our own making, which have no key to show."""

    def __init__(self, app: ASGIApp, caller: Caller) -> None:
        self._app, self._caller = app, caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, CALLER: self._caller}, receive, send)


async def obey(at: Services, url: Callable[[], str | None]) -> NoReturn:
    """`url` is where the broker is, once there is one."""
    commands = Commands(at)
    await follow(at.config, "api", commands.topics, commands.done, url, at.clock)
