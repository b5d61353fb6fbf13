"""A network that loses a tenth of all packets, and callers who go on from another address."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from peer import Peer, PeerCall
from rtp import RATE, RtpStream
from service import Events, RunningService
from talk import Talk, answered, now_ns, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/usr/sbin/kamailio").exists() and not shutil.which("kamailio"), reason="no Kamailio"),
]

LOSS = 0.1
ELSEWHERE = "127.0.0.9"


@pytest.fixture(scope="module")
def service(light) -> Iterator[RunningService]:
    with light(
        sip={"max_calls": 4, "no_rtp_s": 4.0},
        workers={"media_priority": "normal"},
        front={"enabled": True, "flood_per_s": 1000},
    ) as running:
        yield running


@asynccontextmanager
async def caller(service: RunningService, events: Events, number: str, loss: float = 0.0) -> AsyncIterator[Talk]:
    """Answered; each message and each packet, either way, is lost with the probability `loss`."""

    def stream(host: str) -> RtpStream:
        made = RtpStream(host)
        made.loss = loss
        return made

    async with Peer(new_stream=stream) as peer:
        peer.loss = loss
        call = await answered(peer, service.uri(number))
        yield Talk(peer, call, events)


async def test_of_a_tenth_of_all_packets_lost_no_key_is_and_none_comes_twice(service):
    async with (
        service.events() as events,
        caller(service, events, "2000", LOSS) as lossy,
        caller(service, events, "2000") as clean,
    ):
        ways = [(lossy, "11223344556#77881"), (clean, "11223344556#77881")]
        await asyncio.gather(*(call.press(keys) for call, keys in ways))
        for call, _ in ways:
            await call.call.ended()
            assert (await call.over())["outcome"] == "took_numbers"
            assert call.turns == [("accept", "11223344556"), ("accept", "7788"), ("accept", "right")]
        bad, good = [(await call.until("leg.ended")) for call in (lossy, clean)]
        assert 0.5 * lossy.rtp.dropped <= bad["lost_in"] <= 1.1 * lossy.rtp.dropped + 2
        assert lossy.rtp.dropped > 10
        assert good["lost_in"] == 0
        assert bad["mos"] < good["mos"] - 0.3


async def speaks(rtp: RtpStream, since_ns: int) -> None:
    """We hear at least a second of it."""
    await until(lambda: len(rtp.heard(since_ns)) > RATE)


async def test_audio_follows_a_caller_whose_packets_come_from_another_address(service):
    async with service.events() as events, caller(service, events, "2000") as call:
        await call.spoken_to()
        await asyncio.sleep(1)
        call.rtp.move(ELSEWHERE)
        await speaks(call.rtp, now_ns())
        await call.press("1234567#40991")
        await call.call.ended()
        await call.over()
        assert [value for _, value in call.turns] == ["1234567", "4099", "right"]


async def test_a_caller_goes_on_from_another_phone_address_by_a_new_invite(service):
    async with service.events() as events, caller(service, events, "2000") as call, Peer(ELSEWHERE) as other:
        await call.spoken_to()
        roam(call.call, other)
        call.rtp.move(ELSEWHERE)
        response = await call.call.reinvite()
        assert response.status == 200
        await speaks(call.rtp, now_ns())
        await call.press("1234567#40991")
        await call.call.ended()
        assert call.call.requests[-1].method == "BYE", "it comes to where the caller is now"
        await call.over()
        assert [value for _, value in call.turns] == ["1234567", "4099", "right"]


def roam(call: PeerCall, to: Peer) -> None:
    """The call's messages come from and go to another socket, as when a phone changes its network."""
    del call.peer._calls[call.id]
    call.peer = to
    to._calls[call.id] = call
