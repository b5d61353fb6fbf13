"""Callers and those who are called for them: audio both ways, and whatever becomes of either leg."""

import asyncio
import re
from urllib.parse import quote

import numpy as np
import pytest
from peer import Peer, sdp
from rtp import RATE, strength, tone
from switching import CALLER_HZ, KIM_HZ, LEE_HZ, LONG_MS, hears, in_talk
from talk import now_ns, talk, until

from voiceedge.audio import wav

pytestmark = pytest.mark.slow


async def test_caller_and_agent_hear_each_other_and_the_caller_goes_on_when_the_agent_has_gone(switch, kim):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await until(lambda: strength(call.rtp.heard()[-2400:], 460) > 0)
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


async def test_the_caller_hanging_up_ends_the_agents_leg(switch, kim):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        await call.hang_up()
        await agent.ended()
        assert (await call.until("bridge.ended"))["ended_by"] == "caller"


async def test_the_caller_hanging_up_takes_a_call_back_that_rings(switch, kim):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer(180)
        await call.hang_up()
        await agent.asked_for("CANCEL")


@pytest.mark.parametrize(("status", "outcome"), [(486, "busy"), (603, "refused"), (480, "no_answer"), (500, "failed")])
async def test_why_nobody_answered_is_the_exit_taken(switch, kim, status, outcome):
    async with talk(switch, "1001") as call:
        await (await kim.incoming()).answer(status)
        assert (await call.over())["outcome"] == outcome


@pytest.mark.parametrize(("number", "outcome"), [("1005", "failed"), ("1007", "refused")])
async def test_who_is_not_known_or_not_allowed_is_not_dialled(switch, number, outcome):
    async with talk(switch, number) as call:
        assert (await call.over())["outcome"] == outcome


async def test_a_phone_that_rings_too_long_is_given_up(switch, kim):
    async with talk(switch, "1002") as call:
        agent = await kim.incoming()
        await agent.answer(180)
        await agent.asked_for("CANCEL")
        assert (await call.over())["outcome"] == "no_answer"


async def test_the_whisper_is_for_the_agent_alone(switch, kim):
    async with talk(switch, "1002") as call:
        agent = await kim.incoming()
        began = now_ns()
        await agent.answer()
        await until(lambda: agent.rtp.sound_ns(began))
        call.rtp.say(tone(CALLER_HZ, LONG_MS))
        whispered = await until(lambda: agent.rtp.silence_ns(began, for_ms=60) or hears(agent.rtp, CALLER_HZ))
        assert whispered
        await until(lambda: hears(agent.rtp, CALLER_HZ))
        heard = call.rtp.heard(began)[: RATE * 3]
        ringing = strength(heard, 440) + strength(heard, 480)
        assert ringing > 0.9, "the caller hears the ringing go on, and no word"
        await agent.bye()
        await call.over()


async def test_the_agent_takes_the_call_by_a_key_or_it_is_no_answer(switch, kim):
    async with talk(switch, "1004") as call:
        agent = await kim.incoming()
        await agent.answer()
        await until(agent.rtp.sound_ns)
        assert not call.of("bridge.started")
        await agent.press("1")
        await in_talk(call, agent)
    async with talk(switch, "1004") as call:
        agent = await kim.incoming()
        await agent.answer()
        assert (await call.over())["outcome"] == "no_answer"
        await agent.ended()


async def test_of_two_who_ring_the_first_to_answer_has_the_call(switch, kim, lee):
    async with talk(switch, "1003") as call:
        loser, winner = await kim.incoming(), await lee.incoming()
        await loser.answer(180)
        await winner.answer()
        await loser.asked_for("CANCEL")
        await in_talk(call, winner)
        assert (await call.until("bridge.started"))["agent"] == "lee"


async def test_of_two_who_ring_one_may_be_busy(switch, kim, lee):
    async with talk(switch, "1003") as call:
        await (await kim.incoming()).answer(486)
        winner = await lee.incoming()
        await winner.answer()
        await in_talk(call, winner)


async def test_a_number_goes_over_the_next_trunk_where_one_fails(switch, ports):
    async with (
        Peer(user="trunk", port=ports["first_trunk"]) as first,
        Peer(user="trunk", port=ports["second_trunk"]) as second,
        talk(switch, "1006") as call,
    ):
        refused = await first.incoming()
        await refused.answer(503)
        taken = await second.incoming()
        assert taken.invitation["from"].startswith(("<sip:0270001234@", '"0270001234" <sip:0270001234@'))
        assert "0212345678@" in taken.invitation.first
        await taken.answer()
        await in_talk(call, taken)
        started = await call.until("bridge.started")
        assert started["agent"] is None


async def test_keys_of_the_caller_reach_a_machine_at_the_other_end(switch, ports):
    async with Peer(user="trunk", port=ports["first_trunk"]) as trunk, talk(switch, "1006") as call:
        other = await trunk.incoming()
        await other.answer()
        await in_talk(call, other)
        await call.press("7")
        await until(lambda: any(packet.payload_type == 101 for packet in list(other.rtp.packets)))


