"""Audio as carriers send it: packets of any length, comfort noise, sources that change, gaps."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from peer import Peer, PeerCall, sdp
from rtp import PCMU, encode, tone
from served import NO_RTP_S, Server, until
from test_sip_bridge import HIGH, LONG_MS, answered, hears

COMFORT_NOISE = 13  # RFC 3389


@dataclass
class Sender:
    """RTP written by hand from a call's own socket, at the pace of its audio."""

    call: PeerCall
    ssrc: int = 0x1234
    sequence: int = 100
    timestamp: int = 5000
    due: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.call.rtp.pause()

    async def send(self, payload_type: int, payload: bytes, ms: int, *, marker: bool = False) -> None:
        assert self.call.media
        second = payload_type | (0x80 if marker else 0)
        header = struct.pack("!BBHII", 0x80, second, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc)
        self.call.rtp.socket.sendto(header + payload, (self.call.media.host, self.call.media.port))
        self.sequence += 1
        self.timestamp += 8 * ms
        self.due += ms / 1000
        await asyncio.sleep(max(0.0, self.due - time.monotonic()))

    async def say(self, pcm: np.ndarray, ms: int) -> None:
        """Whole packets of `ms` each."""
        for start in range(0, len(pcm) - 8 * ms + 1, 8 * ms):
            await self.send(PCMU, encode(PCMU, pcm[start : start + 8 * ms]), ms)


@asynccontextmanager
async def saying(sender: Sender, ptime: int) -> AsyncIterator[None]:
    """A tone, for as long as the block lasts."""
    task = asyncio.create_task(sender.say(tone(HIGH, LONG_MS, 0.3), ptime))
    yield
    task.cancel()


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
async def test_packets_of_any_length_are_understood_and_sent_as_asked(server: Server, ptime: int) -> None:
    """a=ptime (RFC 4566, 6; RFC 3551, 4.2)."""
    async with Peer() as customer, Peer() as agent:
        one, leg = await answered(server, customer, codecs=(PCMU,))
        two, other = await answered(server, agent)
        await server.do("bridge", other, leg=leg)
        offer = sdp("127.0.0.1", one.rtp.port, (PCMU,)) + f"a=ptime:{ptime}\r\n"
        assert (await one.reinvite(body=offer)).status == 200
        async with saying(Sender(one), ptime):
            assert await hears(two, HIGH, 0.3)
            first = len(one.rtp.packets)
            await until(lambda: len(one.rtp.packets) > first + 5)
        lengths = {len(packet.payload) for packet in list(one.rtp.packets)[first:]}
        assert lengths == {8 * ptime}
        await one.bye()
        await two.bye()


async def test_comfort_noise_is_no_sound_and_keeps_the_call(server: Server) -> None:
    """RFC 3389: a silent caller sends but a packet now and then. Silent calls end in NO_RTP_S."""
    async with Peer() as customer, Peer() as agent:
        one, leg = await answered(server, customer, codecs=(PCMU,))
        two, other = await answered(server, agent)
        await server.do("bridge", other, leg=leg)
        sender = Sender(one)
        since = time.monotonic_ns()
        while time.monotonic_ns() - since < (NO_RTP_S + 1) * 1_000_000_000:
            await sender.send(COMFORT_NOISE, bytes([70]), 300)
        assert two.rtp.sound_ns(since + 200_000_000) is None
        await sender.send(PCMU, encode(PCMU, tone(HIGH, 20, 0.3)), 20, marker=True)
        await sender.say(tone(HIGH, 400, 0.3), 20)
        assert await until(lambda: two.rtp.sound_ns(since + 200_000_000))
        assert not server.told("Ended", leg)
        await one.bye()
        await two.bye()


async def test_a_caller_who_listens_in_silence_is_there_as_long_as_he_reports(server: Server) -> None:
    """RTCP receiver reports (RFC 3550, 6.4.2) in place of audio that silence suppression leaves out."""
    async with Peer() as peer:
        call, leg = await answered(server, peer, codecs=(PCMU,))
        sender = Sender(call)
        await sender.say(tone(HIGH, 200, 0.3), 20)
        assert call.media
        ours = await until(lambda: call.rtp.packets and call.rtp.packets[-1])
        source = ours.ssrc
        for _ in range(int(2 * NO_RTP_S) + 2):
            report = struct.pack("!BBHI", 0x81, 201, 7, sender.ssrc)
            report += struct.pack("!IIIIII", source, 0, ours.sequence, 40, 0, 0)
            call.rtp._control.sendto(report, (call.media.host, call.media.port + 1))
            await asyncio.sleep(0.5)
        assert not server.told("Ended", leg)
        quality = await server.do("quality", leg=leg)
        assert quality["jitter_out_ms"] == 5.0
        await call.ended()  # reports stopped too
        assert (await server.event("Ended", leg))["cause"] == "no_rtp"


async def test_a_source_that_changes_in_mid_call_is_heard_on(server: Server) -> None:
    """A new SSRC, sequence and clock after a failover at the carrier's (RFC 3550, 8.2)."""
    async with Peer() as customer, Peer() as agent:
        one, leg = await answered(server, customer, codecs=(PCMU,))
        two, other = await answered(server, agent)
        await server.do("bridge", other, leg=leg)
        sender = Sender(one)
        for ssrc, sequence, timestamp in ((1, 60000, 0), (0xDEADBEEF, 5, 4_000_000_000), (7, 40000, 77)):
            sender.ssrc, sender.sequence, sender.timestamp = ssrc, sequence, timestamp
            async with saying(sender, 20):
                assert await hears(two, HIGH, 0.3)
        await one.bye()
        await two.bye()


async def test_audio_from_another_address_is_followed(server: Server) -> None:
    """A gateway fails over or a NAT maps anew, in mid-call and without a word of SIP: RFC 4961 is not kept."""
    async with Peer() as customer, Peer() as agent:
        one, leg = await answered(server, customer, codecs=(PCMU,))
        two, other = await answered(server, agent)
        await server.do("bridge", other, leg=leg)
        await until(lambda: one.rtp.packets)
        elsewhere = customer.new_stream("127.0.0.1")
        assert one.media
        one.rtp.pause()
        elsewhere.start((one.media.host, one.media.port), PCMU, 101)
        elsewhere.say(tone(HIGH, LONG_MS, 0.3))
        await until(lambda: elsewhere.packets)  # what we say goes there too
        assert await hears(two, HIGH, 0.3)
        elsewhere.close()
        await one.bye()
        await two.bye()


async def test_packets_that_are_none_or_a_strangers_harm_nobody(server: Server) -> None:
    async with Peer() as peer:
        call, leg = await answered(server, peer, codecs=(PCMU,))
        assert call.media
        to = (call.media.host, call.media.port)
        for junk in (
            b"",
            b"\x80",
            b"\x80\x00" * 6,
            bytes(1600),
            struct.pack("!BBHII", 0x9F, 0, 1, 1, 1) + b"\xff" * 8,
            bytes([0x80, 96]) + bytes(10),
        ):
            call.rtp.socket.sendto(junk, to)
            call.rtp._control.sendto(junk, (to[0], to[1] + 1))
        await call.press("5")
        await server.event("Key", leg, key="5")
        await call.bye()
