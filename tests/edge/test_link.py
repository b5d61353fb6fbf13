"""Requests between processes over a unix socket."""

import asyncio
import socket

import pytest

from voiceedge.edge.between.link import LIMIT, Head, LinkClient, LinkServer
from voiceedge.errors import LinkError, StoreError


async def echo(head: Head, payload: bytes) -> Head:
    return {"said": head["text"], "payload": payload[::-1]}


async def never(_head: Head, _payload: bytes) -> Head:
    await asyncio.Event().wait()
    return {}


async def full_disk(_head: Head, _payload: bytes) -> Head:
    raise StoreError("the disk is full: make room")


HANDLERS = {"echo": echo, "never": never, "full_disk": full_disk}


@pytest.fixture
async def client(tmp_path):
    client = LinkClient(tmp_path / "a.sock")
    yield client
    await client.close()


async def test_a_request_brings_its_answer_and_both_carry_bytes(tmp_path, client):
    async with LinkServer(tmp_path / "a.sock", HANDLERS):
        answer = await client.request("echo", {"text": "안녕"}, b"\x00\x01" * 32_000, timeout_s=5)
    assert (answer["said"], answer["payload"]) == ("안녕", b"\x01\x00" * 32_000)


async def test_a_slow_request_does_not_hold_up_the_next(tmp_path, client):
    async with LinkServer(tmp_path / "a.sock", HANDLERS):
        slow = asyncio.create_task(client.request("never", {}, timeout_s=60))
        assert (await client.request("echo", {"text": "x"}, timeout_s=5))["said"] == "x"
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)


async def test_a_request_that_nobody_waits_for_any_more_is_dropped(tmp_path, client):
    begun, dropped = asyncio.Event(), asyncio.Event()

    async def decide(_head: Head, _payload: bytes) -> Head:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            dropped.set()
        return {}

    async with LinkServer(tmp_path / "a.sock", {**HANDLERS, "decide": decide}), asyncio.timeout(10):
        asked = asyncio.create_task(client.request("decide", {}, timeout_s=60))
        await begun.wait()
        asked.cancel()
        await dropped.wait()
        assert (await client.request("echo", {"text": "x"}, timeout_s=5))["said"] == "x"


async def test_no_answer_in_time_is_an_error_that_may_be_retried(tmp_path, client):
    async with LinkServer(tmp_path / "a.sock", HANDLERS):
        with pytest.raises(LinkError, match=r"no answer to never within 0\.05 s") as caught:
            await client.request("never", {}, timeout_s=0.05)
    assert caught.value.can_retry


async def test_a_process_that_is_away_is_an_error_at_once(client):
    with pytest.raises(LinkError, match="away"):
        await client.request("echo", {"text": "x"}, timeout_s=5)


async def test_the_client_finds_a_server_that_came_back(tmp_path, client):
    for word in ("before", "after"):
        async with LinkServer(tmp_path / "a.sock", HANDLERS):
            async with asyncio.timeout(5):
                while True:
                    try:
                        answer = await client.request("echo", {"text": word}, timeout_s=5)
                        break
                    except LinkError:
                        await asyncio.sleep(0)  # the old connection's end has not been read yet
            assert answer["said"] == word


async def test_requests_under_way_fail_when_the_server_dies(tmp_path, client):
    async with LinkServer(tmp_path / "a.sock", HANDLERS):
        waiting = asyncio.create_task(client.request("never", {}, timeout_s=60))
        await client.request("echo", {"text": "x"}, timeout_s=5)
    with pytest.raises(LinkError):
        await waiting


async def test_a_refusal_tells_why_and_whether_to_retry(tmp_path, client):
    async with LinkServer(tmp_path / "a.sock", HANDLERS):
        with pytest.raises(LinkError, match="the disk is full") as caught:
            await client.request("full_disk", {}, timeout_s=5)
        assert caught.value.can_retry
        with pytest.raises(LinkError):
            await client.request("no such request", {}, timeout_s=5)


async def test_a_frame_beyond_all_bounds_ends_the_connection_not_the_server(tmp_path, client):
    async with LinkServer(tmp_path / "a.sock", HANDLERS):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "a.sock")
        writer.write((LIMIT + 1).to_bytes(4) + (0).to_bytes(4))
        assert await reader.read() == b""
        writer.close()
        assert (await client.request("echo", {"text": "x"}, timeout_s=5))["said"] == "x"


async def test_a_socket_that_somebody_answers_on_is_left_to_them_and_a_dead_ones_is_taken(tmp_path, client):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "a.sock"))
        dead.listen()
    async with LinkServer(tmp_path / "a.sock", HANDLERS):
        with pytest.raises(LinkError, match="another process answers there"):
            async with LinkServer(tmp_path / "a.sock", {}):
                pass
        assert (await client.request("echo", {"text": "x"}, timeout_s=5))["said"] == "x"
    assert not (tmp_path / "a.sock").exists()


async def test_one_that_is_succeeded_leaves_its_successors_socket_alone(tmp_path, client):
    older = LinkServer(tmp_path / "a.sock", {})
    await older.__aenter__()
    async with LinkServer(tmp_path / "a.sock", HANDLERS, takes_over=True):
        await older.__aexit__()
        assert (await client.request("echo", {"text": "x"}, timeout_s=5))["said"] == "x"
