"""The typed client against the API itself."""

import asyncio
import hashlib
import hmac
import subprocess
import sys

import api_site
import pytest

from voiceedge.client import (
    ApiError,
    AsyncClient,
    Client,
    add_turn,
    call_back,
    change_conversation,
    close_conversation,
    issue_token,
    open_conversation,
    read_call,
    read_conversation,
    resolve_token,
    search_conversations,
    verified,
)


async def test_a_channel_does_its_work_by_either_client(tmp_path):
    async with api_site.opened(tmp_path) as site:
        key = await site.key()

        def by_hand() -> str:
            with Client(site.url, key) as client:
                made = client.send(open_conversation("kakao", "room-1", customer={"phone": "010-1234-5678"}))
                name = made["id"]
                client.send(add_turn(name, "customer", "안녕하세요"))
                slots = {"order": {"value": "A-1", "personal_data": "none"}}
                client.send(change_conversation(name, intent="delivery", slots=slots))
                call = client.send(call_back(name, "remind", number="010-1234-5678"))
                assert client.send(read_call(call["id"]))["state"] == "waiting"
                ticket = client.send(issue_token(name, "line"))
                resolved = client.send(resolve_token(ticket["token"], "line", "line-1"))
                assert resolved["conversation"]["slots"]["order"]["value"] == "A-1"
                assert client.send(close_conversation(name, outcome="solved"))["outcome"] == "solved"
                found = client.send(search_conversations(channel="kakao"))
                assert [one["id"] for one in found["conversations"]] == [name]
                with pytest.raises(ApiError) as refused:
                    client.send(read_conversation("nobody"))
                assert (refused.value.status, refused.value.code) == (404, "no_such_conversation")
                cursor, event = next(client.events(after="0"))
                assert (event["type"], cursor.isdigit()) == ("voiceedge.interaction.started", True)
                return name

        name = await asyncio.to_thread(by_hand)
        async with AsyncClient(site.url, key) as client:
            assert (await client.send(read_conversation(name)))["intent"] == "delivery"
            request = open_conversation("kakao", "room-2")
            assert await client.send(request) == await client.send(request)
            async for _, event in client.events(conversation=name, after="0"):
                assert event["subject"] == name
                break


async def test_events_go_on_after_a_refusal_that_is_for_now_and_end_with_one_that_is_for_good():
    event = b'id: 7\ndata: {"type": "x"}\n\n'
    answers = iter(
        [
            b"HTTP/1.1 429 x\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 503 x\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 x\r\nContent-Length: %d\r\n\r\n%s" % (len(event), event),
            b"HTTP/1.1 401 x\r\nContent-Length: 2\r\n\r\n{}",
        ]
        * 2
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(next(answers))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def by_hand() -> None:
        with Client(url, "key") as client:
            events = client.events()
            assert next(events) == ("7", {"type": "x"})
            with pytest.raises(ApiError):
                next(events)

    async with server, AsyncClient(url, "key") as client:
        await asyncio.to_thread(by_hand)
        events = client.events()
        assert await anext(events) == ("7", {"type": "x"})
        with pytest.raises(ApiError):
            await anext(events)


def test_a_signature_that_is_altered_or_old_is_none():
    secret, body = "whsec_x", b'{"id": "1"}'
    signature = hmac.new(secret.encode(), b"1000.1." + body, hashlib.sha256).hexdigest()
    headers = {"webhook-id": "1", "Webhook-Signature": f"t=1000,v1={signature}"}
    assert verified(secret, headers, body, now_s=1100)
    assert not verified(secret, headers, body + b" ", now_s=1100)
    assert not verified(secret, {**headers, "webhook-id": "2"}, body, now_s=1100)
    assert not verified("other", headers, body, now_s=1100)
    assert not verified(secret, headers, body, now_s=1400)
    for wrong in ("", "t=,v1=", "t=x,v1=y", f"v1={signature}", "t=１０００,v1=é"):
        assert not verified(secret, {**headers, "Webhook-Signature": wrong}, body, now_s=1100)


def test_the_client_needs_nothing_of_the_rest():
    code = "import sys, voiceedge.client; print([m for m in sys.modules if m.startswith('voiceedge.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name.startswith("voiceedge.client") for name in eval(done.stdout))
