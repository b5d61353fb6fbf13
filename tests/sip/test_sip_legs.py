"""Calls we place and hold, what the other side tells about them, and how good they are."""

import asyncio
import contextlib
import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from peer import Media, Peer, PeerCall, sdp
from rtp import PCMA
from served import NO_RTP_S, WAIT_S, Server, until


async def placed(server: Server, peer: Peer, **options: object) -> tuple[PeerCall, int]:
    leg = await server.do("call", peer.uri, {}, options)
    return await peer.incoming(), leg


async def talking(server: Server, peer: Peer) -> tuple[PeerCall, int]:
    call = await peer.invite(server.uri("answer"))
    await call.final()
    leg = (await server.event("Incoming", id=call.id))["leg"]
    await server.event("Answered", leg)
    return call, leg


async def test_the_caller_id_is_shown_where_there_is_one_and_hidden_where_not(server: Server) -> None:
    """RFC 3323, 4.1.1.3."""
    async with Peer() as peer:
        call, leg = await placed(server, peer, caller_id="0212345678")
        assert call.invitation
        assert call.invitation["from"].startswith("<sip:0212345678@127.0.0.1")
        assert not call.invitation["privacy"]
        await call.answer(180)
        await server.do("hang_up", leg=leg)
        call, leg = await placed(server, peer)
        assert call.invitation
        assert call.invitation["from"].startswith('"Anonymous" <sip:anonymous@anonymous.invalid>')
        assert call.invitation["privacy"] == "id"
        await call.answer(180)  # else a CANCEL would have to wait (RFC 3261, 9.1)
        await server.do("hang_up", leg=leg)
        for evil in ("1>;x=<sip:2", "", "a b", "1\r\nX: 2"):
            with pytest.raises(RuntimeError, match="SipError"):
                await server.do("call", peer.uri, {}, {"caller_id": evil})


async def test_progress_is_told_and_a_hang_up_cancels(server: Server) -> None:
    """RFC 3261, 9.1; the Reason tells phones that rang in vain why (RFC 3326)."""
    async with Peer() as peer:
        call, leg = await placed(server, peer)
        await call.answer(180)
        assert not (await server.event("Progress", leg, code=180))["early_media"]
        await server.do("hang_up", 200, "Call completed elsewhere", leg=leg)
        assert "Call completed elsewhere" in (await call.asked_for("CANCEL"))["reason"]
        ended = await server.event("Ended", leg)
        assert (ended["cause"], ended["sip_code"]) == ("us", 487)


async def test_a_call_whose_asker_is_gone_before_it_is_placed_is_taken_back(server: Server) -> None:
    async with Peer() as peer:
        await server.do("call_in_vain", peer.uri)
        call = await peer.incoming()
        await call.answer(180)
        await call.asked_for("CANCEL")
    await server.at_rest()


async def test_the_reason_of_a_failed_call_is_told_with_its_q850_cause(server: Server) -> None:
    """RFC 3326 and RFC 6432."""
    async with Peer() as peer:
        call, leg = await placed(server, peer)
        await call.answer(404, headers={"Reason": 'Q.850;cause=1;text="Unallocated (unassigned) number"'})
        ended = await server.event("Ended", leg)
        assert (ended["cause"], ended["sip_code"], ended["q850"]) == ("failed", 404, 1)
        call, leg = await talking(server, peer)
        await call.bye({"Reason": 'SIP;cause=200;text="a, b", Q.850;cause=16'})
        assert (await server.event("Ended", leg))["q850"] == 16
        call = await peer.invite(server.uri("manual"))
        leg = (await server.event("Incoming", id=call.id))["leg"]
        await call.cancel()
        assert (await server.event("Ended", leg))["q850"] is None


async def test_a_redirection_is_followed_to_allowed_targets_only(server: Server) -> None:
    """RFC 3261, 8.1.3.4. The server of these tests may send calls to sip:agent@*."""
    async with Peer() as here, Peer(user="agent") as there, Peer(user="boss") as other:
        call, leg = await placed(server, here)
        await call.answer(302, headers={"Contact": f"<{there.uri}>"})
        moved = await there.incoming()
        await moved.answer()
        await server.event("Answered", leg)
        await moved.bye()
        call, leg = await placed(server, here)
        await call.answer(302, headers={"Contact": f"<{other.uri}>"})
        ended = await server.event("Ended", leg)
        assert (ended["cause"], ended["sip_code"], ended["moved_to"]) == ("failed", 302, other.uri)


async def test_a_call_that_is_sent_on_and_on_ends(server: Server) -> None:
    async with contextlib.AsyncExitStack() as stack:
        chain = [await stack.enter_async_context(Peer(user="agent")) for _ in range(5)]
        leg = await server.do("call", chain[0].uri, {})
        for peer, following in itertools.pairwise(chain):
            await (await peer.incoming()).answer(302, headers={"Contact": f"<{following.uri}>"})
        ended = await server.event("Ended", leg)
        assert (ended["sip_code"], ended["moved_to"]) == (302, chain[4].uri)


