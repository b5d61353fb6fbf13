"""Callers who wait for agents, and what becomes of them; and those who leave a message."""

import asyncio

import numpy as np
import pytest
from peer import Peer
from rtp import RATE, strength
from switching import in_talk
from talk import now_ns, talk, until

from voiceedge.audio import synthesis, wav
from voiceedge.audio.prompts import PromptLibrary
from voiceedge.config import Prompts
from voiceedge.edge.between.link import LinkClient
from voiceedge.flow.call import Utterance

pytestmark = pytest.mark.slow


class Control:
    """Control, as agents' pages and commands ask it."""

    def __init__(self, switch, name="control"):
        self._link = LinkClient(switch.directory / "run" / f"{name}.sock")

    async def ask(self, request, **body):
        return await self._link.request(request, body, timeout_s=30)

    async def state(self, agent):
        return next(one["state"] for one in (await self.ask("agents"))["agents"] if one["name"] == agent)

    async def close(self):
        await self._link.close()


@pytest.fixture
async def control(switch):
    control = Control(switch)
    yield control
    for agent in ("kim", "lee"):
        await control.ask("agent_state", agent=agent, state="logged_out")
    await control.close()


@pytest.fixture
async def kim_works(control):
    await control.ask("agent_login", code="1")


async def waits(call):
    """Music or an announcement, for as long as it takes to be sure."""
    began = now_ns()
    await until(lambda: len(call.rtp.heard(began)) > RATE and np.abs(call.rtp.heard(began)[-RATE:]).max() > 300)


@pytest.mark.usefixtures("kim_works")
async def test_whoever_waits_talks_with_the_agent_and_the_flow_goes_on(switch, kim, control):
    async with talk(switch, "2001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        started = await call.until("bridge.started")
        assert (started["agent"], started["queue"], started["by"]) == ("kim", "sales", "queue")
        await until_state(control, "kim", "talking")
        await agent.bye()
        assert (await call.over())["outcome"] == "talked"
    await until_state(control, "kim", "available")


async def until_state(control, agent, state):
    for _ in range(600):
        if await control.state(agent) == state:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{agent} is {await control.state(agent)}, not {state}")


async def test_music_plays_until_an_agent_comes(switch, kim, control):
    await control.ask("agent_login", code="1")
    await control.ask("agent_state", agent="kim", state="break", reason="lunch")
    async with talk(switch, "2001") as call:
        await waits(call)
        assert not call.of("bridge.started")
        await control.ask("agent_state", agent="kim", state="available")
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)


