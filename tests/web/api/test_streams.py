"""Events as they come: no gap and no repetition over a break, only one's own, and nobody waits for who never reads."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from api_site import Site, opened

from voiceedge.errors import StoreError
from voiceedge.web import listening
from voiceedge.web.api import events, stream

OPEN = {"channel": "kakao", "reference": "room-1", "intent": "delivery"}
WAIT_S = 60


@asynccontextmanager
async def following(client: httpx.AsyncClient, path: str, last: str | None = None) -> AsyncIterator["Stream"]:
    headers = {"Last-Event-ID": last} if last else {}
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer)


class Stream:
    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self) -> tuple[str, dict]:
        """Cursor and event; comments are skipped."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(WAIT_S):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name and not line.startswith(":"):
                    fields[name] = value
                elif not line and "data" in fields:
                    return fields["id"], json.loads(fields["data"])
                elif not line:
                    fields = {}
        raise AssertionError("the stream ended")


async def turn(client: httpx.AsyncClient, name: str, text: str) -> None:
    answer = await client.post(f"/conversations/{name}/turns", json={"by": "customer", "text": text})
    assert answer.status_code == 200, answer.text


async def test_a_stream_goes_on_after_a_break_without_gap_or_repetition(any_site: Site):
    client, theirs = await any_site.client(), await any_site.client(tenant="shop")
    name = (await client.post("/conversations", json=OPEN)).json()["id"]
    async with following(client, "/events?type=voiceedge.message.sent") as stream:
        await asyncio.sleep(0)
        await turn(client, name, "하나")
        cursor, event = await stream.next()
        assert event["data"]["text"] == "하나"
    other = (await theirs.post("/conversations", json=OPEN)).json()["id"]
    for number in range(30):
        await turn(client, name, f"{number}")
        await turn(theirs, other, "남의 말")
    async with following(client, "/events?type=voiceedge.message.sent", cursor) as stream:
        seen = [(await stream.next())[1]["data"]["text"] for _ in range(15)]
        await turn(client, name, "끝")
        while seen[-1] != "끝":
            seen.append((await stream.next())[1]["data"]["text"])
    assert seen == [*map(str, range(30)), "끝"]


async def test_one_conversation_is_followed_by_itself(site: Site):
    client = await site.client()
    names = [(await client.post("/conversations", json=OPEN)).json()["id"] for _ in range(2)]
    async with following(client, f"/conversations/{names[0]}/events") as stream:
        await turn(client, names[1], "다른 대화")
        await turn(client, names[0], "이 대화")
        _, event = await stream.next()
        assert (event["subject"], event["data"]["text"]) == (names[0], "이 대화")


async def test_a_stream_of_nothing_known_is_refused(site: Site):
    client = await site.client()
    assert (await client.get("/events?type=voiceedge.nothing")).json()["code"] == "unknown_event_type"
    assert (await client.get("/events", headers={"Last-Event-ID": "x"})).status_code == 422


def socket_url(site: Site) -> str:
    return site.url.replace("http", "ws", 1) + "/v1/stream"


async def test_events_come_over_a_websocket_from_any_cursor_on(site: Site):
    client, key = await site.client(), await site.key("events")
    name = (await client.post("/conversations", json=OPEN)).json()["id"]
    headers = {"Authorization": f"Bearer {key}"}
    async with websockets.connect(socket_url(site), additional_headers=headers) as stream:
        await stream.send(json.dumps({"conversation": name, "after": "0"}))
        async with asyncio.timeout(WAIT_S):
            first = json.loads(await stream.recv())
            second = json.loads(await stream.recv())
    assert first["event"]["type"] == "voiceedge.interaction.started"
    async with websockets.connect(socket_url(site), additional_headers=headers) as stream:
        await stream.send(json.dumps({"after": first["cursor"], "types": ["voiceedge.conversation.changed"]}))
        async with asyncio.timeout(WAIT_S):
            assert json.loads(await stream.recv()) == second


@pytest.mark.parametrize("wish", ["nothing", "[]", '{"conversation": "unknown"}', '{"after": "x"}', '{"types": ["x"]}'])
async def test_a_wish_that_cannot_be_read_ends_the_websocket(site: Site, wish: str):
    headers = {"Authorization": f"Bearer {await site.key('events', 'conversations:read')}"}
    async with websockets.connect(socket_url(site), additional_headers=headers) as stream:
        await stream.send(wish)
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            async with asyncio.timeout(WAIT_S):
                await stream.recv()
        assert closed.value.rcvd.code == 1008


