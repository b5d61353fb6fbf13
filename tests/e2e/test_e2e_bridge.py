"""Callers and those who are called for them: audio both ways, and whatever becomes of either leg."""

import asyncio
import socket

import numpy as np
import pytest
from peer import Peer
from rtp import RATE, tone
from service import RunningService
from talk import now_ns, talk, until

pytestmark = pytest.mark.slow

CALLER_HZ, KIM_HZ, LEE_HZ = 700.0, 1100.0, 1900.0
EXITS = ("talked", "busy", "no_answer", "refused", "failed")
DIALS = {
    "1001": "dial: kim",
    "1002": "dial: kim, ring_s: 5, whisper: A customer with a question about an order.",
    "1003": "dial: [kim, lee]",
    "1004": "dial: kim, whisper: Press one., accept: true, ring_s: 5",
    "1005": "dial: nobody",
    "1006": 'dial: "02-1234-5678"',
    "1007": 'dial: "+1 900 555 0100"',
    "1008": "dial: kim, recorded: true",
}


def free_ports(count):
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def ports():
    return dict(zip(("kim", "lee", "first_trunk", "second_trunk"), free_ports(4), strict=True))


@pytest.fixture(scope="module")
def switch(tmp_path_factory, ports):
    """One worker alone, whose agents are whole addresses."""
    directory = tmp_path_factory.mktemp("switch")
    flows = directory / "flows"
    flows.mkdir()
    for number, step in {**DIALS, "main": "dial: kim"}.items():
        exits = ", ".join(f"{'next' if exit_ == 'talked' else exit_}: {exit_}" for exit_ in EXITS)
        ends = "\n".join(f"  {exit_}: {{hang_up: }}" for exit_ in EXITS)
        name = f"f{number}" if number.isdigit() else number
        text = f"flow: {name}\nlanguage: en\nstart: a\nsteps:\n  a: {{{step}, {exits}}}\n{ends}\n"
        (flows / f"{name}.yaml").write_text(text, encoding="utf-8")
    plan = directory / "switch.toml"
    agents = "\n".join(f'[agents.{name}]\nphone = "sip:{name}@127.0.0.1:{ports[name]}"\n' for name in ("kim", "lee"))
    trunks = "\n".join(
        f'[trunks.{name}]\nhost = "127.0.0.1"\nport = {ports[name]}\npriority = {rank}\ncaller_id = "0215880000"\n'
        for rank, name in enumerate(("first_trunk", "second_trunk"), 1)
    )
    plan.write_text(f"{agents}\n{trunks}\n", encoding="utf-8")
    settings = {
        "switch": {"plan": str(plan)},
        "front": {"enabled": False},
        "flows": {"routes": {}},
        "flows.routes": {number: f"f{number}" for number in DIALS},
        "speech": {"enabled": False},
        "recording": {"enabled": True},
        "sip": {"no_rtp_s": 3.0},
        "log": {"level": "debug"},
    }
    del settings["flows"]
    with RunningService(directory, flows, settings) as service:
        yield service


@pytest.fixture
async def kim(ports):
    async with Peer(user="kim", port=ports["kim"]) as peer:
        yield peer


@pytest.fixture
async def lee(ports):
    async with Peer(user="lee", port=ports["lee"]) as peer:
        yield peer


def strength(pcm, hertz):
    """How much of the sound's power lies around this frequency: 0 … 1; 0 of silence."""
    if len(pcm) < RATE // 10 or np.abs(pcm).max() < 100:
        return 0.0
    power = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) ** 2
    near = np.abs(np.fft.rfftfreq(len(pcm), 1 / RATE) - hertz) < 30
    return float(power[near].sum() / power.sum())


def hears(rtp, hertz, since_ns=0):
    """Whether the last 200 ms that came since then are this tone, alone or with others."""
    return strength(rtp.heard(since_ns)[-RATE // 5 :], hertz) > 0.2


async def in_talk(call, agent, hertz=KIM_HZ):
    """Both hear each other: each says a tone until the other has heard it."""
    for speaker, tone_hz in ((call.rtp, CALLER_HZ), (agent.rtp, hertz)):
        speaker.hush()
        speaker.say(tone(tone_hz, 20_000))
    await until(lambda: hears(agent.rtp, CALLER_HZ), 10)
    await until(lambda: hears(call.rtp, hertz), 10)


async def test_caller_and_agent_hear_each_other_and_the_caller_goes_on_when_the_agent_has_gone(switch, kim):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await until(lambda: strength(call.rtp.heard()[-2400:], 460) > 0, 10)
        await agent.answer(180)
        await agent.answer()
        await in_talk(call, agent)
        assert not hears(call.rtp, CALLER_HZ), "nobody hears themselves"
        started = await call.until("bridge.started")
        assert (started["agent"], started["by"]) == ("kim", "dial")
        await agent.bye()
        ended = await call.until("bridge.ended")
        assert ended["ended_by"] == "other"
        assert ended["talk_ms"] > 0
        assert (await call.over())["outcome"] == "talked"
