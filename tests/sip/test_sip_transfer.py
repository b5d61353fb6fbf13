"""Sending callers on (REFER, RFC 3515), and those who would send us on."""

import asyncio
from urllib.parse import quote, unquote

import pytest
from peer import Message, Peer, PeerCall, ReferPlan
from rtp import tone
from served import Server, until

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


async def permitted(peer: Peer, server: Server, permission: str) -> tuple[PeerCall, int]:
    call, leg = await answered(peer, server)
    await server.do("permit", permission, leg=leg)
    return call, leg


def replaces(call: PeerCall, response: Message) -> str:
    """What names our dialog to a third party, who says it to the other side (RFC 3891, 3)."""
    return f"{call.id};to-tag={response['to'].split('tag=')[1]};from-tag={response['from'].split('tag=')[1]}"


async def test_an_agent_may_ask_for_a_transfer_and_is_told_how_it_goes(server: Server) -> None:
    """RFC 3515, 2.4.4: a NOTIFY at once, one for each change, and the last one ends the subscription."""
    async with Peer() as agent:
        call, leg = await permitted(agent, server, "may_transfer")
        asked = asyncio.create_task(call.send("REFER", {"Refer-To": "<sip:+82212345678@pbx.example;user=phone>"}))
        told = await server.event("TransferAsked", leg)
        assert (told["target"], told["replaces"]) == ("sip:+82212345678@pbx.example;user=phone", None)
        await server.do("accept_transfer", leg=leg)
        assert (await asked).status == 202
        for number, code in enumerate((100, 180, 200), 1):
            if code > 100:
                await server.do("transfer_progress", code, leg=leg)
            notify = await call.asked_for("NOTIFY", number)
            assert notify.body.startswith(f"SIP/2.0 {code} ")
            assert notify["event"] == "refer"
            assert notify["content-type"].startswith("message/sipfrag")
            assert notify["subscription-state"].startswith("terminated" if code == 200 else "active")
        with pytest.raises(RuntimeError, match="SipError"):
            await server.do("transfer_progress", 200, leg=leg)
        again = asyncio.create_task(call.send("REFER", {"Refer-To": "sip:2@h"}))
        assert (await server.event("TransferAsked", leg))["target"] == "sip:2@h"
        await server.do("decline_transfer", leg=leg)
        assert (await again).status == 603
        await call.bye()
        assert (await server.event("Ended", leg))["cause"] == "caller"


@pytest.mark.slow
async def test_a_transfer_nobody_decides_on_is_declined_and_is_asked_once(server: Server) -> None:
    """RFC 3261, 17.2.2: a request that is repeated is the same one."""
    async with Peer() as agent:
        call, leg = await permitted(agent, server, "may_transfer")
        response = await call.send("REFER", {"Refer-To": "<sip:2@h>"})  # repeated until it is answered
        assert response.status == 603
        await server.event("TransferAsked", leg)
        assert not server.told("TransferAsked", leg)
        await call.bye()


@pytest.mark.parametrize(
    "refer_to",
    ["garbage", "<http://h/>", "<sip:2@h;method=BYE>", "<sip:2@h?Replaces=x>", "<sip:2@h>\r\nRefer-To: <sip:4@h>"],
)
async def test_what_is_no_transfer_is_declined_for_agents_too(server: Server, refer_to: str) -> None:
    async with Peer() as agent:
        call, leg = await permitted(agent, server, "may_transfer")
        assert (await call.send("REFER", {"Refer-To": refer_to})).status == 603
        assert not server.told("TransferAsked", leg)
        await call.bye()


async def test_a_stranger_who_knows_the_call_id_transfers_nobody(server: Server) -> None:
    async with Peer() as agent, Peer() as stranger:
        call, leg = await permitted(agent, server, "may_transfer")
        headers = {"Call-ID": call.id, "To": f"<{server.uri('x')}>;tag=guess", "Refer-To": "<sip:2@h>"}
        assert (await stranger.request("REFER", server.uri("x"), headers)).status >= 400
        assert not server.told("TransferAsked", leg)
        await call.bye()


