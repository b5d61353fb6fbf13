"""Asking another system, by an address in the flow or by a connector of the site: bounded in time and size."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from voiceedge.clock import Clock, timeout
from voiceedge.connectors.answers import Answer, Failed, Found, NotFound, NotThereError, SystemFailedError
from voiceedge.connectors.exchange import fetch
from voiceedge.connectors.http import encoded
from voiceedge.connectors.service import Connectors
from voiceedge.flow.frame import Frame
from voiceedge.flow.steps import LookUp
from voiceedge.flow.template import Field, Template, TemplateError, plain


@dataclass(frozen=True, slots=True)
class Request:
    """To an address that the flow names."""

    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None  # sent as JSON with POST; None: GET
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Query:
    """To a connector of the site, which knows the rest."""

    connector: str
    values: Mapping[str, Any]


class LookUps(Protocol):
    async def ask(self, wish: Request | Query) -> Answer: ...


class SiteLookUps:
    """Real ones."""

    def __init__(self, client: httpx.AsyncClient, clock: Clock, connectors: Connectors) -> None:
        self._client, self._clock, self._connectors = client, clock, connectors

    async def ask(self, wish: Request | Query) -> Answer:
        if isinstance(wish, Query):
            return await self._connectors.look_up(wish.connector, wish.values)
        try:
            if urlsplit(wish.url).scheme not in {"http", "https"}:
                return Failed("the address is neither http nor https")
            async with timeout(self._clock, wish.timeout_s):
                values = await fetch(self._client, wish.url, headers=wish.headers, body=wish.body)
        except TimeoutError:
            return Failed("no answer in time")
        except NotThereError:
            return NotFound()
        except (SystemFailedError, ValueError) as error:
            return Failed(str(error) if isinstance(error, SystemFailedError) else type(error).__name__)
        return Found(values) if isinstance(values, dict) else Failed("the answer is not a JSON object")


def wish_of(frame: Frame, step: LookUp, values: Mapping[str, Any]) -> Request | Query:
    """Raises TemplateError, ExpressionError."""
    if isinstance(step.look_up, str):
        given = {name: frame.calculate(value, values) for name, value in step.give.items()}
        return Query(step.look_up, given)
    return Request(
        url=fill_url(step.look_up, values),
        headers={
            name: _header(text.fill(values, lambda _, value: plain(value))) for name, text in step.headers.items()
        },
        body=None if step.send is None else {key: frame.calculate(value, values) for key, value in step.send.items()},
        timeout_s=step.timeout_s,
    )


def fill_url(template: Template, values: Mapping[str, Any]) -> str:
    """Settings as they are, every other value percent-encoded. Raises TemplateError."""
    return template.fill(values, _encode)


def _encode(field: Field, value: Any) -> str:
    text = plain(value)
    return text.rstrip("/") if field.path[0] == "settings" else encoded(text)


def _header(text: str) -> str:
    if not text.isprintable():
        raise TemplateError("a header value holds control characters")
    return text
