"""Calls as callers see them, against a real endpoint over loopback."""

import asyncio
import socket

import pytest
from peer import Media, Peer, sdp
from rtp import PCMA, PCMU, tone
from served import NO_RTP_S, Server, until


async def incoming(server: Server, **wanted: str) -> int:
    return (await server.event("Incoming", **wanted))["leg"]


async def test_a_call_is_answered_heard_and_ended_by_the_caller(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("tone"))
        assert (await call.final()).status == 200
        leg = await incoming(server)
        await server.event("MediaUp", leg)
        await server.event("Answered", leg)
        await until(call.rtp.sound_ns)
        assert (await call.bye()).status == 200
        ended = await server.event("Ended", leg)
        assert (ended["cause"], ended["sip_code"]) == ("caller", 200)


@pytest.mark.parametrize("codec", [PCMU, PCMA])
async def test_the_callers_codec_is_taken(server: Server, codec: int) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("tone"), codecs=(codec,))
        await call.final()
        await until(call.rtp.sound_ns)
        assert call.rtp.packets[-1].payload_type == codec
        heard = call.rtp.heard(call.rtp.sound_ns() or 0)[:800]
        assert abs(int(abs(heard).max()) - 8000) < 800  # the tone's own level
        await call.bye()


async def test_g722_is_offered_and_agreed(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("answer"), codecs=(9,))
        assert "a=rtpmap:9 G722/8000" in (await call.final()).body
        await call.bye()


async def test_only_listed_headers_come_in_and_they_are_bounded(server: Server) -> None:
    async with Peer() as peer:
        headers = {"x-customer-ref": "7\r\n 8", "User-to-User": "u" * 3000, "X-Secret": "no"}
        call = await peer.invite(server.uri("manual"), headers=headers)
        told = await server.event("Incoming")
        assert told["headers"]["X-Customer-Ref"] == "7 8"
        assert len(told["headers"]["User-to-User"]) == 1024
        assert set(told["headers"]) == {"X-Customer-Ref", "User-to-User"}
        assert (told["caller"], told["called"], told["id"]) == (peer.user, "manual", call.id)
        await server.do("reject", 486, leg=told["leg"])
        assert (await call.final()).status == 486


async def test_answers_carry_listed_headers_and_no_line_breaks(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("manual"))
        leg = await incoming(server)
        await server.do("ringing", leg=leg)
        await server.do("answer", {"X-Conversation-Id": "c1\r\nX-Evil: 1", "X-Other": "no"}, leg=leg)
        response = await call.final()
        assert [message.status for message in call.provisional][-1] == 180
        assert response["x-conversation-id"] == "c1 X-Evil: 1"
        assert not response["x-evil"]
        assert not response["x-other"]
        await call.bye()


async def test_a_rejection_says_when_to_come_back(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("manual"))
        leg = await incoming(server)
        await server.do("reject", 503, {"Retry-After": "7"}, leg=leg)
        response = await call.final()
        assert (response.status, response["retry-after"]) == (503, "7")
        assert (await server.event("Ended", leg))["cause"] == "us"


async def test_a_hang_up_says_why(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("answer"))
        leg = await incoming(server)
        await server.event("Answered", leg)
        await server.do("hang_up", 200, 'the "end"', leg=leg)
        assert (await call.ended())["reason"] == 'SIP;cause=200;text="the \\"end\\""'
        assert (await server.event("Ended", leg))["cause"] == "us"


async def test_after_the_end_every_method_says_so(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("manual"))
        leg = await incoming(server)
        await call.cancel()
        ended = await server.event("Ended", leg)
        assert (ended["cause"], ended["sip_code"]) == ("cancelled", 487)
        for method, arguments in {
            "ringing": (), "answer": (), "reject": (486,), "hang_up": (), "send_key": ("1",), "transfer": ("sip:a@h",),
        }.items():  # fmt: skip
            with pytest.raises(RuntimeError, match="LegEndedError"):
                await server.do(method, *arguments, leg=leg)


async def test_a_caller_who_cancels_while_we_answer_harms_nobody(server: Server) -> None:
    async with Peer() as peer:
        for _ in range(20):
            call = await peer.invite(server.uri("answer"))
            response = await call.cancel()
            assert response.status in {200, 487}
            if response.status == 200:
                await call.bye()
        await server.at_rest()


async def test_a_bye_right_after_the_answer_harms_nobody(server: Server) -> None:
    async with Peer() as peer:
        for _ in range(20):
            call = await peer.invite(server.uri("tone"))
            await call.final()
            await call.bye()
            assert (await server.event("Ended", await incoming(server, id=call.id)))["cause"] == "caller"


async def test_a_bye_while_we_hang_up_harms_nobody(server: Server) -> None:
    async with Peer() as peer:
        for _ in range(10):
            call = await peer.invite(server.uri("answer"))
            await call.final()
            leg = await incoming(server, id=call.id)
            await server.event("Answered", leg)
            await asyncio.gather(server.do("hang_up", leg=leg), call.bye(), return_exceptions=True)
            await server.event("Ended", leg)


async def test_an_invite_without_offer_is_answered_with_one(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("tone"), body="")
        response = await call.final()
        offer = Media.read(response.body)
        assert offer
        assert offer.formats[:3] == (8, 0, 9)  # our order: PCMA, PCMU, G.722
        await server.event("MediaUp", await incoming(server))
        await until(call.rtp.sound_ns)
        await call.bye()


