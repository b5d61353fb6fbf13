"""PostgreSQL gone for a while under a running service: first it stands still, then it is dead, then it is back."""

import asyncio
import json
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiomqtt
import pytest
from peer import Peer
from postgres import PostgresServer
from talk import until

FROZEN_S, DEAD_S = 20, 8  # longer than a transaction may take, and together than a node's lease


@pytest.fixture
def server():
    with PostgresServer() as server:
        yield server


@asynccontextmanager
async def messages(url):
    """Each event as it comes, also one that comes again: by call, in order."""
    calls = defaultdict(list)
    async with aiomqtt.Client(urlsplit(url).hostname, urlsplit(url).port) as client:
        await client.subscribe("voiceedge/+/v1/events/#", qos=1)

        async def collect():
            async for message in client.messages:
                event = json.loads(message.payload)
                calls[event["data"]["call_id"]].append((event["type"].removeprefix("voiceedge."), event["sequence"]))

        task = asyncio.create_task(collect())
        yield calls
        task.cancel()


async def answered(peer, service):
    call = await peer.invite(service.uri("4000"))
    assert (await call.final()).status == 200
    return call


async def hear_out(call):
    """The flow asks for a key, and ends."""
    await until(call.rtp.sound_ns)
    await call.press("9")
    await call.ended()


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_calls_go_on_without_the_database_and_nothing_is_lost_or_comes_twice(light, server, mosquitto):
    name = server.new_database()
    store = {"url": server.url(name), "password_file": str(server.password_file)}
    with light(store=store, mqtt={"url": mosquitto.url}) as service:
        control = service.pid("control")
        async with messages(mosquitto.url) as calls, Peer() as peer:
            before = await answered(peer, service)
            await until(lambda: "step.entered" in dict(calls[before.id]))
            server.freeze()
            thaws_at = time.monotonic() + FROZEN_S
            await hear_out(before)
            frozen = await answered(peer, service)
            await hear_out(frozen)
            await asyncio.sleep(thaws_at - time.monotonic())
            server.stop()
            dead = await answered(peer, service)
            await hear_out(dead)
            assert all("call.ended" not in dict(events) for events in calls.values())
            await asyncio.sleep(DEAD_S)
            server.start()
            made = [call.id for call in (before, frozen, dead)]
            await until(lambda: all("call.ended" in dict(calls[call]) for call in made))
        for call in made:
            assert calls[call][0][0] == "call.started"
            assert [int(sequence) for _, sequence in calls[call]] == list(range(1, len(calls[call]) + 1))
        assert service.pid("control") == control
        waiting = "SELECT count(*) FROM outbox WHERE published_at_ms IS NULL"
        assert await until(lambda: server.execute(waiting, name) == "0")
        assert server.password not in service.log.read_text()
