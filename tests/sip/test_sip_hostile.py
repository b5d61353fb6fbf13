"""What a stranger may send: it is refused or served, and the process lives."""

import asyncio
import os
import re
import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peer import Peer, sdp
from served import WAIT_S, Server

from voiceedge.sip.dialog import read_refer, read_replaces
from voiceedge.sip.headers import (
    has_codec,
    is_allowed,
    is_safe_sdp,
    is_target,
    one_line,
    outgoing,
    q850_of,
    read_request,
    reason,
    user_part,
    with_codecs,
)

GOOD = sdp("127.0.0.1", 40000)
C = "c=IN IP4 127.0.0.1"

REFUSED = {
    "no SDP at all": ("hello\r\n", 400),
    "no media": ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n", 400),
    "no connection": (GOOD.replace(f"{C}\r\n", ""), 400),
    "a port beyond all": (GOOD.replace("m=audio 40000", "m=audio 99999999999"), 400),
    "a negative port": (GOOD.replace("m=audio 40000", "m=audio -5"), 400),
    "formats that are no numbers": (GOOD.replace("AVP 0 8 101", "AVP abc xyz"), 488),
    "a dynamic format without a name": (sdp("127.0.0.1", 40000, (96,)), 488),
    "no common codec": (sdp("127.0.0.1", 40000, (18,)), 488),
    "audio switched off": (GOOD.replace("m=audio 40000", "m=audio 0"), 488),
    "IPv6": (GOOD.replace("IN IP4 127.0.0.1", "IN IP6 ::1"), 488),
    "IPv6 called IPv4": (GOOD.replace(C, "c=IN IP4 ::1"), 488),
    "a name to look up": (GOOD.replace(C, "c=IN IP4 no.such.host.invalid"), 488),
    "a name to look up for RTCP": (f"{GOOD}a=rtcp:4001 IN IP4 no.such.host.invalid\r\n", 488),
    "SRTP with a broken key": (
        GOOD.replace("RTP/AVP", "RTP/SAVP") + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n",
        488,
    ),
    "SRTP without a key": (GOOD.replace("RTP/AVP", "RTP/SAVP"), 488),
    "DTLS": (GOOD.replace("RTP/AVP", "UDP/TLS/RTP/SAVPF"), 488),
    "fax": (GOOD.replace("m=audio 40000 RTP/AVP 0 8 101", "m=image 4000 udptl t38"), 488),
}
SERVED = {
    "video too": f"{GOOD}m=video 5000 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n",
    "forty lines of audio": GOOD + "m=audio 5000 RTP/AVP 0\r\n" * 40,
    "a codec at no rate": GOOD.replace("PCMU/8000", "PCMU/0"),
    "a time of nothing": f"{GOOD}a=ptime:0\r\n",
    "a time of for ever": f"{GOOD}a=ptime:99999\r\n",
    "a range of keys without end": GOOD.replace("a=fmtp:101 0-15", "a=fmtp:101 " + "0-15," * 200),
    "a long name": GOOD.replace("s=-", "s=" + "x" * 3000),
    "zeros": GOOD.replace("s=-", "s=\x00\x00"),
    "bare line feeds": GOOD.replace("\r\n", "\n"),
    "sixty unknown lines": GOOD + "a=x:y\r\n" * 60,
    "black hole": GOOD.replace(C, "c=IN IP4 0.0.0.0"),
}


@pytest.mark.parametrize(("body", "status"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_served_is_refused(server: Server, body: str, status: int) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("answer"), body=body)
        assert (await call.final()).status == status


@pytest.mark.parametrize("body", SERVED.values(), ids=SERVED.keys())
async def test_what_is_only_odd_is_served(server: Server, body: str) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("answer"), body=body)
        assert (await call.final()).status == 200
        await call.bye()


@pytest.mark.parametrize("name", ["IPv6 called IPv4", "no SDP at all", "no common codec", "a negative port"])
async def test_a_new_offer_in_the_call_is_judged_like_the_first(server: Server, name: str) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("tone"))
        await call.final()
        assert (await call.reinvite(body=REFUSED[name][0])).status >= 400
        assert (await call.bye()).status == 200


