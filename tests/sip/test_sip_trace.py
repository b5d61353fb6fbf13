"""What is kept of the messages of each leg, by calls over loopback."""

import asyncio
import itertools
import re
import time

import pytest
from peer import Peer
from served import Server

from voiceedge.sip import trace
from voiceedge.sip.trace import SipMessage, Talk, Trace


def first_words(said):
    """Each message as `> INVITE`, `< 200 INVITE`: > came, < went. What a busy machine repeats counts once."""
    return list(dict.fromkeys(map(first_word, said)))


def first_word(message):
    sent, text, _ = message
    first = text.partition(" ")[0]
    method = re.search(r"(?im)^cseq: *\d+ +(\w+)", text)
    assert method
    return ("< " if sent else "> ") + (f"{text[8:11]} {method[1]}" if first == "SIP/2.0" else first)


async def test_a_call_is_kept_word_for_word_with_its_ack(server: Server) -> None:
    before = time.time()
    async with Peer() as peer:
        call = await peer.invite(server.uri("answer"), headers={"X-Marked": "a grünes Wort"})
        await call.final()
        await server.event("Answered")
        await call.bye()
        await server.event("Ended")
        (talk,) = await server.do("trace", call.id)
    assert first_words(talk["said"]) == [
        "> INVITE", "< 100 INVITE", "< 200 INVITE", "> ACK", "> BYE", "< 200 BYE",
    ]  # fmt: skip
    texts = {first_word(message): message[1] for message in talk["said"]}
    invite, answer = texts["> INVITE"], texts["< 200 INVITE"]
    assert "X-Marked: a grünes Wort\r\n" in invite
    assert invite.endswith("a=sendrecv\r\n")
    assert "\r\nm=audio " in answer
    times = [at for *_, at in talk["said"]]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= time.time()
    assert talk["left_out"] == 0


async def test_a_call_we_place_is_kept_too_and_so_is_one_that_is_refused(server: Server) -> None:
    async with Peer() as peer:
        await server.do("call", peer.uri, {})
        call = await peer.incoming()
        (talk,) = await server.do("trace", call.id)
        assert first_words(talk["said"])[:1] == ["< INVITE"]  # while it rings
        await call.answer(486)
        await server.event("Ended", sip_code=486)
        await until_said(server, call.id, ["< INVITE", "> 486 INVITE", "< ACK"])


async def until_said(server, call_id, wanted):
    async with asyncio.timeout(30):
        while True:
            (talk,) = await server.do("trace", call_id)
            if (found := first_words(talk["said"])) == wanted:
                return
            await asyncio.sleep(0.02)
            assert len(found) <= len(wanted), found


async def test_a_message_that_is_repeated_is_seen_again(server: Server) -> None:
    """RFC 3261, 13.3.1.4: the 200 is repeated until the ACK comes."""
    async with Peer() as peer:
        call = await peer.invite(server.uri("answer"), acknowledge=False)
        await call.final()
        async with asyncio.timeout(30):
            while True:
                (talk,) = await server.do("trace", call.id)
                answers = [text for sent, text, _ in talk["said"] if text.startswith("SIP/2.0 200")]
                if len(answers) > 1:
                    break
                await asyncio.sleep(0.05)
        assert answers[0] == answers[1]
        call.acknowledge()
        await call.bye()


async def test_knocking_and_questions_leave_no_trace_and_drive_none_out(server: Server) -> None:
    async with Peer() as peer:
        call = await peer.invite(server.uri("answer"))
        await call.final()
        for number in range(trace.MOST_STRANGERS + 2):
            branch = peer.via(f"z9hG4bKx{number}")
            strange = {"Via": branch, "Call-ID": f"strange-{number}", "From": "<sip:a@127.0.0.1>;tag=1"}
            body = "v=0\r\nc=IN IP6 x\r\n"  # refused by the gate
            strange |= {"To": "<sip:x@127.0.0.1>", "CSeq": "1 INVITE", "Content-Type": "application/sdp"}
            peer.send(peer.write(f"INVITE {server.uri('x')} SIP/2.0", strange, body), ("127.0.0.1", server.port))
        await peer.request("OPTIONS", server.uri("x"), {"Call-ID": "asked"})
        first, last, asked, talk = await server.do("trace", "strange-0", "strange-17", "asked", call.id)
        assert (first["said"], asked["said"]) == ([], [])
        assert first_words(last["said"]) == ["> INVITE", "< 488 INVITE"]
        assert first_words(talk["said"])[:1] == ["> INVITE"]
        await call.bye()


def test_of_a_long_talk_the_beginning_and_the_end_are_kept() -> None:
    talk = Talk()
    for number in range(trace.MOST_MESSAGES + 50):
        talk.add(SipMessage(number, sent=True, text=b"x"))
    assert (len(talk.messages), talk.left_out) == (trace.MOST_MESSAGES, 50)
    assert [talk.messages[place].at for place in (0, 10, -1)] == [0, 10, trace.MOST_MESSAGES + 49]
    for number in range(50):
        talk.add(SipMessage(number, sent=True, text=b"x" * 4000))
    assert sum(len(message.text) for message in talk.messages) == talk.size <= trace.MOST_BYTES


@pytest.fixture
def kept(monkeypatch) -> Trace:
    """A trace that reads texts where it would read PJSIP's structures."""
    kept = Trace()
    monkeypatch.setattr(kept._wire, "received", lambda text: text)
    return kept


def test_legs_that_are_up_stay_however_many_come_and_go(kept: Trace) -> None:
    invite = b"INVITE sip:a@b SIP/2.0\r\ni : %s \r\n\r\n"
    kept._received(invite % b"up")
    kept.begin("up")
    names = [f"leg-{number}" for number in range(trace.MOST_LEGS + 3)]
    for name in names:
        kept._received(invite % name.encode())
        kept.begin(name)
        kept.over(name)
    assert [bool(kept.of(name).messages) for name in ("up", names[2], names[3], names[-1])] == [True, False, True, True]
    kept.over("up")
    assert [bool(kept.of(name).messages) for name in ("up", names[3])] == [True, False]


def test_a_second_call_of_the_same_name_loses_nothing(kept: Trace) -> None:
    for _ in itertools.repeat(None, 2):
        kept._received(b"INVITE sip:a@b SIP/2.0\r\nCall-ID: same\r\n\r\n")
        kept.begin("same")
    kept.over("same")
    kept.over("same")
    assert len(kept.of("same").messages) == 2
