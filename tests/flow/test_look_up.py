"""Look-ups over real HTTP: whatever the other side does, the flow gets one of three answers in time."""

import gzip
import json

import httpx
import pytest
from answering import http, server

from voiceedge.clock import RealClock
from voiceedge.connectors.answers import Failed, Found, NotFound
from voiceedge.connectors.service import Connectors
from voiceedge.flow.look_up import Request, SiteLookUps


async def ask(url: str, body=None, timeout_s: float = 60.0, headers=None):
    clock = RealClock()
    async with httpx.AsyncClient() as client, Connectors({}, clock) as connectors:
        return await SiteLookUps(client, clock, connectors).ask(Request(url, headers or {}, body, timeout_s))


async def test_a_json_object_is_found():
    async with server(http(b'{"status": "shipped"}')) as (url, requests):
        assert await ask(f"{url}/orders/1") == Found({"status": "shipped"})
        assert requests[0].startswith(b"GET /orders/1 HTTP/1.1")


async def test_values_are_sent_as_json_with_the_headers():
    async with server(http(b"{}", "201 Created")) as (url, requests):
        assert await ask(url, {"n": 1}, headers={"Authorization": "Bearer x"}) == Found({})
        assert requests[0].startswith(b"POST / ")
        assert b"Authorization: Bearer x" in requests[0]
        assert json.loads(requests[0].partition(b"\r\n\r\n")[2]) == {"n": 1}


async def test_404_is_not_found():
    async with server(http(b"", "404 Not Found")) as (url, _):
        assert await ask(url) == NotFound()


@pytest.mark.parametrize("answer", [
    http(b"", "500 Internal Server Error"),
    http(b"", "302 Found", "Location: http://127.0.0.1:1/"),
    http(b"[1]"),
    http(b"not json"),
    http(b"\xff\xfe"),
    http(b'{"a": NaN}'),
    http(b'{"a": 1e999}'),
    http(b'{"a": "\\ud800"}'),
    http(b"[" * 60_000),
    http(b"{}" + b" " * 70_000),
    http(gzip.compress(b'{"a": "' + b" " * 10_000_000 + b'"}'), "200 OK", "Content-Encoding: gzip"),
    http(b'{"a": 1}').replace(b"Content-Length: 8", b"Content-Length: 80"),
    b"garbage\r\n\r\n",
    b"",
])  # fmt: skip
async def test_anything_else_is_a_failure(answer):
    async with server(answer) as (url, _):
        assert isinstance(await ask(url), Failed)


async def test_a_service_that_never_answers_is_a_failure_in_time():
    async with server(None) as (url, _):
        assert await ask(url, timeout_s=0.05) == Failed("no answer in time")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "ftp://127.0.0.1/", "file:///etc/passwd", "http://[", "http://", ""]
)
async def test_an_address_that_leads_nowhere_is_a_failure(url):
    assert isinstance(await ask(url), Failed)
