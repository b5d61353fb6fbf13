"""Calls as a Homer server sees them: copies of their messages in HEP version 3."""

import asyncio
import socket
import struct

from front_rig import Rig, needs_kamailio, until

pytestmark = needs_kamailio

PROTOCOL, SOURCE, TARGET, PAYLOAD = 11, 3, 4, 15  # chunk types of HEP 3
SIP = 1


class Homer(asyncio.DatagramProtocol):
    """Each packet's chunks by their type."""

    def __init__(self):
        self.packets = []

    def datagram_received(self, data, _source):
        magic, length = struct.unpack_from("!4sH", data)
        assert (magic, length) == (b"HEP3", len(data))
        chunks, at = {}, 6
        while at < length:
            vendor, kind, size = struct.unpack_from("!HHH", data, at)
            assert (vendor, size >= 6) == (0, True)
            chunks[kind] = data[at + 6 : at + size]
            at += size
        self.packets.append(chunks)

    def said(self, call_id):
        """First lines of what was said about a call, without repetitions."""
        texts = [packet[PAYLOAD] for packet in self.packets]
        mine = [text.partition(b"\r\n")[0].decode() for text in texts if call_id.encode() in text]
        return list(dict.fromkeys(" ".join(line.split(" ")[:2]) for line in mine))


async def test_homer_gets_what_is_said_in_calls_and_nothing_else(tmp_path):
    loop = asyncio.get_running_loop()
    transport, homer = await loop.create_datagram_endpoint(Homer, local_addr=("127.0.0.1", 0))
    address = "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    async with Rig(tmp_path, front={"homer": address}) as rig, rig.peer() as caller:
        worker = await rig.worker()
        assert (await caller.request("OPTIONS", rig.uri("x"))).status == 200
        call = await caller.invite(rig.uri("1000"))
        served = await worker.incoming()
        await served.answer(180)
        await served.answer()
        await call.final()
        await call.bye()
        expected = {f"INVITE {rig.uri('1000')}", "SIP/2.0 100", "SIP/2.0 180", "SIP/2.0 200"}
        await until(lambda: expected <= set(homer.said(call.id)))
        await until(lambda: {"ACK", "BYE"} <= {line.partition(" ")[0] for line in homer.said(call.id)})
        await until(lambda: sum(b" BYE\r\n" in packet[PAYLOAD] for packet in homer.packets) >= 4)  # CSeq, both sides
    assert {packet[PROTOCOL] for packet in homer.packets} == {bytes([SIP])}
    assert {socket.inet_ntoa(packet[SOURCE]) for packet in homer.packets} == {"127.0.0.1"}
    assert not [packet for packet in homer.packets if b" OPTIONS\r\n" in packet[PAYLOAD]]
    transport.close()


async def test_without_a_homer_the_module_is_not_even_loaded(tmp_path):
    async with Rig(tmp_path) as rig:
        text = (rig.config.site.run_dir / "front" / "kamailio.cfg").read_text()
    assert "#!define WITH_HOMER" not in text
