"""Processes killed in mid-call, and a service told to stop: calls and events outlive them."""

import asyncio
import os
import signal

import pytest
from peer import Peer
from talk import now_ns, talk

pytestmark = pytest.mark.slow


async def test_control_killed_in_mid_call_costs_no_event(service):
    async with talk(service) as call:
        await call.entered("menu")
        pid = service.pid("control")
        service.kill("control")
        await call.press("2")
        await asyncio.to_thread(service.replaced, "control", pid)
        await call.entered("more")
        await call.press("2")
        await call.call.ended()
        ended = await call.over()
        assert ended["outcome"] == "said_goodbye"
        assert len(call.events) == len({event["id"] for event in call.events})


async def test_speech_killed_in_mid_call_leaves_the_keys(service):
    async with talk(service) as call:
        await call.entered("menu")
        pid = service.pid("speech")
        service.kill("speech")
        await call.press("1")
        await call.entered("delivery")
        await call.entered("more")
        assert await call.spoken_to(now_ns())
        await asyncio.to_thread(service.replaced, "speech", pid)


@pytest.mark.speech
async def test_speech_killed_in_mid_call_leaves_the_caller_who_speaks_with_an_answer(service, caller_says):
    words = caller_says("아니요")
    async with talk(service, "7000") as call:
        await call.entered("question")
        pid = service.pid("speech")
        os.kill(pid, signal.SIGSTOP)
        call.rtp.say(words)
        await call.silence(now_ns(), for_ms=400)
        service.kill("speech")
        turn = await call.until("turn.heard", by="speech")
        assert turn["decision"] in {"confirm", "reject"}, "Vosk alone is never sure"
        await asyncio.to_thread(service.replaced, "speech", pid)
        await call.press("2")
        await call.until("turn.heard", by="keys")


async def test_a_killed_worker_is_replaced_on_its_port_and_the_next_call_is_served(service):
    uri, pid = service.uri(), service.pid("worker-1")
    async with Peer() as peer:
        lost = await peer.invite(uri)
        assert (await lost.final()).status == 200
        service.kill("worker-1")
        await asyncio.to_thread(service.replaced, "worker-1", pid)
    assert service.uri() == uri
    async with talk(service) as call:
        await call.entered("menu")
        assert await call.spoken_to()


async def test_after_a_power_cut_everybody_is_told_that_its_calls_are_over(light, mosquitto):
    with light(mqtt={"url": mosquitto.url}) as service:
        async with service.events() as events, Peer() as peer:
            call = await peer.invite(service.uri())
            assert (await call.final()).status == 200
            await events.until("step.entered", lambda data: data["step"] == "menu")
            service.end_suddenly()
            await asyncio.to_thread(service.start)
            ended = await events.until("call.ended")
            assert (ended["cause"], ended["reason"]) == ("failed", "the worker of this call is gone")
            assert [leg["talk_ms"] > 0 for leg in events.of("leg.ended")] == [True]
            async with talk(service, events=events) as again:
                await again.entered("menu")
        assert len(events.of("call.ended")) == 2
