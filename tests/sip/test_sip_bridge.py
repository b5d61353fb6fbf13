"""Legs of our own placing, and legs that hear each other: what is said at one end comes out at the other."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from peer import Peer, PeerCall, sdp
from rtp import PCMA, PCMU, tone
from served import Server, until

RecordProperty = Callable[[str, object], None]

HIGH, LOW = 1000, 450  # Hz
LONG_MS = 60_000  # longer than anybody listens
TRIES = 50


async def answered(server: Server, peer: Peer, **options: object) -> tuple[PeerCall, int]:
    """A call that came in."""
    call = await peer.invite(server.uri("manual"), **options)
    leg = (await server.event("Incoming", id=call.id))["leg"]
    await server.do("answer", leg=leg)
    await server.event("Answered", leg)
    return call, leg


async def placed(server: Server, peer: Peer, body: str | None = None) -> tuple[PeerCall, int]:
    """A call of ours that was answered."""
    leg = await server.do("call", peer.uri, {})
    call = await peer.incoming()
    await call.answer(200, body)
    await server.event("Answered", leg)
    return call, leg


def strength(pcm: np.ndarray, hertz: float) -> float:
    """How much of a tone there is (peak, full scale 1.0); exact where 20 ms hold whole waves."""
    return float(2 * abs(np.mean(pcm / 32768 * np.exp(-2j * np.pi * hertz * np.arange(len(pcm)) / 8000))))


async def heard(call: PeerCall, hertz: float, ms: int = 200) -> float:
    """The strength of a tone in what comes from now on: of most packets, for a busy machine may lose one."""
    first = len(call.rtp.packets)
    await until(lambda: len(call.rtp.packets) - first >= ms // 20)
    return float(np.median([strength(packet.pcm, hertz) for packet in list(call.rtp.packets)[first:]]))


async def hears(call: PeerCall, hertz: float, level: float, rel: float = 0.1) -> bool:
    """Whether a tone is as strong as this, and silence as silent, once what is under way has come."""
    about = pytest.approx(level, rel=rel, abs=0.01)
    for _ in range(TRIES):
        if (found := await heard(call, hertz)) == about:
            return True
    raise AssertionError(f"{hertz} Hz: {found} instead of {about}")


async def test_both_ends_of_a_bridge_hear_each_other_at_their_level(server: Server) -> None:
    async with Peer() as customer, Peer() as agent:
        one, leg = await answered(server, customer)
        two, other = await placed(server, agent)
        one.rtp.say(tone(HIGH, LONG_MS, 0.3))
        two.rtp.say(tone(LOW, LONG_MS, 0.2))
        assert await heard(two, HIGH) < 0.01
        await server.do("bridge", other, leg=leg)
        assert await hears(two, HIGH, 0.3)
        assert await hears(one, LOW, 0.2)
        assert await heard(one, HIGH) < 0.01  # nobody hears himself
        await server.do("unbridge", other, leg=leg)
        assert await hears(two, HIGH, 0.0)
        await server.do("unbridge", other, leg=leg)
        await one.bye()
        await two.bye()


async def test_three_bridges_are_a_conference_and_one_who_leaves_is_missed_by_nobody(server: Server) -> None:
    async with Peer() as first, Peer() as second, Peer() as third:
        legs, calls = [], []
        for peer, hertz in ((first, 500), (second, 900), (third, 1500)):
            call, leg = await answered(server, peer)
            call.rtp.say(tone(hertz, LONG_MS, 0.1))
            calls.append(call)
            legs.append(leg)
        for one, other in ((0, 1), (0, 2), (1, 2)):
            await server.do("bridge", legs[other], leg=legs[one])
        for call, others, own in zip(calls, ((900, 1500), (500, 1500), (500, 900)), (500, 900, 1500), strict=True):
            for hertz in others:
                assert await hears(call, hertz, 0.1, rel=0.15)
            assert await heard(call, own) < 0.01
        await server.do("unbridge", legs[1], leg=legs[0])
        await server.do("hang_up", leg=legs[1])
        await server.event("Ended", legs[1])
        assert await hears(calls[0], 1500, 0.1, rel=0.15)
        await server.do("unbridge", legs[1], leg=legs[0])  # harmless
        with pytest.raises(RuntimeError, match="LegEndedError"):
            await server.do("bridge", legs[1], leg=legs[0])
        await calls[0].bye()
        await calls[2].bye()


async def test_a_prompt_on_one_leg_is_whispered_to_its_side_alone(server: Server) -> None:
    async with Peer() as customer, Peer() as agent:
        one, leg = await answered(server, customer)
        two, other = await answered(server, agent)
        await server.do("bridge", other, leg=leg)
        await server.do("play", leg=other)  # 440 Hz
        await until(two.rtp.sound_ns)
        assert await heard(two, 440) > 0.2
        assert await heard(one, 440) < 0.01
        await one.bye()
        await two.bye()


async def test_a_bridge_outlives_hold_and_a_new_address(server: Server) -> None:
    """RFC 3264, 8: each new offer may make the audio stream anew."""
    async with Peer() as customer, Peer() as agent:
        one, leg = await answered(server, customer)
        two, other = await placed(server, agent)
        one.rtp.say(tone(HIGH, LONG_MS, 0.3))
        two.rtp.say(tone(LOW, LONG_MS, 0.3))
        await server.do("bridge", other, leg=leg)
        for direction in ("sendonly", "inactive"):
            assert (await one.reinvite(direction)).status == 200
            await server.event("Held", leg)
            assert (await one.reinvite()).status == 200
            await server.event("Resumed", leg)
            assert await hears(two, HIGH, 0.3)
            assert await hears(one, LOW, 0.3)
        former, one.rtp = one.rtp, customer.new_stream(customer.host)
        one.rtp.say(tone(HIGH, LONG_MS, 0.3))
        assert (await one.reinvite()).status == 200
        former.close()
        assert await hears(one, LOW, 0.3)
        assert await hears(two, HIGH, 0.3)
        await one.bye()
        await two.bye()


async def test_a_wide_band_leg_and_a_narrow_one_hear_each_other(
    server: Server, new_server: Callable[..., Server]
) -> None:
    wide = new_server(codecs=["G722"])
    async with Peer() as customer:
        one, leg = await answered(server, customer, codecs=(PCMU,))
        other = await server.do("call", wide.uri("tone"), {})  # plays 440 Hz at 8000 of 32767
        await server.event("Answered", other)
        await server.do("bridge", other, leg=leg)
        assert await hears(one, 440, 8000 / 32768, rel=0.15)
        assert (await server.do("quality", leg=other))["codec"] == "G722"
        assert (await server.do("quality", leg=leg))["codec"] == "PCMU"
        await server.do("hang_up", leg=other)
        await one.bye()


async def test_different_codecs_are_bridged_with_little_delay(server: Server, record_property: RecordProperty) -> None:
    async with Peer() as customer, Peer() as agent:
        one, leg = await answered(server, customer, codecs=(PCMU,))
        two, other = await answered(server, agent, codecs=(PCMA,))
        await server.do("bridge", other, leg=leg)
        await asyncio.sleep(1)
        delays = []
        for _ in range(5):
            at_ns = None
            while not at_ns:  # a jitter buffer drops what comes late: a busy machine may lose it
                said = one.rtp.say(tone(HIGH, 100, 0.5))
                await until(lambda said=said: said.sent_ns)
                with suppress(TimeoutError):
                    at_ns = await until(lambda said=said: two.rtp.sound_ns(said.sent_ns), 5)
            delays.append((at_ns - said.sent_ns) / 1e6)
            await until(lambda at_ns=at_ns: two.rtp.silence_ns(at_ns))
        record_property("bridge_delay_ms", delays)
        print("bridge delay, ms:", *(round(delay) for delay in delays))  # noqa: T201
        await one.bye()
        await two.bye()


async def test_audio_before_the_answer_comes_through_a_bridge(server: Server) -> None:
    """RFC 3960, 3.2: the far network's own ringing or announcement."""
    async with Peer() as customer, Peer() as agent:
        one, leg = await answered(server, customer)
        other = await server.do("call", agent.uri, {})
        two = await agent.incoming()
        await server.do("bridge", other, leg=leg)
        await two.answer(180)
        assert not (await server.event("Progress", other, code=180))["early_media"]
        await two.answer(183, sdp(agent.host, two.rtp.port, (PCMA,)))
        assert (await server.event("Progress", other, code=183))["early_media"]
        await server.event("MediaUp", other)
        two.rtp.say(tone(LOW, LONG_MS, 0.3))
        assert await hears(one, LOW, 0.3)
        await server.do("hang_up", leg=other)
        await two.asked_for("CANCEL")
        assert (await server.event("Ended", other))["cause"] == "us"
        await one.press("1")  # the caller's leg lives on
        await server.event("Key", leg)
        await one.bye()
