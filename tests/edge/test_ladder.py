"""A call's SIP messages as a ladder: read, drawn for a terminal, and drawn as a picture."""

from xml.etree import ElementTree as ET

import pytest

from voiceedge.edge.tracing import ladder_picture
from voiceedge.edge.tracing.ladder import lines, read_ladder
from voiceedge.sip.message import read_message, without_secrets

SVG = "{http://www.w3.org/2000/svg}"
BEGAN = 1_795_337_000.0


def said(at, way, first, *, method="INVITE", codecs=(), again=False, direction="", q850=None, text=""):
    """`way` is > for what came, < for what went."""
    code, _, phrase = first.partition(" ")
    status = int(code) if code.isdigit() else None
    return {
        "at": BEGAN + at, "sent": way == "<", "again": again, "method": first if status is None else method,
        "code": status, "phrase": phrase, "sequence": 1, "codecs": list(codecs), "direction": direction, "q850": q850,
        "text": text,
    }  # fmt: skip


def leg(role, far_end, *messages, cause="caller", **facts):
    empty = {"call_id": far_end, "trunk": None, "sip_code": 200, "q850": None, "codec": None, "mos": None}
    return {**empty, "left_out": 0, "role": role, "far_end": far_end, "cause": cause, "messages": messages, **facts}


AGENT = leg("agent", "상담원", said(2, "<", "INVITE"), said(3, ">", "486 Busy Here"), cause="failed", q850=17)
CALLER = leg(
    "caller",
    "***5678",
    said(0, ">", "INVITE", codecs=["PCMA", "PCMU"]),
    said(0.01, "<", "200 OK", codecs=["PCMA"]),
    said(0.51, "<", "200 OK", again=True),
    said(5, ">", "BYE", q850=16),
    said(5.001, "<", "200 OK", method="BYE"),
    trunk="carrier",
)
THIRD = leg("other", "***9", said(4, "<", "INVITE", direction="sendonly"), cause=None)


@pytest.fixture
def ladder():
    return read_ladder("01945a3c-conversation", [AGENT, CALLER, THIRD])


def test_the_caller_stands_left_and_all_messages_are_in_order_of_time(ladder):
    assert [lane.title for lane in ladder.lanes] == ["caller ***5678", "상담원", "other ***9"]
    told = [(round(arrow.at_s, 3), arrow.lane, arrow.label) for arrow in ladder.arrows]
    assert told == [
        (0, 0, "INVITE"), (0.01, 0, "200 OK"), (0.51, 0, "200 OK"), (2, 1, "INVITE"), (3, 1, "486 Busy Here"),
        (4, 2, "INVITE"), (5, 0, "BYE"), (5.001, 0, "200 OK"),
    ]  # fmt: skip


def test_a_terminal_shows_who_said_what_to_whom(ladder):
    drawn = [line for line, _ in lines(ladder)]
    assert drawn[3] == "    0.000   │──────── INVITE ────────▶│" + " " * 25 + "│" + " " * 25 + "│  PCMA/PCMU"
    assert "│◀─── 200 OK (again) ─────│" in drawn[5]
    assert drawn[6].startswith("    2.000   │" + " " * 25 + "│──────── INVITE ────────▶│")
    assert "│◀──── 486 Busy Here ─────│" in drawn[7]
    assert drawn[8].endswith("│" + "─" * 34 + " INVITE ────────▶│  sendonly")  # past the lane between
    assert drawn[9].endswith("Q.850 16")
    assert drawn[10].endswith("to BYE")
    assert drawn[11:] == [
        "caller ***5678: they hung up · 200", "상담원: it came to nothing · 200 · Q.850 17", "other ***9: is up",
    ]  # fmt: skip
    assert [style for _, style in lines(ladder)][3:9] == [
        "request", "success", "again", "request", "refusal", "request",
    ]  # fmt: skip


def test_wide_letters_take_two_places(ladder):
    heads = next(line for line, style in lines(ladder) if style == "lane")
    before = heads.partition("상담원")[0]
    assert len(before) == 12 + 26 * 2 - 3
    assert heads.index("other") == 12 + 26 * 3 - len("other ***9") // 2 - 3


def test_the_picture_is_well_formed_whatever_was_said():
    evil = leg("caller", '<&">', said(0, ">", "INVITE", text="INVITE <sip:x>\r\n&"), said(1, "<", "400 <b>&"))
    root = ET.fromstring(ladder_picture.draw(read_ladder("<id>", [evil])))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"<id>", 'caller <&">', "INVITE", "400 <b>&", "1.000 s"} <= set(texts)
    assert "INVITE <sip:x>\n&" in [title.text for title in root.iter(f"{SVG}title")]


def test_the_picture_has_an_arrow_for_each_message(ladder):
    root = ET.fromstring(ladder_picture.draw(ladder))
    groups = [group.get("class") for group in root.iter(f"{SVG}g")]
    assert groups == [
        "request", "success", "success again", "request", "refusal", "request", "request", "success",
    ]  # fmt: skip
    width, height = float(root.get("width")), float(root.get("height"))
    for line in root.iter(f"{SVG}line"):
        assert 0 < min(float(line.get("x1")), float(line.get("x2"))) <= max(float(line.get("x1")), width) == width
        assert 0 < float(line.get("y1")) <= float(line.get("y2")) < height


def test_a_call_that_nothing_is_known_of_can_be_drawn():
    empty = read_ladder("x", [leg("caller", "")])
    assert list(lines(empty))[-1][0] == "caller: they hung up · 200"
    ET.fromstring(ladder_picture.draw(empty))


SDP = "v=0\r\nm=audio 4000 RTP/SAVP 0 96 101\r\na=rtpmap:96 opus/48000\r\na=rtpmap:101 telephone-event/8000\r\n"


def test_a_message_is_read_for_its_line():
    raw = f"SIP/2.0 183 Läuft\r\nCSeq: 7 INVITE\r\nReason: Q.850;cause=17\r\n\r\n{SDP}a=sendonly\r\n".encode()
    facts = read_message(raw)
    assert (facts.method, facts.code, facts.phrase, facts.sequence) == ("INVITE", 183, "Läuft", 7)
    assert (facts.codecs, facts.direction, facts.q850) == (("PCMU", "opus"), "sendonly", 17)
    ack = read_message(b"ACK sip:x SIP/2.0\r\nCSeq: 7 ACK\r\n\r\n")
    assert (ack.method, ack.code, ack.codecs, ack.q850) == ("ACK", None, (), None)
    for hostile in (
        b"",
        b"\xff\xfe",
        b"SIP/2.0 ",
        b"SIP/2.0 999999 x",
        b"X" * 4000,
        b"INVITE\r\nCSeq: x\r\n\r\nm=audio",
    ):
        read_message(hostile)


def test_keys_and_passwords_are_in_no_trace():
    raw = (
        b'INVITE sip:x SIP/2.0\r\nproxy-authorization: Digest username="kim", response="abc"\r\nTo: <sip:15881234@x>'
        b"\r\n\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20\r\n"
    )
    shown = without_secrets(raw)
    assert "abc" not in shown
    assert "c2VjcmV0" not in shown
    assert "proxy-authorization: Digest …\r\n" in shown
    assert "inline:…|2^20" in shown
    assert "sip:15881234@x" in shown


def test_no_message_gives_orders_to_a_terminal():
    shown = without_secrets("INVITE \x1b[2J\x9b1m\x00 상담\t\r\n".encode())
    assert shown == "INVITE \ufffd[2J\ufffd1m\ufffd 상담\t\r\n"
