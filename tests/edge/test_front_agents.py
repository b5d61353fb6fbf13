"""Agents whose phones have registered at the front: rung, joined with a caller, and sending one on to each other."""

import asyncio
import re

import pytest
from front_rig import needs_kamailio
from peer import Peer
from registering import register
from rtp import RATE, strength, tone
from service import RunningService

pytestmark = [pytest.mark.slow, needs_kamailio]

PASSWORD = "a-phone-of-the-test"
CALLER_HZ, AGENT_HZ = 700.0, 1100.0


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    directory = tmp_path_factory.mktemp("agents")
    flows = directory / "flows"
    flows.mkdir()
    (flows / "main.yaml").write_text(
        "flow: main\nlanguage: en\nstart: a\nsteps:\n  a: {dial: kim, next: b, failed: c}\n"
        "  b: {hang_up: , outcome: talked}\n  c: {hang_up: , outcome: failed}\n"
    )
    secret = directory / "secret"
    secret.write_text(PASSWORD)
    phones = "".join(
        f'[agents.{name}]\nphone = "{phone}"\npassword_file = "{secret}"\n'
        for name, phone in (("kim", 101), ("lee", 102))
    )
    plan = directory / "switch.toml"
    plan.write_text(f'{phones}[trunks.carrier]\naddresses = ["127.0.0.1"]\n[[routes]]\ncalled = "*"\nflow = "main"\n')
    tables = {
        "switch": {"plan": str(plan)},
        "front": {"enabled": True, "inner_port": 0, "flood_per_s": 1000},
        "workers": {"media_priority": "normal"},
        "speech": {"enabled": False},
    }
    with RunningService(directory, flows, tables) as running:
        yield running


async def phone(peer, service):
    """Registered at the front."""
    port = service.status["processes"]["front"]["sip_port"]
    assert (await register(peer, port, PASSWORD)).status == 200


async def hears(rtp, hertz):
    async with asyncio.timeout(60):
        while strength(rtp.heard()[-RATE // 5 :], hertz) < 0.2:  # noqa: ASYNC110 - packets set no event
            await asyncio.sleep(0.02)


async def joined(call, agent, hertz=AGENT_HZ):
    for rtp, tone_hz in ((call.rtp, CALLER_HZ), (agent.rtp, hertz)):
        rtp.hush()
        rtp.say(tone(tone_hz, 120_000))
    await hears(agent.rtp, CALLER_HZ)
    await hears(call.rtp, hertz)


async def test_a_registered_phone_rings_talks_and_sends_the_caller_on_to_another(service):
    async with Peer(user="101") as kim, Peer(user="102") as lee, Peer() as caller:
        await phone(kim, service)
        await phone(lee, service)
        call = await caller.invite(service.uri("0215880000"))
        assert (await call.final()).status == 200
        agent = await kim.incoming()
        await agent.answer(180)
        await agent.answer()
        await joined(call, agent)
        answer = await agent.send("REFER", {"Refer-To": "<sip:102@voiceedge>"})
        assert answer.status == 202
        other = await lee.incoming()
        await other.answer()
        await joined(call, other, 1900.0)
        await agent.ended()
        await other.bye()
        await call.ended()


def seen_by(call):
    return re.search(r"<sip:([^@>]+)@", call.invitation["from"])[1]


async def test_an_agent_sees_the_caller_and_whoever_is_asked_the_colleague(service):
    async with Peer(user="101") as kim, Peer(user="102") as lee, Peer(user="0212345678") as caller:
        await phone(kim, service)
        await phone(lee, service)
        call = await caller.invite(service.uri("0215880000"))
        assert (await call.final()).status == 200
        agent = await kim.incoming()
        assert seen_by(agent) == "0212345678"
        await agent.answer()
        await joined(call, agent)
        for key in "*2102#":
            await agent.press(key, 80)
        asked = await lee.incoming()
        assert seen_by(asked) == "101"
        await asked.answer(486)
        await call.bye()
        await agent.ended()


async def test_a_phone_that_is_not_there_leads_to_an_exit_of_the_flow(service):
    async with Peer() as caller:
        call = await caller.invite(service.uri("0215880000"))
        assert (await call.final()).status == 200
        await call.ended()