async def test_what_the_other_side_sends_before_it_answers_is_heard(switch, kim):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        agent._listen_to(agent.invitation.body)
        offered = agent.media.formats[0]
        await agent.answer(183, sdp("127.0.0.1", agent.rtp.port, (offered,)))
        agent.rtp.say(tone(KIM_HZ, LONG_MS))
        await until(lambda: hears(call.rtp, KIM_HZ))
        assert not call.of("bridge.started")
        await agent.answer(486)
        assert (await call.over())["outcome"] == "busy"


async def test_whoever_is_on_hold_hears_music(switch, kim):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        await agent.reinvite("sendonly")
        held = now_ns()
        await until(lambda: len(call.rtp.heard(held)) > RATE and not hears(call.rtp, KIM_HZ))
        later = now_ns()  # what was under way has come
        await until(lambda: len(call.rtp.heard(later)) > RATE and np.abs(call.rtp.heard(later)[-RATE:]).max() > 500)
        assert not hears(agent.rtp, CALLER_HZ, later)
        await agent.reinvite("sendrecv")
        await in_talk(call, agent)


async def test_a_line_that_breaks_is_no_end_of_the_callers_call(switch, kim):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        agent.rtp.pause()  # as a phone that has lost its power
        assert (await call.until("bridge.ended"))["ended_by"] == "failed"
        assert (await call.over())["outcome"] == "failed"
        assert (await call.until("call.ended"))["cause"] == "flow"


async def test_both_sides_of_a_talk_are_recorded(switch, kim):
    async with talk(switch, "1008") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        await asyncio.sleep(1.0)  # of talk
        await agent.bye()
        started, ended = await call.until("recording.started"), await call.until("recording.ended")
        assert ended["error"] is None
        await call.over()
    sides, _ = wav.load_channels(switch.directory / "data" / "recordings" / started["path"])
    assert strength(sides[0], CALLER_HZ) > 0.9
    assert strength(sides[1], KIM_HZ) > 0.9


async def keyed(agent, keys):
    for key in keys:
        await agent.press(key, 80)


async def test_the_agent_sends_the_caller_on_by_keys(switch, kim, ports):
    async with Peer(user="trunk", port=ports["first_trunk"]) as trunk, talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        await keyed(agent, "*10212345678#")
        other = await trunk.incoming()
        await other.answer()
        await in_talk(call, other, LEE_HZ)
        await agent.ended()
        assert (await call.until("bridge.ended"))["ended_by"] == "transfer"
        await other.bye()
        assert (await call.over())["outcome"] == "talked"


async def test_the_agent_asks_first_then_all_talk_and_the_agent_leaves(switch, kim, ports):
    async with Peer(user="trunk", port=ports["first_trunk"]) as trunk, talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        await keyed(agent, "*20212345678#")
        other = await trunk.incoming()
        await other.answer()
        other.rtp.say(tone(LEE_HZ, 60_000))
        await until(lambda: hears(agent.rtp, LEE_HZ))
        assert not hears(call.rtp, LEE_HZ)
        await keyed(agent, "*3")
        call.rtp.hush()
        call.rtp.say(tone(CALLER_HZ, 60_000))
        agent.rtp.hush()
        agent.rtp.say(tone(KIM_HZ, 60_000))
        for rtp, tones in (
            (call.rtp, (KIM_HZ, LEE_HZ)), (agent.rtp, (CALLER_HZ, LEE_HZ)), (other.rtp, (CALLER_HZ, KIM_HZ)),
        ):  # fmt: skip
            await until(lambda rtp=rtp, tones=tones: all(hears(rtp, hertz) for hertz in tones))
        await agent.bye()
        await until(lambda: hears(call.rtp, LEE_HZ) and not hears(call.rtp, KIM_HZ))
        await other.bye()
        assert (await call.over())["outcome"] == "talked"


async def test_whoever_was_asked_is_busy_and_the_agent_is_back_with_the_caller(switch, kim, ports):
    async with Peer(user="trunk", port=ports["first_trunk"]) as trunk, talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        await keyed(agent, "*20212345678#")
        await (await trunk.incoming()).answer(486)
        await in_talk(call, agent)


async def test_keys_cannot_send_a_caller_where_nobody_may_call(switch, kim):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        await keyed(agent, "*10019005550100#")
        await in_talk(call, agent)


def caller_of(call):
    return re.search(r"<sip:([^@>]+)@", call.invitation["from"])[1]


@pytest.mark.parametrize(
    ("user", "headers", "seen"),
    [
        ("01012345678", {}, "01012345678"),
        ("anonymous", {}, "anonymous"),
        ("01012345678", {"Privacy": "id;critical"}, "anonymous"),
    ],
)
async def test_the_agents_phone_shows_who_calls_unless_they_hide_it(switch, kim, user, headers, seen):
    async with talk(switch, "1001", user=user, headers=headers) as call:
        agent = await kim.incoming()
        assert caller_of(agent) == seen
        await agent.answer(486)
        assert (await call.over())["outcome"] == "busy"


async def test_to_whom_a_caller_is_sent_on_sees_the_caller(switch, kim, lee):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        assert (await refer(agent, lee.uri)).status == 202
        other = await lee.incoming()
        assert caller_of(other) == "01012345678"
        await other.answer()
        await agent.ended()