async def test_a_name_is_looked_up_before_the_stack_sees_it(server: Server) -> None:
    async with Peer() as peer:
        leg = await server.do("call", f"sip:1@localhost:{peer.port}", {})
        call = await peer.incoming()
        assert call.invitation
        assert "localhost" not in str(call.invitation)
        await call.answer(180)
        await server.do("hang_up", leg=leg)
        with pytest.raises(RuntimeError, match="name server"):
            await server.do("call", "sip:1@no-such-host.invalid", {})


async def test_calls_go_out_through_the_front(
    new_server: Callable[..., Server], capfd: pytest.CaptureFixture[str]
) -> None:
    """A loose route (RFC 3261, 16.12.1.1); the name in the request's URI is the front's to understand."""
    async with Peer() as front:
        server = new_server(proxy=[front.host, front.port])
        (listening,) = [line for line in capfd.readouterr().err.splitlines() if "sip_listening" in line]
        assert "tcp=False" in re.sub(r"\x1b\[[0-9;]*m", "", listening), "the front speaks UDP to it, and nothing else"
        leg = await server.do("call", "sip:phone@realm.example", {"X-VoiceEdge-Trunk": "kt", "X-Evil": "1"})
        call = await front.incoming()
        assert call.invitation
        assert call.invitation.first.startswith("INVITE sip:phone@realm.example ")
        assert f"<sip:{front.host}:{front.port};lr>" in call.invitation["route"]
        assert call.invitation["x-voiceedge-trunk"] == "kt"
        assert not call.invitation["x-evil"]
        await call.answer()
        await server.event("Answered", leg)
        await server.do("hang_up", leg=leg)
        await call.ended()
        came = await front.invite(server.uri("manual"), headers={"X-VoiceEdge-Agent": "kim", "X-Customer-Ref": "7"})
        told = await server.event("Incoming")
        assert told["headers"] == {"X-VoiceEdge-Agent": "kim", "X-Customer-Ref": "7"}
        await server.do("reject", 486, leg=told["leg"])
        await came.final()


async def test_nobody_outside_says_he_is_the_front(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("manual"), headers={"X-VoiceEdge-Agent": "kim"})
        told = await server.event("Incoming", id=call.id)
        assert told["headers"] == {}
        await server.do("reject", 486, leg=told["leg"])


async def test_a_prompt_can_be_heard_before_the_answer(server: Server) -> None:
    """RFC 3960: 183 with an answer, nothing is charged yet."""
    async with Peer() as peer:
        call = await peer.invite(server.uri("manual"))
        leg = (await server.event("Incoming", id=call.id))["leg"]
        await server.do("progress", leg=leg)
        await server.event("MediaUp", leg)
        early = await until(lambda: next((message for message in call.provisional if message.status == 183), None))
        call._listen_to(early.body)
        await server.do("play", leg=leg)
        await until(call.rtp.sound_ns)
        assert not server.told("Answered", leg)
        await server.do("answer", leg=leg)
        response = await call.final()
        await until(lambda: call.rtp.sound_ns(response.at_ns))
        await call.bye()


@pytest.mark.parametrize("direction", ["sendonly", "inactive", "0.0.0.0"])
async def test_holds_of_the_other_side_are_told(server: Server, direction: str) -> None:
    """RFC 3264, 8.4, and the older way of RFC 2543."""
    async with Peer() as peer:
        call, leg = await talking(server, peer)
        if direction == "0.0.0.0":
            offer = sdp("127.0.0.1", call.rtp.port).replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0")
            assert (await call.reinvite(body=offer)).status == 200
        else:
            assert (await call.reinvite(direction)).status == 200
        await server.event("Held", leg)
        await call.reinvite()
        await server.event("Resumed", leg)
        await call.reinvite()  # a session's refresh is neither
        assert not server.told("Held", leg)
        assert not server.told("Resumed", leg)
        await call.bye()


async def test_we_hold_and_resume_and_hold_music_is_heard(server: Server) -> None:
    """The server of these tests ends calls after NO_RTP_S without audio, but not one that we hold."""
    async with Peer() as peer:
        call, leg = await talking(server, peer)
        await server.do("hold", leg=leg)
        assert call.media
        assert call.media.direction == "sendonly"
        call.rtp.pause()
        await server.do("play", leg=leg)
        await until(lambda since=call.requests[-1].at_ns: call.rtp.sound_ns(since))
        await asyncio.sleep(NO_RTP_S + 0.5)
        assert not server.told("Ended", leg)
        await server.do("resume", leg=leg)
        assert call.media.direction == "sendrecv"
        call.rtp.start((call.media.host, call.media.port), PCMA)
        await call.press("5")
        await server.event("Key", leg, key="5")
        assert not server.told("Held", leg)  # that was us
        await call.bye()


