"""Keys: one event per press, at once, however they are told."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peer import Peer, PeerCall
from served import Server, until

from voiceedge.sip.events import Key
from voiceedge.sip.keys import END, PAIRING_NS, SKEW_NS, UPDATE, KeyPresses

MS = 1_000_000


async def answered(peer: Peer, server: Server) -> tuple[PeerCall, int]:
    call = await peer.invite(server.uri("answer"))
    await call.final()
    leg = (await server.event("Incoming", id=call.id))["leg"]
    await server.event("Answered", leg)
    return call, leg


async def keys(server: Server, leg: int, count: int) -> str:
    """All that came: so many, and what more comes within a while."""
    await until(lambda: len(server.told("Key", leg)) >= count)
    await asyncio.sleep(0.4)
    return "".join(told["key"] for told in server.told("Key", leg))


@pytest.mark.slow
async def test_the_keys_of_a_long_call_are_its_own_however_many_come_and_go(server: Server) -> None:
    async with Peer() as peer:
        long, its = await answered(peer, server)
        for _ in range(63):  # the media thread's memory of calls is no longer
            call = await peer.invite(server.uri("answer"))
            await call.final()
            await call.bye()
        late, leg = await answered(peer, server)
        assert leg == its + 64
        await long.press("7")
        assert (await keys(server, its, 1), server.told("Key", leg)) == ("7", [])
        await late.press("9")
        assert await keys(server, leg, 1) == "9"
        for call in (long, late):
            await call.bye()


@pytest.mark.parametrize("marker", [True, False], ids=["marked", "unmarked"])
@pytest.mark.parametrize("end_copies", [1, 3, 5])
async def test_each_press_is_one_key(server: Server, marker: bool, end_copies: int) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        for key in "15*":
            await call.press(key, 100, marker=marker, end_copies=end_copies)
            await asyncio.sleep(0.06)
        assert await keys(server, leg, 3) == "15*"
        await call.bye()


@pytest.mark.parametrize("gap_ms", [20, 200])
async def test_the_same_key_twice_is_two_keys(server: Server, gap_ms: int) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        for _ in range(3):
            await call.press("1", 60)
            await asyncio.sleep(gap_ms / 1000)
        assert await keys(server, leg, 3) == "111"
        await call.bye()


async def test_a_sender_that_counts_the_timestamp_on_presses_once(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        await call.press("4", 200, drifting=True)
        assert await keys(server, leg, 1) == "4"
        await call.bye()


async def test_a_key_is_reported_when_it_begins(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        press = call.rtp.press("9", 20_000)
        await server.event("Key", leg)
        assert not press.done.is_set()  # no timing claim, only "not at its end"
        await call.bye()


async def test_keys_come_by_info(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        for key in "3#":
            assert (await call.info(key)).status == 200
        for body in ("Signal=5\r\n", "Signal= 6\r\nDuration= 100", "Signal=7\nDuration=100\n"):
            assert (await call.send("INFO", {"Content-Type": "application/dtmf-relay"}, body)).status == 200
        assert await keys(server, leg, 5) == "3#567"
        await call.bye()


async def test_a_press_told_by_both_methods_is_one_key(server: Server) -> None:
    async with Peer() as peer:
        for _ in range(5):
            call, leg = await answered(peer, server)
            apart_ns = 0
            for key in "2255":
                press = await call.press(key, 100)
                await call.info(key)
                apart_ns = max(apart_ns, time.monotonic_ns() - press.sent_ns)
            found = await keys(server, leg, 4)
            await call.bye()
            if apart_ns < PAIRING_NS:
                break  # else a machine that stood still has parted what belongs together
        assert found == "2255"


@pytest.mark.parametrize("signal", ["x", "", "16", "\x00", "1" * 500, "한", "=", "5 6"])
async def test_nonsense_in_info_is_refused(server: Server, signal: str) -> None:
    """PJSIP aborts over some of these."""
    async with Peer() as peer:
        call, leg = await answered(peer, server)
        assert (await call.info(signal)).status == 415
        assert (await call.info("5", kind="text/plain")).status == 415
        assert (await call.info("5")).status == 200
        assert await keys(server, leg, 1) == "5"
        await call.bye()


def test_a_late_packet_of_a_press_is_not_another() -> None:
    presses = KeyPresses()
    assert presses.rfc4733("5", 1000, 0, 20, 0)
    assert presses.rfc4733("5", 1000, UPDATE | END, 60, 60 * MS) is None
    assert presses.rfc4733("5", 1000, 0, 40, 61 * MS) is None  # overtaken: PJSIP takes it for a new one


def test_a_timestamp_that_comes_again_for_another_key_is_another_press() -> None:
    """Some senders never move it on."""
    presses = KeyPresses()
    assert presses.rfc4733("5", 1000, 0, 20, 0)
    presses.rfc4733("5", 1000, UPDATE | END, 60, 60 * MS)
    told = presses.rfc4733("6", 1000, 0, 20, 2000 * MS)
    assert told
    assert told.key == "6"
    assert presses.rfc4733("6", 1000, UPDATE | END, 60, 2060 * MS) is None
    assert presses.rfc4733("5", 1000, UPDATE | END, 60, 2061 * MS) is None  # a late copy


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


HEARD_MS = 45  # of a tone until it is told


def test_a_tone_that_leaks_before_rfc4733_begins_is_the_same_press() -> None:
    presses = KeyPresses()
    assert presses.in_band("5", 0, HEARD_MS * MS) == Key("5", HEARD_MS, "in_band", HEARD_MS * MS)
    presses.in_band_over(60 * MS)
    assert presses.rfc4733("5", 1000, 0, 20, 80 * MS) is None
    assert presses.info("5", 300, 400 * MS) is None


def test_a_tone_that_comes_through_the_jitter_buffer_after_rfc4733_is_the_same_press() -> None:
    presses = KeyPresses()
    assert presses.rfc4733("5", 1000, 0, 20, 0)
    assert presses.rfc4733("5", 1000, END, 100, 100 * MS) is None
    assert presses.in_band("5", SKEW_NS, SKEW_NS + HEARD_MS * MS) is None
    assert presses.in_band("5", SKEW_NS + 150 * MS, SKEW_NS + 200 * MS)  # but told twice it is two


def test_info_at_the_end_of_a_long_press_is_the_same_press() -> None:
    for way in ("rfc4733", "in_band"):
        presses = KeyPresses()
        assert presses.in_band("5", 0, HEARD_MS * MS) if way == "in_band" else presses.rfc4733("5", 1000, 0, 20, 0)
        if way == "rfc4733":
            for ms in range(50, 5000, 50):
                assert presses.rfc4733("5", 1000, UPDATE, ms, ms * MS) is None
        assert presses.info("5", 5000, 5000 * MS) is None
        presses.in_band_over(5000 * MS)
        assert presses.info("5", 5000, 5500 * MS)  # but told twice it is two


def test_a_tone_with_a_gap_is_one_press_where_rfc4733_says_so() -> None:
    presses = KeyPresses()
    assert presses.rfc4733("5", 1000, 0, 20, 0)
    assert presses.in_band("5", 100 * MS, 145 * MS) is None  # out of the jitter buffer
    presses.in_band_over(500 * MS)
    presses.rfc4733("5", 1000, UPDATE, 500, 500 * MS)
    assert presses.in_band("5", 560 * MS, 605 * MS) is None  # two packets were lost
    presses.rfc4733("5", 1000, UPDATE | END, 700, 700 * MS)
    presses.in_band_over(800 * MS)
    assert presses.in_band("5", 860 * MS, 905 * MS)


def test_a_tone_that_is_no_key_is_none() -> None:
    presses = KeyPresses()
    assert presses.in_band("x", 0, 1) is None
    presses.in_band_over(2)
    assert presses.rfc4733("", 1, 0, 0, 0) is None


@dataclass(frozen=True)
class Press:
    key: str
    begins_ms: int
    lasts_ms: int
    ways: frozenset[str]
    leaks: bool  # of its tone only the beginning is heard


@dataclass(frozen=True)
class Sender:
    """How late each way is. RFC 4733 also comes earlier: audio waits in the jitter buffer."""

    rfc4733_ms: int
    info_ms: int
    packet_ms: int
    end_copies: int

    def tells(self, number: int, press: Press, presses: KeyPresses) -> list[tuple[float, object]]:
        """What to call, and when."""
        told: list[tuple[float, object]] = []
        ends = press.begins_ms + press.lasts_ms

        def packet(at_ms: int, flags: int) -> None:
            told.append((at_ms, lambda: presses.rfc4733(press.key, number, flags, at_ms, at_ms * MS)))

        if "rfc4733" in press.ways:
            begins = press.begins_ms + self.rfc4733_ms
            packet(begins, 0)
            for at_ms in range(begins + self.packet_ms, ends + self.rfc4733_ms, self.packet_ms):
                packet(at_ms, UPDATE)
            for copy in range(self.end_copies):
                packet(ends + self.rfc4733_ms + copy, UPDATE | END)
        if "in_band" in press.ways:
            over = press.begins_ms + 50 if press.leaks and "rfc4733" in press.ways else ends
            heard = press.begins_ms + min(HEARD_MS, over - press.begins_ms)
            told += [
                (heard, lambda: presses.in_band(press.key, press.begins_ms * MS, heard * MS)),
                (over + 30, lambda: presses.in_band_over(over * MS)),
            ]
        if "info" in press.ways:
            at_ms = ends + self.info_ms
            told.append((at_ms, lambda: presses.info(press.key, press.lasts_ms, at_ms * MS)))
        return told


WAYS = ("rfc4733", "in_band", "info")
senders = st.builds(
    Sender,
    rfc4733_ms=st.integers(-150, 250),
    info_ms=st.integers(0, 400),
    packet_ms=st.sampled_from([20, 50]),
    end_copies=st.integers(1, 3),
)


@st.composite
def pressed(draw: st.DrawFn, pause_ms: tuple[int, int], always: frozenset[str]) -> list[Press]:
    """Presses that are told by any of the ways, in any case by `always`, or else by one at least."""
    presses, now = [], 1000
    for _ in range(draw(st.integers(1, 12))):
        some = draw(st.sets(st.sampled_from(WAYS), min_size=0 if always else 1))
        lasts = draw(st.integers(40, 300) | st.integers(300, 3000))
        presses.append(Press(draw(st.sampled_from("12")), now, lasts, frozenset(some) | always, draw(st.booleans())))
        now += lasts + draw(st.integers(*pause_ms))
    return presses


def heard(presses: list[Press], sender: Sender) -> str:
    memory = KeyPresses()
    told = [one for number, press in enumerate(presses) for one in sender.tells(number, press, memory)]
    events = [call() for _, call in sorted(told, key=lambda one: one[0])]
    return "".join(event.key for event in events if event)


@given(st.sampled_from(WAYS).flatmap(lambda way: pressed((40, 600), frozenset([way]))), senders)
def test_where_one_way_tells_every_press_the_others_may_miss_any(presses: list[Press], sender: Sender) -> None:
    """Only their order may suffer: a press that the quicker way missed can be told after the next."""
    assert Counter(heard(presses, sender)) == Counter(press.key for press in presses)


@given(pressed((40, 600), frozenset(WAYS)), senders)
def test_what_is_told_by_all_ways_is_told_in_order(presses: list[Press], sender: Sender) -> None:
    assert heard(presses, sender) == "".join(press.key for press in presses)


@given(pressed((1500, 3000), frozenset()), senders)
def test_unhurried_presses_are_right_by_whichever_way_each_comes(presses: list[Press], sender: Sender) -> None:
    assert heard(presses, sender) == "".join(press.key for press in presses)