@pytest.mark.usefixtures("kim_works")
async def test_an_agents_line_that_breaks_brings_the_caller_back_to_the_queue(switch, kim, lee, control):
    async with talk(switch, "2001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        await control.ask("agent_login", code="2")
        agent.rtp.pause()  # as a phone that has lost its power
        other = await lee.incoming()
        await other.answer()
        await in_talk(call, other)
        await call.until("bridge.ended")
        assert [end["ended_by"] for end in call.of("bridge.ended")] == ["failed"]
        await other.bye()
        assert (await call.over())["outcome"] == "talked"


@pytest.mark.usefixtures("kim_works")
async def test_who_is_busy_is_left_alone_and_the_next_is_rung(switch, kim, lee, control):
    await control.ask("agent_login", code="2")
    async with talk(switch, "2001") as call:
        first = asyncio.ensure_future(kim.incoming())
        second = asyncio.ensure_future(lee.incoming())
        done, _ = await asyncio.wait((first, second), return_when=asyncio.FIRST_COMPLETED)
        await done.pop().result().answer(486)
        agent = await (second if first.done() else first)
        await agent.answer()
        await in_talk(call, agent)


@pytest.mark.usefixtures("kim_works")
async def test_who_hangs_up_while_waiting_is_rung_for_no_more(switch, kim):
    async with talk(switch, "2001") as call:
        agent = await kim.incoming()
        await agent.answer(180)
        await call.hang_up()
        await agent.asked_for("CANCEL")


async def test_nobody_there_and_a_wait_too_long_have_their_exits(switch, control):
    async with talk(switch, "2002") as call:
        assert (await call.over())["outcome"] == "closed"
    await control.ask("agent_login", code="1")
    await control.ask("agent_state", agent="kim", state="break", reason="lunch")
    async with talk(switch, "2002") as call:
        assert (await call.over())["outcome"] == "timeout"


async def test_who_presses_star_leaves(switch, control):
    await control.ask("agent_login", code="1")
    await control.ask("agent_state", agent="kim", state="break", reason="lunch")
    async with talk(switch, "2001") as call:
        await waits(call)
        call.rtp.press("*")
        assert (await call.over())["outcome"] == "left"


async def asks_to_be_called_back(switch, control):
    """While nobody is free."""
    await control.ask("agent_login", code="1")
    await control.ask("agent_state", agent="kim", state="break", reason="lunch")
    async with talk(switch, "2001") as call:
        await waits(call)
        await call.press("#")
        await waits(call)
        call.rtp.press("1")
        assert (await call.over())["outcome"] == "call_back"


async def test_who_wants_to_be_called_back_confirms_the_number_and_is_called(switch, kim, control, ports):
    await asks_to_be_called_back(switch, control)
    (queue,) = [one for one in (await control.ask("queues"))["queues"] if one["name"] == "sales"]
    assert queue["call_backs"] == 1
    async with Peer(user="trunk", port=ports["first_trunk"]) as trunk, switch.events() as events:
        await control.ask("agent_state", agent="kim", state="available")
        agent = await kim.incoming()
        await agent.answer()
        customer = await trunk.incoming()
        assert "01012345678@" in customer.invitation.first
        await customer.answer()
        await in_talk(customer, agent)
        await until_state(control, "kim", "talking")
        await customer.bye()
        await agent.ended()
        started, ended = await events.until("call.started"), await events.until("call.ended")
        assert (started["direction"], started["called"]) == ("out", "***5678")
        assert ended["call_id"] == started["call_id"]
    await until_state(control, "kim", "available")


@pytest.mark.usefixtures("kim_works")
async def test_an_agent_on_the_phone_is_rung_by_no_queue_until_that_is_over(switch, kim, control):
    async with talk(switch, "1001") as own, talk(switch, "2001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(own, agent)
        await waits(call)
        (view,) = [one for one in (await control.ask("agents"))["agents"] if one["name"] == "kim"]
        assert (view["state"], view["on_a_call"], view["missed"]) == ("available", True, 0)
        await agent.bye()
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        await agent.bye()
        assert (await call.over())["outcome"] == "talked"


async def test_a_call_back_is_listed_while_it_lasts_and_can_be_ended(switch, kim, control, ports):
    await asks_to_be_called_back(switch, control)
    (waiting,) = (await control.ask("queue_show", queue="sales"))["places"]
    assert (waiting["state"], waiting["call_back"]) == ("waiting", True)
    worker = Control(switch, "worker-1")
    async with Peer(user="trunk", port=ports["first_trunk"]) as trunk, switch.events() as events:
        await control.ask("agent_state", agent="kim", state="available")
        agent = await kim.incoming()
        assert "<sip:01012345678@" in agent.invitation["from"]
        (listed,) = (await worker.ask("calls"))["calls"]
        assert (listed["caller"], listed["step"], listed["answered"]) == ("***5678", "call-back", False)
        await agent.answer()
        customer = await trunk.incoming()
        await customer.answer()
        await in_talk(customer, agent)
        (listed,) = (await worker.ask("calls"))["calls"]
        assert (listed["with"], listed["answered"]) == ("kim", True)
        conversation = listed["conversation"]
        assert (await worker.ask("hang_up", conversation=conversation))["ended"] == [conversation]
        await customer.ended()
        await agent.ended()
        assert (await events.until("call.ended"))["outcome"] == "called_back"
        assert (await worker.ask("calls"))["calls"] == []
    await worker.close()
    await until_state(control, "kim", "available")
    assert (await control.ask("queue_show", queue="sales"))["places"] == []


async def test_control_may_be_away_while_somebody_waits(switch, kim, control):
    await control.ask("agent_login", code="1")
    await control.ask("agent_state", agent="kim", state="break", reason="lunch")
    async with talk(switch, "2001") as call:
        await waits(call)
        pid = switch.pid("control")
        switch.kill("control")
        await asyncio.to_thread(switch.replaced, "control", pid)
        await waits(call)
        await control.ask("agent_state", agent="kim", state="available")
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)


def spoken(tmp_path, text):
    """By the voice that is always there."""
    library = PromptLibrary(tmp_path, synthesis.choose(Prompts(engine="espeak"), tmp_path))
    (piece,) = library.pieces(Utterance(text, "ko"))
    return library.render(piece)


def beeped(rtp):
    """Whether the beep has come, a moment ago or some time ago."""
    heard = rtp.heard()
    return any(strength(heard[at : at + RATE // 5], 1000.0) > 0.9 for at in range(0, len(heard), RATE // 10))


async def test_a_message_is_on_file_and_told(switch, tmp_path):
    message = spoken(tmp_path, "내일 오전에 전화해 주세요")
    async with talk(switch, "3001") as call:
        await call.spoken_to()
        await until(lambda: beeped(call.rtp))
        await call.silence(now_ns(), for_ms=300)
        said = call.rtp.say(message)
        await until(said.done.is_set)
        await asyncio.sleep(0.5)  # on its way through jitter buffers
        call.rtp.press("#")
        left = await call.until("voicemail.left")
        assert (await call.over())["outcome"] == "kept"
    assert left["mailbox"] == "sales"
    sides, _ = wav.load_channels(switch.directory / "data" / "voicemail" / left["path"])
    assert len(sides[0]) > len(message)
    assert np.abs(sides[0].astype(int)).max() > 3000


async def test_who_says_nothing_leaves_no_message(switch):
    async with talk(switch, "3001") as call:
        await until(lambda: beeped(call.rtp))
        await asyncio.sleep(0.6)
        call.rtp.press("#")
        assert (await call.over())["outcome"] == "empty"
        assert not call.of("voicemail.left")
