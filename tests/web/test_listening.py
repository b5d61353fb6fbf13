"""Whoever opens connections and asks for nothing takes them from nobody else."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
import websockets
from api_site import Site, opened

from voiceedge.web import listening
from voiceedge.web.arrival import network_of

WAIT_S = 60
HEAD = b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n"
BODY = b"POST /v1/conversations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


@contextmanager
def silent(site: Site, count: int, source: str) -> Iterator[list[socket.socket]]:
    port = int(site.url.rpartition(":")[2])
    found = [socket.create_connection(("127.0.0.1", port), WAIT_S, (source, 0)) for _ in range(count)]
    try:
        yield found
    finally:
        for one in found:
            one.close()


@asynccontextmanager
async def asking(source: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address=source), timeout=WAIT_S) as client:
        yield client


async def answered(site: Site, source: str = "127.0.0.1") -> int | None:
    async with asking(source) as client:
        try:
            return (await client.get(f"{site.url}/v1/openapi.json")).status_code
        except httpx.TransportError:
            return None


async def closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        async with asyncio.timeout(WAIT_S):
            while await asyncio.get_running_loop().sock_recv(connection, 65536):
                pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


async def test_one_address_cannot_take_all_connections(tmp_path: Path):
    async with opened(tmp_path, web={"connections_of_one": 5}) as site:
        with silent(site, 6, "127.0.0.2") as held:
            assert await closed(held[5])
            assert await answered(site, "127.0.0.2") is None
            assert await answered(site) == 200
            held[0].close()
            async with asyncio.timeout(WAIT_S):
                while await answered(site, "127.0.0.2") != 200:  # noqa: ASYNC110 - what is closed soon counts no more
                    await asyncio.sleep(0.01)


async def test_a_trusted_proxy_brings_as_many_as_it_has(tmp_path: Path):
    web = {"connections_of_one": 5, "trusted_proxies": ["127.0.0.2", "unix:"]}
    async with opened(tmp_path, web=web) as site:
        with silent(site, 20, "127.0.0.2"):
            assert await answered(site, "127.0.0.2") == 200


async def test_beyond_what_there_may_be_in_all_none_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listening, "REFUSED_POLITELY", 2)
    async with opened(tmp_path, web={"most_connections": 10, "connections_of_one": 5}) as site:
        with silent(site, 5, "127.0.0.2"), silent(site, 5, "127.0.0.3"):
            assert await answered(site) == 503
            with silent(site, 3, "127.0.0.4") as more:
                assert await closed(more[2])


async def test_who_does_not_say_what_they_want_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listening, "HEAD_S", 0.3)
    monkeypatch.setattr(listening, "BODY_S", 0.3)
    async with opened(tmp_path) as site:
        key = await site.key()
        with silent(site, 5, "127.0.0.2") as (nothing, half, again, body, dripping):
            half.sendall(HEAD)
            again.sendall(HEAD + b"\r\n" + HEAD)
            body.sendall(BODY.replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {key}\r\n\r\n".encode()))
            drip = asyncio.create_task(dripped(dripping))
            assert all([await closed(one) for one in (nothing, half, again, body, dripping)])
            await drip


async def dripped(connection: socket.socket) -> None:
    """A byte now and then, so that it is never quiet."""
    for byte in HEAD * 20:
        try:
            connection.send(bytes([byte]))
        except OSError:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it was never cut off")


async def test_streams_have_no_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listening, "HEAD_S", 3)
    monkeypatch.setattr(listening, "BODY_S", 3)
    async with opened(tmp_path) as site:
        client, headers = await site.client(), {"Authorization": f"Bearer {await site.key()}"}
        url = site.url.replace("http", "ws") + "/v1/stream"
        async with client.stream("GET", "/events") as events, websockets.connect(url, additional_headers=headers) as ws:
            await ws.send("{}")
            await asyncio.sleep(4)  # longer than either deadline
            await client.post("/conversations", json={"channel": "kakao", "reference": "room-1"})
            async with asyncio.timeout(WAIT_S):
                assert "kakao" in json.dumps(json.loads(await ws.recv()))
                async for line in events.aiter_lines():
                    if "kakao" in line:
                        return
        raise AssertionError("the stream ended")


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_addresses_of_one_customer_are_one(host: str, network: str):
    assert network_of(host) == network
