"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request that is sent again has one effect, one answer.

The answer is kept for a day, encrypted by the secret of the API key that it was given to. Only what was done is kept: a
request that was refused had no effect, and may be sent again.
"""

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Request
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from voiceedge.clock import Clock
from voiceedge.context.cloudevents import new_id
from voiceedge.context.storage.api_tables import api_answers
from voiceedge.context.storage.database import Database
from voiceedge.web.problems import Problem

HEADER = "Idempotency-Key"
LONGEST = 255
KEPT = timedelta(hours=24)
AT_WORK_S = 60.0  # whoever has not answered by then has died over it
NONCE_BYTES = 12
CHANGES = frozenset({"POST", "PATCH", "DELETE"})

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class _Ask:
    key_id: str
    name: str  # a hash of the header: it is somebody else's text
    request: str
    secret: bytes

    def seal(self, body: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._sealing).encrypt(nonce, body, self.name.encode())

    def open(self, sealed: bytes) -> bytes:
        return AESGCM(self._sealing).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self.name.encode())

    @property
    def _sealing(self) -> bytes:
        return hmac.digest(self.secret, b"answers", "sha256")


class Answers:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def once(self, request: Request, key_id: str, secret: bytes, handler: Handler) -> Response:
        """What `handler` answers, or answered before to the same request. Raises Problem."""
        header = request.headers.get(HEADER)
        if header is None or request.method not in CHANGES:
            return await handler(request)
        ask = _read(header, request, key_id, secret, await request.body())
        if known := await self._database.attempt(lambda connection: self._claim(connection, ask)):
            return _again(ask, known)
        request.state.seed = hmac.digest(secret, f"{ask.name} {ask.request}".encode(), "sha256")
        done = None
        try:
            answer = await handler(request)
            if answer.status_code < HTTPStatus.BAD_REQUEST:
                done = answer
        finally:
            await self._over(ask, done)
        return answer

    async def _claim(self, connection: AsyncConnection, ask: _Ask) -> Row[tuple[object, ...]] | None:
        """The row of who came before us, if it counts; else there is one of ours from now on."""
        await self._database.lock(connection, [f"answer:{ask.key_id}:{ask.name}"])
        which = api_answers.c.key_id == ask.key_id, api_answers.c.name == ask.name
        known = (await connection.execute(select(api_answers).where(*which))).one_or_none()
        age_s = self._now_ms() / 1000 - known.at_ms / 1000 if known else 0.0
        if known and age_s < (AT_WORK_S if known.status is None else KEPT.total_seconds()):
            return known
        await connection.execute(delete(api_answers).where(*which))
        row = {"key_id": ask.key_id, "name": ask.name, "request": ask.request, "at_ms": self._now_ms()}
        await connection.execute(insert(api_answers).values(row))
        return None

    async def _over(self, ask: _Ask, answer: Response | None) -> None:
        which = api_answers.c.key_id == ask.key_id, api_answers.c.name == ask.name
        async with self._database.begin() as connection:
            if answer is None:
                await connection.execute(delete(api_answers).where(*which))
                return
            values = {"status": answer.status_code, "answer": ask.seal(bytes(answer.body)), "at_ms": self._now_ms()}
            await connection.execute(update(api_answers).where(*which).values(values))

    async def prune(self) -> None:
        before_ms = self._now_ms() - int(KEPT.total_seconds() * 1000)
        async with self._database.begin() as connection:
            await connection.execute(delete(api_answers).where(api_answers.c.at_ms < before_ms))

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def id_for(request: Request, purpose: str, clock: Clock) -> str:
    """A new id; of a request with an Idempotency-Key always the same, so that what is known by id is made once.

    That holds even where we die between what was done and its answer.
    """
    seed: bytes | None = getattr(request.state, "seed", None)
    if seed is None:
        return new_id(clock)
    return str(uuid.UUID(bytes=hmac.digest(seed, purpose.encode(), "sha256")[:16], version=4))


def _read(header: str, request: Request, key_id: str, secret: bytes, body: bytes) -> _Ask:
    name = header.strip().strip('"')
    if not name or len(name) > LONGEST or not name.isascii():
        told = f"{HEADER}: 1 to {LONGEST} characters of ASCII, such as a UUID"
        raise Problem(HTTPStatus.BAD_REQUEST, "wrong_idempotency_key", told)
    asked = b"\n".join([request.method.encode(), request.url.path.encode(), request.url.query.encode(), body])
    told_by = hmac.digest(secret, asked, "sha256").hex()
    return _Ask(key_id, hashlib.sha256(name.encode()).hexdigest(), told_by, secret)


def _again(ask: _Ask, known: Row[tuple[object, ...]]) -> Response:
    if known.request != ask.request:
        told = f"this {HEADER} was used for another request: take a new one"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency_key_reused", told)
    if known.status is None:
        told = "the first of these requests is still at work"
        raise Problem(HTTPStatus.CONFLICT, "still_at_work", told, headers={"Retry-After": "1"})
    try:
        body = ask.open(known.answer)
    except InvalidTag:
        raise Problem(HTTPStatus.CONFLICT, "answer_lost", "it was done, but its answer cannot be read") from None
    return Response(body, known.status, {"Idempotency-Replayed": "true"}, "application/json" if body else None)