async def test_a_hold_that_meets_another_is_tried_again(server: Server) -> None:
    """491 Request Pending (RFC 3261, 14.1)."""
    async with Peer() as peer:
        call, leg = await talking(server, peer)
        call.refusals["INVITE"] = [491]
        await server.do("hold", leg=leg)
        assert len([request for request in call.requests if request.method == "INVITE"]) == 2
        assert call.media
        assert call.media.direction == "sendonly"
        await call.bye()


async def test_a_hold_that_is_refused_says_so_and_the_call_goes_on(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await talking(server, peer)
        call.refusals["INVITE"] = [488]
        with pytest.raises(RuntimeError, match="status 488"):
            await server.do("hold", leg=leg)
        assert (await call.reinvite()).status == 200
        assert call.media
        assert call.media.direction == "sendrecv"
        await call.press("5")
        await server.event("Key", leg, key="5")
        await call.bye()


async def quality(server: Server, leg: int, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Once it is like this."""
    async with asyncio.timeout(WAIT_S):
        while not fits(found := await server.do("quality", leg=leg)):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)
    return found


async def test_quality_is_told_while_the_call_lasts_and_at_its_end(server: Server) -> None:
    """RFC 3550, 6.4.1; every tenth packet is missing."""
    async with Peer() as peer:
        call, leg = await talking(server, peer)
        await until(lambda: call.rtp.packets)
        good = await quality(server, leg, lambda good: good["packets_in"] > 40 and good["mos"] > 4.2)
        assert (good["codec"], good["lost_in"]) == ("PCMA" if call.rtp.packets[-1].payload_type == PCMA else "PCMU", 0)
        for _ in range(8):
            call.rtp._sequence += 1  # one that was never sent
            await asyncio.sleep(0.1)
        await call.reinvite()
        await asyncio.sleep(0.2)
        await call.bye()
        last = (await server.event("Ended", leg))["quality"]
        assert last["packets_in"] >= good["packets_in"]
        assert last["lost_in"] >= 7
        assert last["mos"] < good["mos"] - 0.3


async def test_a_call_that_never_had_audio_has_no_quality(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await placed(server, peer)
        await call.answer(486)
        assert (await server.event("Ended", leg))["quality"] is None


async def test_a_call_offers_the_codecs_of_its_trunk_only(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await placed(server, peer, codecs=["PCMU", "G722"])
        assert call.invitation
        offered = Media.read(call.invitation.body)
        assert offered
        assert offered.formats[:2] == (0, 9)
        assert offered.events in offered.formats
        assert "PCMA" not in call.invitation.body
        await call.answer()
        await server.event("MediaUp", leg)
        await server.do("hang_up", leg=leg)


@pytest.mark.parametrize(("srtp", "profile"), [("off", "RTP/AVP"), ("optional", "RTP/AVP"), ("required", "RTP/SAVP")])
async def test_calls_are_encrypted_where_they_shall_be(
    server: Server, new_server: Callable[..., Server], srtp: str, profile: str
) -> None:
    """SDES (RFC 4568). Calls that come in are encrypted where the caller does it."""
    other = new_server()
    async with Peer() as peer:
        call, leg = await placed(server, peer, srtp=srtp)
        assert call.invitation
        assert f" {profile} " in call.invitation.body
        assert ("a=crypto:" in call.invitation.body) == (srtp != "off")
        await call.answer(200 if srtp == "optional" else 488)
        if srtp == "optional":  # a peer that knows nothing of it
            await server.event("MediaUp", leg)
            await server.do("hang_up", leg=leg)
    leg = await server.do("call", other.uri("tone"), {}, {"srtp": srtp})
    await server.event("MediaUp", leg)
    await quality(server, leg, lambda found: found["packets_in"] > 10)
    await server.do("hang_up", leg=leg)


async def test_few_ports_are_enough_for_calls_of_all_kinds(new_server: Callable[..., Server]) -> None:
    """A worker has four ports a call."""
    server = new_server(rtp_ports=[19000, 19015], no_rtp_s=30)  # no other test has these
    async with Peer() as peer:
        for _ in range(3):
            legs = []
            came, _ = await talking(server, peer)
            for srtp in ("off", "optional", "off"):
                call, leg = await placed(server, peer, srtp=srtp)
                await call.answer()
                await server.event("MediaUp", leg)
                legs.append(leg)
            assert (await came.reinvite()).status == 200
            for leg in legs:
                await server.do("hang_up", leg=leg)
            await came.bye()