async def test_a_websocket_needs_a_key_with_the_scope(site: Site):
    for headers, status in (({}, 401), ({"Authorization": f"Bearer {await site.key('calls')}"}, 403)):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(socket_url(site), additional_headers=headers)
        assert refused.value.response.status_code == status


@pytest.mark.parametrize("kind", ["sse", "websocket"])
async def test_a_revoked_key_follows_nothing_any_more(site: Site, monkeypatch: pytest.MonkeyPatch, kind: str):
    for module in (events, stream):
        monkeypatch.setattr(module, "HEARTBEAT_S", 0.05)
    key = await site.key("events", "conversations:read")
    headers = {"Authorization": f"Bearer {key}"}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(WAIT_S))
        if kind == "sse":
            client = await stack.enter_async_context(httpx.AsyncClient(headers=headers, timeout=WAIT_S))
            answer = await stack.enter_async_context(client.stream("GET", f"{site.url}/v1/events"))
            lines = answer.aiter_lines()
            while await anext(lines) != ": still here":
                pass
            await site.services.keys.revoke(key.split("_")[1])
            assert [line async for line in lines][-1] == ""
        else:
            socket = await stack.enter_async_context(websockets.connect(socket_url(site), additional_headers=headers))
            await socket.send("{}")
            await site.services.keys.revoke(key.split("_")[1])
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                await socket.recv()
            assert "revoked" in closed.value.rcvd.reason


async def test_bytes_are_no_wish(site: Site):
    headers = {"Authorization": f"Bearer {await site.key('events')}"}
    for before in ([], ["{}"]):
        async with websockets.connect(socket_url(site), additional_headers=headers) as stream:
            for wish in (*before, b"\x00"):
                await stream.send(wish)
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                async with asyncio.timeout(WAIT_S):
                    await stream.recv()
        assert closed.value.rcvd.code == 1008


async def test_while_the_store_is_away_a_websocket_is_told_to_try_later(site: Site, monkeypatch: pytest.MonkeyPatch):
    headers = {"Authorization": f"Bearer {await site.key('events', 'conversations:read')}"}

    async def away(*_: object) -> None:
        raise StoreError("away for a moment")

    with monkeypatch.context() as for_a_moment:
        for_a_moment.setattr(site.services.context.archive, "read", away)
        async with websockets.connect(socket_url(site), additional_headers=headers) as stream:
            await stream.send('{"conversation": "01a2"}')
            with pytest.raises(websockets.ConnectionClosedError) as closed:
                async with asyncio.timeout(WAIT_S):
                    await stream.recv()
        assert closed.value.rcvd.code == 1013
    monkeypatch.setattr(site.services.keys, "opened", away)
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(socket_url(site), additional_headers=headers)
    assert refused.value.response.status_code == 503


@pytest.mark.parametrize("kind", ["sse", "websocket"])
async def test_who_never_reads_is_dropped_and_harms_nobody(tmp_path, monkeypatch, kind: str):
    monkeypatch.setattr(listening, "UNREAD_MS", 1_000)
    async with opened(tmp_path) as site:
        client, key = await site.client(), await site.key("events", "conversations:read")
        name = (await client.post("/conversations", json=OPEN)).json()["id"]
        silent = await silent_client(site, key, kind)
        async with following(client, f"/conversations/{name}/events") as stream:
            hub = site.services.context.hub
            assert len(hub._subscriptions) == 2
            batch = 0
            async with asyncio.timeout(120):
                while len(hub._subscriptions) == 2:
                    await turn(client, name, "가" * 4000)
                    batch += 1
            for _ in range(batch):
                await stream.next()
        silent.close()


async def silent_client(site: Site, key: str, kind: str) -> socket.socket:
    """Asks, and takes nothing of the answer."""
    where = urlsplit(site.url)
    silent = socket.socket()
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    silent.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(silent, (where.hostname, where.port))
    head = f"Host: x\r\nAuthorization: Bearer {key}\r\n"
    if kind == "sse":
        await loop.sock_sendall(silent, f"GET /v1/events HTTP/1.1\r\n{head}\r\n".encode())
    else:
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        nonce = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        await loop.sock_sendall(silent, f"GET /v1/stream HTTP/1.1\r\n{head}{upgrade}{nonce}\r\n".encode())
        while b"\r\n\r\n" not in await loop.sock_recv(silent, 4096):
            pass
        wish = b"{}"  # masked with zeros (RFC 6455 §5.3)
        await loop.sock_sendall(silent, bytes([0x81, 0x80 | len(wish), 0, 0, 0, 0]) + wish)
    hub = site.services.context.hub
    while not hub._subscriptions:  # noqa: ASYNC110 - what is waited for is the server's
        await asyncio.sleep(0.01)
    return silent