async def test_an_answer_that_would_kill_us_is_not_heard(server: Server) -> None:
    async with Peer() as peer:
        leg = await server.do("call", peer.uri, {})
        call = await peer.incoming()
        assert call.invitation
        peer.respond(call.invitation, 200, GOOD.replace(C, "c=IN IP4 ::1"), tag="x")
        ended = await server.event("Ended", leg, wait_s=60)
        assert ended["cause"] == "failed"


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "MESSAGE", "PUBLISH", "FOO"])
async def test_methods_we_do_not_serve_are_not_allowed(server: Server, method: str) -> None:
    async with Peer() as peer:
        response = await peer.request(method, server.uri("x"), {"Event": "presence"})
        assert response.status == 405
        assert "INVITE" in response["allow"]


@pytest.mark.parametrize("method", ["BYE", "UPDATE", "PRACK", "NOTIFY", "CANCEL"])
async def test_requests_for_no_call_are_told_so(server: Server, method: str) -> None:
    async with Peer() as peer:
        assert (await peer.request(method, server.uri("x"))).status == 481


async def test_messages_that_are_none_are_survived(new_server: Callable[..., Server]) -> None:
    server = new_server()
    async with Peer() as peer:
        address = ("127.0.0.1", server.port)
        for raw in (
            b"INVITE", b"\x00" * 100, os.urandom(1400), b"SIP/2.0 200 OK\r\n\r\n", b"INVITE sip:a@b SIP/2.0\r\n\r\n",
            b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x\r\n\r\n", b"X" * 9000,
        ):  # fmt: skip
            peer.send(raw, address)
        for headers in (
            {"Content-Length": "99999"}, {"Content-Type": "multipart/mixed;boundary=x"}, {"From": "garbage"},
            {"Contact": "<sip:x@[::1]:5060>"}, {"Contact": "*"}, {f"X-{n}": "y" for n in range(200)},
            {"Record-Route": f"<sip:{'a' * 500}>"}, {"Session-Expires": "1", "Supported": "timer"},
        ):  # fmt: skip
            call = await peer.invite(server.uri("nobody"), headers=headers)
            peer.send(b"\r\n\r\n", address)
            call.rtp.close()
        assert (await peer.request("OPTIONS", server.uri("x"))).status == 200
        assert server.alive


@pytest.mark.slow
async def test_a_crowd_of_connections_keeps_nobody_out_and_kills_nobody(new_server: Callable[..., Server]) -> None:
    """PJSIP has 64 handles and aborts over one connection too many."""
    server = new_server()
    crowd = []
    for _ in range(150):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", server.port))
        crowd.append(connection)
    async with Peer() as peer:
        await asyncio.sleep(1)
        assert (await peer.request("OPTIONS", server.uri("x"))).status == 200
        call = await peer.invite(server.uri("tone"))
        assert (await call.final()).status == 200
        await call.bye()
    await few_sockets(server)
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", server.port), WAIT_S)
    lines = (
        f"OPTIONS {server.uri('x')} SIP/2.0", "Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKcrowd", "Max-Forwards: 70",
        "From: <sip:t@h>;tag=1", "To: <sip:x@h>", "Call-ID: crowd", "CSeq: 1 OPTIONS", "Content-Length: 0", "", "",
    )  # fmt: skip
    writer.write("\r\n".join(lines).encode())
    assert (await asyncio.wait_for(reader.readline(), WAIT_S)).startswith(b"SIP/2.0 200")
    for connection in crowd:
        connection.close()
    writer.close()
    await few_sockets(server)
    assert server.alive


async def few_sockets(server: Server) -> None:
    """Those of whoever is sent away are closed a moment later."""
    async with asyncio.timeout(WAIT_S):
        while (await server.do("use"))["sockets"] >= 40:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)


async def test_what_the_caller_calls_himself_is_one_line(server: Server) -> None:
    async with Peer() as peer:
        strange = r'"a<b>\" " <sip:%30%0d%0aX@h>;tag=3'
        call = await peer.invite(server.uri("manual"), headers={"From": strange, "X-Customer-Ref": "\udcff\udcfe"})
        told = await server.event("Incoming", id=call.id)
        assert told["caller"] == "0 X"
        assert told["headers"]["X-Customer-Ref"] == "\ufffd\ufffd"
        await server.do("reject", 486, leg=told["leg"])


@given(st.text(max_size=3000))
def test_any_text_can_be_read_as_a_request(text: str) -> None:
    request = read_request(text, ("User-to-User",))
    for value in (request.call_id, request.caller, request.called, request.remote_uri, *request.headers.values()):
        assert not re.search(r"[\r\n\x00]", value)
        assert len(value) <= 1024


