"""Ogg pages (RFC 3533) read with every field checked, and the Opus in them (RFC 7845) decoded by libopus."""

import ctypes
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FIRST, LAST = 2, 4
CLOCK_HZ = 48000


@dataclass(frozen=True)
class Page:
    kind: int
    granule: int
    packets: tuple[bytes, ...]


def checksum(data: bytes) -> int:
    total = 0
    for byte in data:
        total ^= byte << 24
        for _ in range(8):
            total = (total << 1 ^ (0x04C11DB7 if total >> 31 else 0)) & 0xFFFFFFFF
    return total


def pages(data: bytes) -> Iterator[Page]:
    """The whole pages; what follows the last of them must be the beginning of one."""
    at = number = 0
    serials = set()
    while len(data) - at >= 27:
        magic, version, kind, granule, serial, sequence, crc, segments = struct.unpack_from("<4sBBQIIIB", data, at)
        lacing = data[at + 27 : at + 27 + segments]
        end = at + 27 + segments + sum(lacing)
        if end > len(data):
            break
        assert (magic, version, sequence) == (b"OggS", 0, number)
        assert crc == checksum(data[at : at + 22] + bytes(4) + data[at + 26 : end])
        assert not lacing or lacing[-1] < 255, "a packet goes on in the next page"
        serials.add(serial)
        yield Page(kind, granule, tuple(_packets(data[at + 27 + segments : end], lacing)))
        at, number = end, number + 1
    assert len(serials) <= 1
    assert data[at : at + 4] in b"OggS"


def _packets(body: bytes, lacing: bytes) -> Iterator[bytes]:
    start = size = 0
    for length in lacing:
        size += length
        if length < 255:
            yield body[start : start + size]
            start, size = start + size, 0


def decode(data: bytes) -> NDArray[np.int16]:
    """Both channels at 48 kHz, without the encoder's delay and what lies behind the end."""
    head, tags, *audio = pages(data)
    (name, version, channels, skip, _, gain, family) = struct.unpack("<8sBBHIHB", head.packets[0])
    assert (name, version, channels, gain, family) == (b"OpusHead", 1, 2, 0, 0)
    assert tags.packets[0].startswith(b"OpusTags")
    assert (head.kind, head.granule, tags.kind, tags.granule) == (FIRST, 0, 0, 0)
    library = ctypes.CDLL("libopus.so.0")
    library.opus_decoder_create.restype = ctypes.c_void_p
    decoder = ctypes.c_void_p(library.opus_decoder_create(CLOCK_HZ, 2, None))
    parts, position = [np.empty((0, 2), np.int16)], 0
    for page in audio:
        for packet in page.packets:
            out = np.empty((5760, 2), np.int16)
            count = library.opus_decode(decoder, packet, len(packet), out.ctypes.data_as(ctypes.c_void_p), 5760, 0)
            assert count == CLOCK_HZ // 50
            parts.append(out[:count])
            position += count
        assert page.granule == position if page.kind == 0 else page.granule <= position < page.granule + 960
    library.opus_decoder_destroy(decoder)
    return np.concatenate(parts)[skip : audio[-1].granule if audio else 0].T
