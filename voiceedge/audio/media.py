"""The thread that carries all audio of a worker: packets in, bridge, packets out, once a frame (ve_media.h)."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from voiceedge.audio.native import check, extension, ffi, lib, raise_problem


@dataclass(frozen=True, slots=True)
class ToldKey:
    """A packet of a key by RFC 4733. `call` as given to `watch_keys`; `at_ns` is when it was read (monotonic)."""

    call: int
    key: str
    timestamp: int
    duration_ms: int
    flags: int
    at_ns: int


class MediaThread:
    """Belongs to the SIP pump thread, after libInit; PJSIP with an ioqueue for media and no thread for it.

    `pump` is an address of which a datagram ends the pump's sleep, when there are keys.
    """

    def __init__(self, rate: int, frame_ms: int, pump: tuple[str, int]) -> None:
        self._waker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._waker.connect(pump)
        out = ffi.new("struct ve_media **")
        path = os.fsencode(extension("pjsua2._pjsua2", "pjsua2-python"))
        raise_problem(lib.ve_media_open(out, path, rate, frame_ms, self._waker.fileno()))
        self._native: Any = out[0]
        self._key = ffi.new("struct ve_told_key *")
        self.runs = False

    def run(self) -> None:
        """There is a call."""
        if not self.runs:
            lib.ve_media_run(self._native)
            self.runs = True

    def rest(self) -> None:
        """There is none: no wake-up until `run`. What the bridge has still to let go of waits till then."""
        if self.runs:
            lib.ve_media_rest(self._native)
            self.runs = False

    def watch_keys(self, stream: int, slot: int, call: int) -> None:
        """Have the keys of `stream`, the address of a pjmedia_stream of PJSIP's call `slot`, told by `new_keys`."""
        check(lib.ve_media_watch_keys(self._native, stream, slot, call), "watching a stream's keys")

    def new_keys(self) -> Iterator[ToldKey]:
        key = self._key
        while lib.ve_media_next_key(self._native, key):
            yield ToldKey(key.call, chr(key.key), key.timestamp, key.duration_ms, key.flags, key.at_ns)

    def close(self) -> None:
        """Before libDestroy."""
        lib.ve_media_close(self._native)
        self._waker.close()
