"""The turnstile: as many TCP connections at once as PJSIP has handles for, and no more."""

import contextlib
import ctypes
import os
import socket
import struct
import time
from collections import deque
from pathlib import Path
from typing import Any

import pjsua2 as pj
import structlog

log = structlog.get_logger()

# Of PJSIP's 64 handles calls may take 42 (see the gate), and the two listening sockets two. What is waiting in the
# listening socket when the turnstile closes (a backlog of 5, and the one at the door) still comes in.
MOST = 14
CLOSING_S = 0.6  # PJSIP keeps a closed handle half a second

_ATTACH_FILTER, _DETACH_FILTER = 26, 27  # of SOL_SOCKET (asm-generic/socket.h)
_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)  # a BPF programme of one instruction: accept no byte of any packet


class Turnstile:
    """In the pump. PJSIP aborts when it accepts a connection too many, and has no limit of its own.

    While it is closed the listening socket hears no packets: who wants to connect tries again a second later. The
    oldest connection goes then, so that those who hold theirs for nothing keep nobody out.
    """

    def __init__(self, endpoint: pj.Endpoint, port: int) -> None:
        self._endpoint = endpoint
        self._listener = _listening(port)
        self._open: dict[int, Any] = {}  # in order
        self._closed: deque[float] = deque()
        self._is_closed = False
        self._program = ctypes.create_string_buffer(_NOTHING)

    def changed(self, told: Any) -> None:
        """A connection has come or gone (pj.OnTransportStateParam)."""
        connection = int(told.hnd)
        if told.state == pj.PJSIP_TP_STATE_CONNECTED:
            self._open.setdefault(connection, told.hnd)
        elif self._open.pop(connection, None):
            self._closed.append(time.monotonic())
        self._turn()

    def let_in(self, timeout_ms: int) -> int:
        """Open again when it is time, and return how long the pump may sleep."""
        if not self._is_closed:
            return timeout_ms
        if len(self._open) >= MOST:
            oldest = self._open.pop(next(iter(self._open)))
            self._closed.append(time.monotonic())
            self._endpoint.transportShutdown(oldest)
        self._turn()
        return min(timeout_ms, int(CLOSING_S * 1000)) if self._is_closed else timeout_ms

    def close(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None

    def _turn(self) -> None:
        while self._closed and time.monotonic() - self._closed[0] > CLOSING_S:
            self._closed.popleft()
        full = len(self._open) + len(self._closed) >= MOST
        if full == self._is_closed or not self._listener:
            return
        self._is_closed = full
        if full:
            program = struct.pack("HL", 1, ctypes.addressof(self._program))
            self._listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
            log.warning("sip_tcp_crowded", connections=len(self._open))
        else:
            self._listener.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)


def _listening(port: int) -> socket.socket | None:
    """Another hold on the socket with which PJSIP listens on `port`."""
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found = socket.socket(fileno=os.dup(int(descriptor.name)))
        except OSError:  # no socket, or the listing's own descriptor
            continue
        with contextlib.suppress(OSError):
            listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if found.family == socket.AF_INET and listens and found.getsockname()[1] == port:
                return found
        found.close()
    return None