async def test_an_attended_transfer_names_the_leg_it_is_to(server: Server) -> None:
    """RFC 5589, 7: the agent has the customer on one call with us, the colleague on another."""
    async with Peer() as agent, Peer() as colleague:
        call, leg = await permitted(agent, server, "may_transfer")
        second, other = await answered(agent, server)
        named = quote(replaces(second, await second.final()), safe="")
        asked = asyncio.create_task(call.send("REFER", {"Refer-To": f"<{colleague.uri}?Replaces={named}>"}))
        told = await server.event("TransferAsked", leg)
        assert (told["target"], told["replaces"], told["elsewhere"]) == (colleague.uri, other, "")
        await server.do("accept_transfer", leg=leg)
        assert (await asked).status == 202
        await server.do("transfer_progress", 200, leg=leg)
        await call.bye()
        await second.bye()


async def test_an_attended_transfer_to_a_call_elsewhere_can_be_carried_out_by_a_call(server: Server) -> None:
    """RFC 3891: the dialog may be another worker's, or somebody else's; the new call names it."""
    async with Peer() as agent, Peer() as colleague:
        call, leg = await permitted(agent, server, "may_transfer")
        value = "c2@other;to-tag=1;from-tag=2"
        asked = asyncio.create_task(call.send("REFER", {"Refer-To": f"<{colleague.uri}?Replaces={quote(value)}>"}))
        told = await server.event("TransferAsked", leg)
        assert (told["replaces"], told["elsewhere"]) == (None, value)
        await server.do("accept_transfer", leg=leg)
        await asked
        placed = await server.do("call", told["target"], {}, {"replaces": told["elsewhere"]})
        new = await colleague.incoming()
        assert new.invitation
        assert new.invitation["replaces"] == value
        await new.answer()
        await server.event("Answered", placed)
        await server.do("transfer_progress", 200, leg=leg)
        await server.do("hang_up", leg=placed)
        await call.bye()


async def test_a_call_takes_the_place_of_one_that_may_be_replaced(server: Server) -> None:
    """RFC 3891, 3: the new call is answered, the old one ends, and who was bridged with it hears the new side."""
    async with Peer() as customer, Peer() as agent, Peer() as colleague:
        one, leg = await answered(customer, server)
        two, other = await permitted(agent, server, "may_be_replaced")
        await server.do("bridge", other, leg=leg)
        heir = await colleague.invite(
            server.uri("manual"), headers={"Replaces": replaces(two, await two.final()), "Require": "replaces"}
        )
        by = (await server.event("Replaced", other))["by"]
        assert (await heir.final()).status == 200
        await server.event("Answered", by)
        await two.ended()
        assert (await server.event("Ended", other))["cause"] == "transfer"
        heir.rtp.say(tone(440, 2000))
        await until(one.rtp.sound_ns)
        await one.bye()
        await heir.bye()
        assert (await server.event("Ended", by))["cause"] == "caller"


async def test_only_a_call_that_is_there_can_be_replaced(server: Server) -> None:
    """RFC 3891, 3: 481 for no match, 400 for more than one header."""
    async with Peer() as agent, Peer() as thief:
        call, leg = await permitted(agent, server, "may_be_replaced")
        right = replaces(call, await call.final())
        wrong = right.replace("to-tag=", "to-tag=x")
        for header, status in ((wrong, 481), ("nonsense", 400), (f"{right}\r\nReplaces: {right}", 400)):
            stolen = await thief.invite(server.uri("manual"), headers={"Replaces": header})
            assert (await stolen.final()).status == status
        await call.press("1")
        await server.event("Key", leg)
        await call.bye()


async def test_the_other_side_is_sent_to_take_our_place_in_another_leg(server: Server) -> None:
    """RFC 5589, 7.1: REFER with Replaces of the dialog that we have with the target."""
    async with Peer() as customer, Peer(user="agent") as agent:
        call, leg = await answered(customer, server)
        other = await server.do("call", agent.uri, {})
        two = await agent.incoming()
        await two.answer()
        await server.event("Answered", other)
        assert await server.do("attend", agent.uri, other, leg=leg) == 200
        refer_to = (await call.asked_for("REFER"))["refer-to"]
        target, _, named = refer_to.strip("<>").partition("?Replaces=")
        assert two.invitation
        ours = two.invitation["from"].split("tag=")[1]
        assert (target, unquote(named)) == (agent.uri, f"{two.id};to-tag={two._tag};from-tag={ours}")
        await server.do("hang_up", leg=other)
