"""Keys: one event per press, at once, however they are told."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peer import Peer, PeerCall
from served import Server

from voiceedge.sip.keys import END, PAIRING_NS, UPDATE, KeyPresses

MS = 1_000_000


async def answered(peer: Peer, server: Server) -> tuple[PeerCall, int]:
    call = await peer.invite(server.uri("answer"))
    await call.final()
    leg = (await server.event("Incoming", id=call.id))["leg"]
    await server.event("Answered", leg)
    return call, leg


async def keys(server: Server, leg: int) -> str:
    """All that came within a while."""
    await asyncio.sleep(0.4)
    return "".join(told["key"] for told in server.told("Key", leg))


@pytest.mark.parametrize("marker", [True, False], ids=["marked", "unmarked"])
@pytest.mark.parametrize("end_copies", [1, 3, 5])
async def test_each_press_is_one_key(server: Server, marker: bool, end_copies: int) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        for key in "15*":
            await call.press(key, 100, marker=marker, end_copies=end_copies)
            await asyncio.sleep(0.06)
        assert await keys(server, leg) == "15*"
        await call.bye()


@pytest.mark.parametrize("gap_ms", [20, 200])
async def test_the_same_key_twice_is_two_keys(server: Server, gap_ms: int) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        for _ in range(3):
            await call.press("1", 60)
            await asyncio.sleep(gap_ms / 1000)
        assert await keys(server, leg) == "111"
        await call.bye()


async def test_a_sender_that_counts_the_timestamp_on_presses_once(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        await call.press("4", 200, drifting=True)
        assert await keys(server, leg) == "4"
        await call.bye()


async def test_a_key_is_reported_when_it_begins(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        press = await call.press("9", 2000)
        told = await server.event("Key", leg)
        assert told["at_ns"] - press.sent_ns < 1000 * MS  # half of the press: no timing claim, only "not at its end"
        await call.bye()


async def test_keys_come_by_info(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        for key in "3#":
            assert (await call.info(key)).status == 200
        for body in ("Signal=5\r\n", "Signal= 6\r\nDuration= 100", "Signal=7\nDuration=100\n"):
            assert (await call.send("INFO", {"Content-Type": "application/dtmf-relay"}, body)).status == 200
        assert await keys(server, leg) == "3#567"
        await call.bye()


async def test_a_press_told_by_both_methods_is_one_key(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        for key in "2255":
            await call.press(key, 100)
            await call.info(key)
        assert await keys(server, leg) == "2255"
        await call.bye()


@pytest.mark.parametrize("signal", ["x", "", "16", "\x00", "1" * 500, "한", "=", "5 6"])
async def test_nonsense_in_info_is_refused(server: Server, signal: str) -> None:
    """PJSIP aborts over some of these."""
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        assert (await call.info(signal)).status == 415
        assert (await call.info("5", kind="text/plain")).status == 415
        assert (await call.info("5")).status == 200
        assert await keys(server, leg) == "5"
        await call.bye()


def test_a_late_packet_of_a_press_is_not_another() -> None:
    presses = KeyPresses()
    assert presses.rfc4733("5", 1000, 0, 20, 0)
    assert presses.rfc4733("5", 1000, UPDATE | END, 60, 60 * MS) is None
    assert presses.rfc4733("5", 1000, 0, 40, 61 * MS) is None  # overtaken: PJSIP takes it for a new one


def test_a_press_whose_beginning_was_lost_is_a_key() -> None:
    presses = KeyPresses()
    presses.rfc4733("5", 1000, 0, 20, 0)
    presses.rfc4733("5", 1000, UPDATE | END, 100, 100 * MS)
    assert presses.rfc4733(
        "5", 9000, UPDATE, 120, 900 * MS
    )  # longer already: PJSIP takes it for the first one going on


def test_both_methods_are_paired_only_for_a_while() -> None:
    presses = KeyPresses()
    assert presses.rfc4733("5", 1000, END, 100, 0)
    assert presses.info("5", 100, PAIRING_NS + 1)


@given(st.lists(st.tuples(st.sampled_from("0123456789*#ABCD"), st.booleans()), max_size=40))
def test_pairs_never_swallow_a_press(pressed: list[tuple[str, bool]]) -> None:
    """Each press told by RFC 4733 and, for some senders, by INFO after it."""
    presses = KeyPresses()
    both = any(also for _, also in pressed)
    heard = []
    for number, (key, _) in enumerate(pressed):
        now = number * 300 * MS
        told = [
            presses.rfc4733(key, number * 1000, 0, 20, now),
            presses.rfc4733(key, number * 1000, UPDATE | END, 100, now),
        ]
        told += [presses.info(key, 100, now + 100 * MS)] if both else []
        heard += [event.key for event in told if event]
    assert heard == [key for key, _ in pressed]