async def test_a_held_call_comes_back_and_is_not_taken_for_a_dead_one(server: Server) -> None:
    """The server of these tests ends calls after NO_RTP_S without audio."""
    async with Peer() as peer:
        call = await peer.invite(server.uri("tone"))
        await call.final()
        leg = await incoming(server)
        for direction, answered in (("sendonly", "recvonly"), ("inactive", "inactive")):
            assert (await call.reinvite(direction)).status == 200
            assert call.media
            assert call.media.direction == answered
            call.rtp.pause()
            await asyncio.sleep(NO_RTP_S + 0.5)
            assert not server.told("Ended", leg)
            response = await call.reinvite("sendrecv")
            assert response.status == 200
            await until(lambda since=response.at_ns: call.rtp.sound_ns(since))
        await call.press("1")
        await server.event("Key", leg, key="1")
        await call.bye()


async def test_a_call_without_audio_is_ended_and_told_why(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("answer"))
        await call.final()
        leg = await incoming(server)
        call.rtp.pause()
        assert "no audio" in (await call.ended())["reason"]
        assert (await server.event("Ended", leg))["cause"] == "no_rtp"


async def test_a_call_that_never_gets_audio_is_ended_too(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("answer"), body=sdp(peer.host, 40000, direction="inactive"))
        await call.final()
        leg = await incoming(server)
        assert (await server.event("Ended", leg))["cause"] == "no_rtp"


async def test_a_name_in_contact_is_refused_as_looking_it_up_would_stop_all_audio(server: Server) -> None:
    async with Peer() as peer:
        for header in ({"Contact": "<sip:x@slow.example.test>"}, {"Record-Route": "<sip:proxy.example;lr>"}):
            call = await peer.invite(server.uri("answer"), headers=header)
            assert (await call.final()).status == 400


async def test_a_caller_who_is_dead_at_the_bye_frees_the_line_within_seconds(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("answer"))
        await call.final()
        leg = await incoming(server)
        await server.event("Answered", leg)
    await server.do("hang_up", leg=leg)
    await server.event("Ended", leg, wait_s=25)  # and not the 32 that PJSIP would take


async def test_a_repeated_invite_is_one_call(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("manual"))
        leg = await incoming(server)
        await asyncio.sleep(0.7)  # one retransmission of 500 ms
        await server.do("answer", leg=leg)
        await call.final()
        assert (await server.do("use"))["active"] == 1
        await call.bye()


async def test_session_timers_are_agreed(server: Server) -> None:
    async with Peer() as peer:
        headers = {"Supported": "timer", "Session-Expires": "120;refresher=uas", "Min-SE": "90"}
        call = await peer.invite(server.uri("answer"), headers=headers)
        assert (await call.final())["session-expires"].startswith("120")
        await call.bye()


async def test_calls_come_over_tcp_too(server: Server) -> None:
    body = sdp("127.0.0.1", 40000)

    def talk() -> bytes:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as stream:
            host, port = stream.getsockname()
            head = (
                f"INVITE {server.uri('manual')};transport=tcp SIP/2.0\r\n"
                f"Via: SIP/2.0/TCP {host}:{port};branch=z9hG4bKtcp\r\n"
                f"From: <sip:t@{host}>;tag=1\r\nTo: <{server.uri('manual')}>\r\nCall-ID: over-tcp\r\nCSeq: 1 INVITE\r\n"
                f"Contact: <sip:t@{host}:{port};transport=tcp>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            stream.sendall((head + body).encode())
            data = b""
            while b"SIP/2.0 480" not in data:
                data += stream.recv(4096)
            return data

    talking = asyncio.create_task(asyncio.to_thread(talk))
    leg = (await server.event("Incoming", id="over-tcp"))["leg"]
    await server.do("reject", 480, leg=leg)
    assert b"SIP/2.0 100" in await talking


async def test_options_are_answered(server: Server) -> None:
    async with Peer() as peer:
        response = await peer.request("OPTIONS", server.uri("x"))
        assert response.status == 200
        assert {"INVITE", "BYE", "CANCEL", "REFER", "INFO"} <= set(response["allow"].replace(" ", "").split(","))
        assert "application/sdp" in response["accept"]


async def test_a_call_is_placed_keys_are_pressed_and_it_is_taken_back(server: Server) -> None:
    async with Peer() as peer:
        leg = await server.do("call", peer.uri, {"X-Out": "1", "X-Not": "2"})
        call = await peer.incoming()
        assert call.invitation
        assert call.invitation["x-out"] == "1"
        assert not call.invitation["x-not"]
        await call.answer(180)
        await call.answer()
        await server.event("Answered", leg)
        await server.event("MediaUp", leg)
        call.rtp.say(tone(440, 1000))
        await server.do("send_key", "7", leg=leg)
        await until(
            lambda: next((p for p in list(call.rtp.packets) if p.payload_type == 101 and p.payload[0] == 7), None)
        )
        await server.do("hang_up", leg=leg)
        await call.ended()


async def test_a_call_that_is_refused_says_so(server: Server) -> None:
    async with Peer() as peer:
        leg = await server.do("call", peer.uri, {})
        await (await peer.incoming()).answer(486)
        ended = await server.event("Ended", leg)
        assert (ended["cause"], ended["sip_code"]) == ("failed", 486)


async def test_a_call_is_not_placed_to_nonsense(server: Server) -> None:
    for uri in ("", "1000", "sip:a b@c", "sip:x@h\r\nEvil: 1", "<sip:x@h>", "sip:" + "x" * 600):
        with pytest.raises(RuntimeError, match="SipError"):
            await server.do("call", uri, {})
    assert (await server.do("use"))["active"] == 0
