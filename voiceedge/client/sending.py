"""Requests sent, tried again where that is safe, and streams of events that go on after a break."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import httpx

from voiceedge.client.answers import Event
from voiceedge.client.requests import Request

Answer = TypeVar("Answer")
TIMEOUT_S = 30.0
SILENCE_S = 60.0  # the server says something every 15 s
TRIES = 4
LONGEST_WAIT_S = 30.0
AGAIN = {409, 429, 503}  # of 409 only what is still at work


class ApiError(Exception):
    """The API refuses (RFC 9457): `code` is for programs."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code', '')}: {problem.get('detail', '')}")
        self.status, self.problem = status, problem
        self.code = str(problem.get("code", ""))


class Client:
    def __init__(self, url: str, key: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._http = httpx.Client(base_url=url, headers=_headers(key), timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def send(self, request: Request[Answer]) -> Answer:
        """Raises ApiError, and httpx.HTTPError where nobody answers."""
        for left in reversed(range(TRIES)):
            try:
                answer = self._http.send(_built(self._http, request))
            except httpx.TransportError:
                if not left:
                    raise
                time.sleep(1)
                continue
            wait_s = _wait_s(answer)
            if wait_s is None or not left:
                return _read(answer, request)
            time.sleep(wait_s)
        raise AssertionError

    def events(self, *, conversation: str | None = None, after: str | None = None) -> Iterator[tuple[str, Event]]:
        """Each event with its cursor, which `after` takes, without end: over breaks, too."""
        while True:
            wait_s = 1.0
            try:
                with self._http.stream(**_following(conversation, after)) as answer:
                    if answer.is_error:
                        answer.read()
                        wait_s = _later_s(answer)
                    reader = _Reader()
                    for line in answer.iter_lines():
                        if found := reader.took(line):
                            after, _ = found
                            yield found
            except httpx.TransportError:
                pass
            time.sleep(wait_s)


class AsyncClient:
    """The same for asyncio."""

    def __init__(self, url: str, key: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers=_headers(key), timeout=timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, request: Request[Answer]) -> Answer:
        """As Client.send."""
        for left in reversed(range(TRIES)):
            try:
                answer = await self._http.send(_built(self._http, request))
            except httpx.TransportError:
                if not left:
                    raise
                await asyncio.sleep(1)
                continue
            wait_s = _wait_s(answer)
            if wait_s is None or not left:
                return _read(answer, request)
            await asyncio.sleep(wait_s)
        raise AssertionError

    async def events(
        self, *, conversation: str | None = None, after: str | None = None
    ) -> AsyncIterator[tuple[str, Event]]:
        """As Client.events."""
        while True:
            wait_s = 1.0
            try:
                async with self._http.stream(**_following(conversation, after)) as answer:
                    if answer.is_error:
                        await answer.aread()
                        wait_s = _later_s(answer)
                    reader = _Reader()
                    async for line in answer.aiter_lines():
                        if found := reader.took(line):
                            after, _ = found
                            yield found
            except httpx.TransportError:
                pass
            await asyncio.sleep(wait_s)


class _Reader:
    """Lines of an event stream."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def took(self, line: str) -> tuple[str, Event] | None:
        if line:
            name, _, value = line.partition(": ")
            self._fields[name] = value
            return None
        fields, self._fields = self._fields, {}
        return (fields["id"], json.loads(fields["data"])) if "data" in fields and "id" in fields else None


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _built(http: httpx.Client | httpx.AsyncClient, request: Request[Any]) -> httpx.Request:
    headers = {} if request.method == "GET" or not request.once else {"Idempotency-Key": request.once}
    return http.build_request(request.method, request.path, json=request.body, headers=headers)


def _wait_s(answer: httpx.Response) -> float | None:
    """After which to send it once more; None: it is answered."""
    waits = answer.headers.get("Retry-After", "")
    if answer.status_code not in AGAIN or not waits.isdigit():
        return None
    return min(float(waits), LONGEST_WAIT_S)


def _later_s(answer: httpx.Response) -> float:
    """The same of a refusal. Raises ApiError where it is for good."""
    wait_s = _wait_s(answer)
    if wait_s is None:
        raise _error(answer)
    return wait_s


def _error(answer: httpx.Response) -> ApiError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    return ApiError(answer.status_code, problem if isinstance(problem, dict) else {})


def _read(answer: httpx.Response, _: Request[Answer]) -> Answer:
    if answer.is_error:
        raise _error(answer)
    return cast("Answer", answer.json() if answer.content else None)


def _following(conversation: str | None, after: str | None) -> dict[str, Any]:
    path = f"/v1/conversations/{conversation}/events" if conversation else "/v1/events"
    headers = {"Last-Event-ID": after} if after else {}
    return {"method": "GET", "url": path, "headers": headers, "timeout": httpx.Timeout(TIMEOUT_S, read=SILENCE_S)}
