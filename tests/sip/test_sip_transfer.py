"""Sending callers on (REFER, RFC 3515), and those who would send us on."""

import asyncio

import pytest
from peer import Peer, PeerCall, ReferPlan
from served import Server

AGENT = "sip:agent@127.0.0.1:9"


async def answered(peer: Peer, server: Server) -> tuple[PeerCall, int]:
    call = await peer.invite(server.uri("manual"))
    leg = (await server.event("Incoming", id=call.id))["leg"]
    await server.do("answer", leg=leg)
    await server.event("Answered", leg)
    return call, leg


async def test_a_transfer_that_took_place_ends_the_leg(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        assert await server.do("transfer", AGENT, {"X-Conversation-Id": "c7"}, leg=leg) == 200
        refer = await call.asked_for("REFER")
        assert AGENT in refer["refer-to"]
        assert refer["x-conversation-id"] == "c7"
        await call.ended()
        assert (await server.event("Ended", leg))["cause"] == "transfer"


@pytest.mark.parametrize("status", [486, 603, 480])
async def test_a_transfer_that_failed_leaves_the_leg(server: Server, status: int) -> None:
    async with Peer() as peer:
        peer.refer = ReferPlan(statuses=(100, 180, status))
        call, leg = await answered(peer, server)
        assert await server.do("transfer", AGENT, leg=leg) == status
        await call.press("1")
        await server.event("Key", leg)
        await call.bye()
        assert (await server.event("Ended", leg))["cause"] == "caller"


async def test_a_second_transfer_may_follow_a_failed_one(server: Server) -> None:
    async with Peer() as peer:
        peer.refer = ReferPlan(statuses=(100, 486))
        call, leg = await answered(peer, server)
        assert await server.do("transfer", AGENT, leg=leg) == 486
        peer.refer = ReferPlan()
        assert await server.do("transfer", AGENT, leg=leg) == 200
        await call.ended()
        await server.event("Ended", leg)


async def test_a_phone_that_knows_no_refer_keeps_its_call(server: Server) -> None:
    async with Peer() as peer:
        peer.refer = ReferPlan(answer=405)
        call, leg = await answered(peer, server)
        assert await server.do("transfer", AGENT, leg=leg) == 405
        await call.bye()


async def test_a_caller_who_hangs_up_on_accepting_has_gone_on(server: Server) -> None:
    async with Peer() as peer:
        peer.refer = ReferPlan(bye="before")
        _, leg = await answered(peer, server)
        assert await server.do("transfer", AGENT, leg=leg) == 202
        assert (await server.event("Ended", leg))["cause"] == "transfer"


async def test_a_caller_who_hangs_up_after_the_last_word_harms_nobody(server: Server) -> None:
    async with Peer() as peer:
        peer.refer = ReferPlan(bye="after")
        _, leg = await answered(peer, server)
        assert await server.do("transfer", AGENT, leg=leg) == 200
        await server.event("Ended", leg)


async def test_a_caller_who_hangs_up_while_the_agent_rings_has_hung_up(server: Server) -> None:
    async with Peer() as peer:
        peer.refer = ReferPlan(statuses=(100,), bye="")
        call, leg = await answered(peer, server)
        transferring = asyncio.create_task(server.do("transfer", AGENT, leg=leg))
        await call.asked_for("REFER")
        await asyncio.sleep(0.1)
        await call.bye()
        assert await transferring == 202
        await server.event("Ended", leg)


async def test_targets_that_are_not_allowed_are_never_sent(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        for target in ("sip:boss@127.0.0.1", "tel:+8216009999", "sips:agent@h"):
            assert await server.do("transfer", target, leg=leg) == 403
        with pytest.raises(RuntimeError, match="SipError"):
            await server.do("transfer", "sip:agent@h\r\nEvil: 1", leg=leg)
        assert not [request for request in call.requests if request.method == "REFER"]
        await call.bye()


async def test_callers_cannot_send_us_anywhere(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        for target in ("<sip:evil@h>", "garbage", "<sip:x@h?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>"):
            assert (await call.send("REFER", {"Refer-To": target})).status >= 400
        await call.press("1")
        await server.event("Key", leg)
        await call.bye()


async def test_nobody_takes_over_another_call(server: Server) -> None:
    async with Peer() as peer, Peer() as thief:
        call, leg = await answered(peer, server)
        response = await call.final()
        tags = (response["to"].split("tag=")[1], response["from"].split("tag=")[1])
        replaces = f"{call.id};to-tag={tags[0]};from-tag={tags[1]}"
        stolen = await thief.invite(server.uri("manual"), headers={"Replaces": replaces})
        assert (await stolen.final()).status >= 400
        await call.press("1")
        await server.event("Key", leg)
        await call.bye()
        await server.event("Ended", leg)
