"""Who comes in: the key of a request, how often it may come, and which scopes an endpoint wants."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer, SecurityScopes
from starlette.requests import HTTPConnection
from starlette.responses import Response

from voiceedge.clock import Clock
from voiceedge.context.storage.database import Database
from voiceedge.web.api.once import Answers
from voiceedge.web.arrival import network
from voiceedge.web.keys import Key, Keys, Scope
from voiceedge.web.limits import Allowance, Buckets
from voiceedge.web.problems import Problem

CALLER = "voiceedge.caller"  # in the scope of a request that comes from within, not over HTTP
FAILURES_PER_MIN = 30  # wrong keys from one network

_bearer = HTTPBearer(auto_error=False, bearerFormat="ve_<id>_<secret>", description="A key of `voiceedge key add`.")


@dataclass(frozen=True, slots=True)
class Caller:
    key: Key
    secret: bytes
    allowance: Allowance

    @property
    def tenant(self) -> str:
        return self.key.tenant

    @property
    def actor(self) -> str:
        return self.key.actor

    def may(self, scope: Scope) -> bool:
        return scope in self.key.scopes

    def check(self, *scopes: str) -> None:
        """Raises Problem where one is missing."""
        for scope in scopes:
            if Scope(scope) not in self.key.scopes:
                told = f"this key has no scope {scope}: use one that was added with --scope {scope}"
                raise Problem(HTTPStatus.FORBIDDEN, "missing_scope", told, scope=scope)


class Door:
    """One for the application."""

    def __init__(self, keys: Keys, database: Database, clock: Clock, requests_per_min: int) -> None:
        self._keys = keys
        self._requests, self._failures = Buckets(requests_per_min, clock), Buckets(FAILURES_PER_MIN, clock)
        self.answers = Answers(database, clock)

    async def entered(self, connection: HTTPConnection) -> Caller:
        """Raises Problem."""
        kind, _, text = connection.headers.get("authorization", "").partition(" ")
        text = text.strip()
        if kind.lower() != "bearer" or not text:
            told = "send a key: Authorization: Bearer ve_…"
            raise Problem(HTTPStatus.UNAUTHORIZED, "no_key", told, headers={"WWW-Authenticate": "Bearer"})
        where = network(connection)
        if not self._keys.remembers(text):
            _check(self._failures.look(where), "too many wrong keys from this address")
        opened = await self._keys.opened(text)
        if opened is None:
            self._failures.take(where)
            refusal = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            told = "there is no such key, or it was revoked or is past its time"
            raise Problem(HTTPStatus.UNAUTHORIZED, "wrong_key", told, headers=refusal)
        allowance = self._requests.take(opened.key.id)
        _check(allowance, "this key asks too often (web.requests_per_min)")
        return Caller(opened.key, opened.secret, allowance)


def _check(allowance: Allowance, why: str) -> None:
    if not allowance.allowed:
        told = f"{why}: wait as long as Retry-After says"
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", told, headers=allowance.headers)


class ApiRoute(APIRoute):
    """The key is looked at before anything that was sent is, and a request is answered once for its Idempotency-Key."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            door: Door = request.app.state.door
            caller = request.state.caller = request.scope.get(CALLER) or await door.entered(request)
            answer = await door.answers.once(request, caller.key.id, caller.secret, handler)
            answer.headers.update(caller.allowance.headers)
            return answer

        return handle


async def _permitted(request: Request, wanted: SecurityScopes, _: Annotated[Any, Security(_bearer)]) -> Caller:
    caller: Caller = request.state.caller
    caller.check(*wanted.scopes)
    return caller


def needs(*scopes: Scope) -> Any:
    """For an endpoint's parameter: `caller: Annotated[Caller, needs(Scope.EVENTS)]`."""
    return Security(_permitted, scopes=[scope.value for scope in scopes])
