"""Asking another system over HTTP: bounded in time and size, and never led anywhere by what a caller said."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import httpx

from voiceedge.clock import Clock, timeout
from voiceedge.flow.template import Field, Template, plain

LARGEST_ANSWER = 64 * 1024  # bytes
_OK, _CREATED, _NOT_FOUND = 200, 201, 404


@dataclass(frozen=True, slots=True)
class Request:
    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None  # sent as JSON with POST; None: GET
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Found:
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NotFound:
    pass


@dataclass(frozen=True, slots=True)
class Failed:
    reason: str  # for the log: without values and without the address


Answer = Found | NotFound | Failed


class LookUps(Protocol):
    async def ask(self, request: Request) -> Answer: ...


class HttpLookUps:
    """Real ones. Redirects are not followed: they could lead into the inner network."""

    def __init__(self, client: httpx.AsyncClient, clock: Clock) -> None:
        self._client, self._clock = client, clock

    async def ask(self, request: Request) -> Answer:
        try:
            if urlsplit(request.url).scheme not in {"http", "https"}:
                return Failed("the address is neither http nor https")
            async with timeout(self._clock, request.timeout_s):
                return await self._ask(request)
        except TimeoutError:
            return Failed("no answer in time")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            return Failed(type(error).__name__)

    async def _ask(self, request: Request) -> Answer:
        method = "GET" if request.body is None else "POST"
        async with self._client.stream(
            method,
            request.url,
            headers={**request.headers, "Accept": "application/json", "Accept-Encoding": "identity"},
            json=request.body,
            follow_redirects=False,
            timeout=None,
        ) as response:
            if response.status_code == _NOT_FOUND:
                return NotFound()
            if response.status_code not in {_OK, _CREATED}:
                return Failed(f"status {response.status_code}")
            raw = b""  # never unpacked: a small answer could grow without bound
            async for chunk in response.aiter_raw():
                raw += chunk
                if len(raw) > LARGEST_ANSWER:
                    return Failed(f"the answer is larger than {LARGEST_ANSWER // 1024} kB")
        values = json.loads(raw)
        return Found(values) if isinstance(values, dict) else Failed("the answer is not a JSON object")


def fill_url(template: Template, values: Mapping[str, Any]) -> str:
    """Settings as they are, every other value percent-encoded. Raises TemplateError."""
    return template.fill(values, _encode)


def _encode(field: Field, value: Any) -> str:
    text = plain(value)
    if field.path[0] == "settings":
        return text.rstrip("/")
    encoded = quote(text, safe="")
    return encoded.replace(".", "%2E") if not text.strip(".") else encoded