async def refer(agent, target):
    return await agent.send("REFER", {"Refer-To": f"<{target}>", "Referred-By": f"<{agent.peer.uri}>"})


async def test_the_agents_phone_sends_the_caller_on(switch, kim, lee):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        assert (await refer(agent, lee.uri)).status == 202
        other = await lee.incoming()
        await other.answer()
        await in_talk(call, other, LEE_HZ)
        await until(lambda: "200" in [n for n in agent.requests if n.method == "NOTIFY"][-1].body)
        await agent.ended()
        await call.until("bridge.ended", ended_by="transfer")


async def test_the_agents_phone_joins_the_caller_with_whom_it_has_asked(switch, kim, lee):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        await agent.reinvite("sendonly")
        asking = await kim.invite(switch.uri("1009"))
        await asking.final()
        other = await lee.incoming()
        await other.answer()
        await in_talk(asking, other, LEE_HZ)
        replaces = quote(dialog_of(asking), safe="")
        assert (await refer(agent, f"{switch.uri('1009')}?Replaces={replaces}")).status == 202
        await in_talk(call, other, LEE_HZ)
        await asking.ended()
        await agent.ended()
        await other.bye()
        assert (await call.over())["outcome"] == "talked"


async def test_whoever_holds_a_caller_or_is_held_by_one_hears_music(switch, kim):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        await call.call.reinvite("sendonly")
        held = now_ns()
        await until(lambda: len(agent.rtp.heard(held)) > RATE and not hears(agent.rtp, CALLER_HZ))
        await until(lambda: np.abs(agent.rtp.heard(held)[-RATE // 2 :]).max() > 300)
        await call.call.reinvite("sendrecv")
        await in_talk(call, agent)


def dialog_of(call):
    """A Replaces value for the other side of this peer's call."""
    ours, theirs = (re.search(r"tag=([^;>]+)", end)[1] for end in (call._dialog.remote, call._dialog.local))
    return f"{call.id};to-tag={ours};from-tag={theirs}"


async def test_another_phone_takes_the_agents_call_over(switch, kim, lee):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        heir = await lee.invite(switch.uri("1001"), headers={"Replaces": dialog_of(agent)})
        assert (await heir.final()).status == 200
        await agent.ended()
        await in_talk(call, heir, LEE_HZ)
        await heir.bye()
        assert (await call.over())["outcome"] == "talked"


async def test_somebody_outside_may_send_no_caller_on(switch, lee, ports):
    async with Peer(user="trunk", port=ports["first_trunk"]) as trunk, talk(switch, "1006") as call:
        other = await trunk.incoming()
        await other.answer()
        await in_talk(call, other)
        await keyed(other, "*10212345678#")
        assert (await refer(other, lee.uri)).status == 603
        thief = await lee.invite(switch.uri("1006"), headers={"Replaces": dialog_of(other)})
        assert (await thief.final()).status == 403
        await in_talk(call, other)


async def test_a_caller_may_send_nobody_on(switch, kim, lee):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        assert (await refer(call.call, lee.uri)).status == 603
        await in_talk(call, agent)


async def test_a_phone_may_not_send_a_caller_anywhere(switch, kim):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        assert (await refer(agent, "sip:900@198.51.100.9")).status == 603
        await in_talk(call, agent)


async def churn(switch, agents, rng, events):
    """A call that somebody ends somewhere."""
    delays = rng.uniform(0, 0.4, 3)
    async with talk(switch, "1003" if rng.random() < 0.5 else "1001", events=events):
        await asyncio.sleep(delays[0])
        if rng.random() < 0.3:
            return
        while not agents.empty():
            agent = agents.get_nowait()
            agent.peer.spawn(agent.answer(int(rng.choice([180, 200, 200, 486, 503]))))
        await asyncio.sleep(delays[1])


async def test_whatever_becomes_of_calls_nothing_of_them_is_left(switch, kim, lee):
    rng, agents = np.random.default_rng(7), asyncio.Queue()
    kim.on_invite = lee.on_invite = agents.put_nowait
    async with switch.events() as events:
        for _ in range(12):
            await churn(switch, agents, rng, events)
    kim.on_invite = lee.on_invite = None
    await asyncio.to_thread(switch.until, lambda status: not status["processes"]["worker-1"].get("calls"))
    log = switch.log.read_text()
    assert "line_failed" not in log
    assert "call_failed" not in log
    async with asyncio.timeout(90):
        while not await three_lines_serve(switch, kim, lee):
            kim._incoming, lee._incoming = asyncio.Queue(), asyncio.Queue()


async def three_lines_serve(switch, kim, lee):
    """Of the four there are. A phone that said nothing at all kept its own until its INVITE had timed out."""
    async with talk(switch, "1003") as call:
        try:
            async with asyncio.timeout(10):
                first, second = await kim.incoming(), await lee.incoming()
        except TimeoutError:
            return False
        await first.answer(180)
        await second.answer()
        await first.asked_for("CANCEL")
        await in_talk(call, second)
        return True