HEADERS = st.lists(
    st.sampled_from(
        ["Call-ID: c", "i: c", "From: <sip:a@h>;tag=1", "t: <sip:b@h>;tag=2", "CSeq: 7 REFER", "tag=", "Reason:"]
    )
    | st.text(max_size=60).map("Refer-To: {}".format)
    | st.text('<>sip:@h?Replaces=%3B;to-tagfrom=1,"', max_size=60).map("Refer-To: <sip:b@h?Replaces={}>".format)
    | st.text('Q.850SIP;cause=16,"text', max_size=60).map("Reason: {}".format),
    max_size=8,
)


@given(HEADERS)
def test_any_headers_can_be_read_for_a_transfer(headers: list[str]) -> None:
    raw = "\r\n".join(["REFER sip:b@h SIP/2.0", *headers, "", ""])
    if refer := read_refer(raw):
        assert is_target(refer.target)
        assert refer.replaces is None or read_replaces(refer.replaces)
        assert not re.search(r"[\r\n\x00]", refer.target + (refer.replaces or ""))
    assert q850_of(raw) is None or 0 <= (q850_of(raw) or 0) <= 999


@given(st.text(max_size=400), st.sampled_from(["PCMU", "PCMA", "G722"]))
def test_any_text_can_be_read_as_sdp(text: str, codec: str) -> None:
    for body in (text, GOOD.replace("0 8", text[:50]), GOOD.replace("a=", text[:50])):
        is_safe_sdp(body)
        has_codec(body, (codec,))
        with_codecs(body, (codec,))


def test_an_offer_keeps_the_codecs_it_shall_and_the_keys() -> None:
    left = with_codecs(GOOD, ("PCMA",))
    assert "RTP/AVP 8 101\r\n" in left
    assert "PCMU" not in left
    assert "a=rtpmap:101 telephone-event/8000" in left
    assert has_codec(left, ("PCMA",))
    assert not has_codec(left, ("PCMU",))


@given(st.text(max_size=2000))
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert "\r" not in reason(200, text)


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:1000@h", "1000"),
        ("sip:+8210;phone-context=x:secret@h;user=phone", "+8210"),
        ("tel:+82-10;ext=3", "+82-10"),
        ("sip:%ed%95%9c@h", "한"),
        ("sip:host.only", ""),
        ("", ""),
        ("sip:@h", ""),
    ],
)
def test_the_user_of_a_uri(uri: str, user: str) -> None:
    assert user_part(uri) == user


def test_targets_are_matched_as_a_whole() -> None:
    assert is_allowed("SIP:Agent@pbx", ["sip:agent@*"])
    assert not is_allowed("sip:agent@pbx", ["agent@*", "sip:agent"])
    assert not is_allowed("sip:agent@pbx", [])
    assert is_target("sip:agent@pbx;transport=tcp")
    assert not any(
        is_target(uri) for uri in ("http://x", "sip:", "sip:a b", 'sip:a"b', "sip:a>b", "sip:a\r\nb", "agent")
    )


def test_only_listed_headers_go_out() -> None:
    assert outgoing({"X-A": "1\r\n2", "X-B": "2", "Reason": "r", "X-A\r\n": "3"}, ["x-a"]) == {
        "X-A": "1 2",
        "Reason": "r",
    }


@pytest.mark.parametrize(
    "line", ["c=IN IP4 10.0.0.1/127", "a=rtcp:5001", "a=rtcp:5001 IN IP4 10.0.0.1", "o=- 1 1 IN IP6 ::1"]
)
def test_ordinary_addresses_are_safe(line: str) -> None:
    assert is_safe_sdp(f"v=0\r\n{line}\r\n")


@pytest.mark.parametrize(
    "line",
    [
        "c=IN IP4 ::1",
        "c=IN IP6 ::1",
        "c=IN IP4 h",
        "c=IN IP4",
        "c=IN\tIP4 999.1.1.1",
        "c=X IP4 ::1",
        "c=",
        "a=rtcp:1 IN IP4 h",
        "m=audio 1 RTP/SAVP 0",
        "m=audio 1 UDP/TLS/RTP/SAVPF 0",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:short",
        "a=crypto:1 UNKNOWN nothing:" + "A" * 40,
    ],
)
def test_other_addresses_are_not(line: str) -> None:
    assert not is_safe_sdp(f"v=0\r\n{line}\r\n")
    assert not is_safe_sdp(f"v=0\r{line}\r")
