"""A raw RTP stream for tests: G.711 both ways, a packet every 20 ms, keys by RFC 4733, exact times of what came."""

import contextlib
import functools
import random
import secrets
import select
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

RATE = 8000
FRAME = 160  # samples in 20 ms
PCMU, PCMA, EVENTS = 0, 8, 101
KEYS = "0123456789*#ABCD"


def _ulaw_table() -> Pcm:
    code = ~np.arange(256) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> Pcm:
    code = np.arange(256) ^ 0x55
    exponent = (code & 0x70) >> 4
    magnitude = ((code & 0x0F) << 4) + 8
    magnitude = np.where(exponent > 0, (magnitude + 0x100) << np.maximum(exponent - 1, 0), magnitude)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


_DECODE = {PCMU: _ulaw_table(), PCMA: _alaw_table()}


def _nearest(table: Pcm) -> NDArray[np.uint8]:
    """For each 16-bit sample the code whose value lies nearest."""
    order = np.argsort(table, kind="stable")
    values = table[order].astype(np.int32)
    samples = np.arange(-32768, 32768)
    return order[np.searchsorted((values[1:] + values[:-1]) / 2, samples)].astype(np.uint8)


_ENCODE = {codec: _nearest(table) for codec, table in _DECODE.items()}


def encode(codec: int, pcm: Pcm) -> bytes:
    return _ENCODE[codec][pcm.astype(np.int32) + 32768].tobytes()


def decode(codec: int, payload: bytes) -> Pcm:
    return _DECODE[codec][np.frombuffer(payload, np.uint8)]


def tone(hertz: float, ms: int, level: float = 0.3) -> Pcm:
    """`level` is the peak, 1.0 being full scale."""
    return (np.sin(2 * np.pi * hertz / RATE * np.arange(ms * RATE // 1000)) * level * 32767).astype(np.int16)


def strength(pcm: Pcm, hertz: float) -> float:
    """How much of the sound's power lies around this frequency: 0 … 1; 0 of silence."""
    if len(pcm) < RATE // 10 or np.abs(pcm).max() < 100:
        return 0.0
    power = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) ** 2
    near = np.abs(np.fft.rfftfreq(len(pcm), 1 / RATE) - hertz) < 30
    return float(power[near].sum() / power.sum())


@dataclass(frozen=True, slots=True)
class Packet:
    at_ns: int  # time.monotonic_ns at arrival
    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    marker: bool
    payload: bytes

    @property
    def pcm(self) -> Pcm:
        """Empty for anything that is not G.711."""
        return decode(self.payload_type, self.payload) if self.payload_type in _DECODE else np.zeros(0, np.int16)

    @property
    def level(self) -> float:
        """Root mean square, 1.0 being full scale."""
        return _level(self.payload_type, self.payload)


@functools.lru_cache(maxsize=1 << 16)
def _level(payload_type: int, payload: bytes) -> float:
    """Worked out once, however often somebody looks: whoever sends meanwhile waits for the lock of Python's."""
    pcm = decode(payload_type, payload) if payload_type in _DECODE else np.zeros(0, np.int16)
    return float(np.sqrt(np.mean((pcm / 32768.0) ** 2))) if len(pcm) else 0.0


@dataclass
class Press:
    """A key on its way. `sent_ns` is when its first packet left (monotonic), `done` is set after its last."""

    key: str
    frames: int
    marker: bool
    end_copies: int
    drifting: bool
    sent_ns: int = 0
    timestamp: int = 0
    step: int = 0
    done: threading.Event = field(default_factory=threading.Event)


@dataclass
class Said:
    """Audio on its way: when the packets with its first and last sample left (monotonic); `done` is set after both."""

    pcm: Pcm
    position: int = 0
    sent_ns: int = 0
    last_ns: int = 0
    done: threading.Event = field(default_factory=threading.Event)


class RtpStream:
    """One socket, one thread. `start` once the other side's address is known; `close` ends both.

    What is said is queued; in between it sends silence, or nothing while `mute` is set. Receiving begins at once.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.socket, self._control = _even_port(host)
        self.host, self.port = host, int(self.socket.getsockname()[1])
        self.mute = False
        self.loss = 0.0  # the part of all packets, either way, that is lost
        self.dropped = 0  # of those we sent
        self._out_luck, self._in_luck = random.Random(1), random.Random(2)
        self.packets: deque[Packet] = deque(maxlen=50 * 60 * 10)  # ten minutes; appended to by the thread
        self.sent = 0
        self._codec = PCMU
        self._events = EVENTS
        self._remote: tuple[str, int] | None = None
        self._audio: deque[Said] = deque()
        self._presses: deque[Press] = deque()
        self._closing = False
        self._left: list[socket.socket] = []
        self._sequence = secrets.randbelow(30000)
        self._timestamp = secrets.randbelow(1 << 30)
        self._ssrc = secrets.randbits(32)
        self._thread = threading.Thread(target=self._run, name=f"rtp-{self.port}", daemon=True)
        self._thread.start()

    def start(self, remote: tuple[str, int], codec: int = PCMU, events: int = EVENTS) -> None:
        """Send to `remote` from now on; again after a re-INVITE."""
        self._codec, self._events, self._remote = codec, events, remote

    def pause(self) -> None:
        """Send nothing until the next `start`."""
        self._remote = None

    def move(self, host: str) -> None:
        """Send from another address and port, and hear only what comes there."""
        self._left += [self.socket, self._control]
        self.socket, self._control = _even_port(host)
        self.host, self.port = host, int(self.socket.getsockname()[1])

    def say(self, pcm: Pcm) -> Said:
        """Queue int16 samples at 8 kHz."""
        said = Said(np.asarray(pcm, np.int16))
        self._audio.append(said)
        return said

    def hush(self) -> None:
        """Drop what is still queued."""
        self._audio.clear()

    @property
    def saying(self) -> bool:
        return bool(self._audio)

    def press(
        self, key: str, duration_ms: int = 160, *, marker: bool = True, end_copies: int = 3, drifting: bool = False
    ) -> Press:
        """Queue a key in place of audio. `drifting`: count the timestamp on in each packet, as some gateways do."""
        press = Press(key, max(1, duration_ms // 20), marker, end_copies, drifting)
        self._presses.append(press)
        return press

    def heard(self, since_ns: int = 0) -> Pcm:
        """All audio that came at or after `since_ns`, in order of arrival."""
        parts = [packet.pcm for packet in list(self.packets) if packet.at_ns >= since_ns]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def sound_ns(self, since_ns: int = 0, level: float = 0.005) -> int | None:
        """When the first audible packet at or after `since_ns` came."""
        for packet in list(self.packets):
            if packet.at_ns >= since_ns and packet.level >= level:
                return packet.at_ns
        return None

    def silence_ns(self, since_ns: int = 0, level: float = 0.005, for_ms: int = 100) -> int | None:
        """When the first inaudible packet came after which nothing audible followed for `for_ms`.

        By what was sent: while either machine stands still nothing is, which is no silence.
        """
        start: int | None = None
        samples = 0
        for packet in list(self.packets):
            if packet.at_ns < since_ns or packet.payload_type not in _DECODE:
                continue
            if packet.level >= level:
                start = None
            elif start is None:
                start, samples = packet.at_ns, 0
            else:
                samples += len(packet.payload)
                if samples >= for_ms * RATE // 1000:
                    return start
        return None

    def close(self) -> None:
        self._closing = True
        self._thread.join(2)
        for one in (self.socket, self._control, *self._left):
            one.close()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._closing:
            wait = due - time.monotonic()
            if wait > 0:
                if select.select([self.socket], [], [], wait)[0]:
                    self._receive()
                continue
            self._send()
            due += 0.02
            if time.monotonic() - due > 0.2:  # the machine slept: no burst
                due = time.monotonic()

    def _receive(self) -> None:
        while True:
            try:
                data = self.socket.recv(2048)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier send
                continue
            if len(data) < 12 or data[0] >> 6 != 2:
                continue
            if self._in_luck.random() < self.loss:
                continue
            second, sequence, timestamp, ssrc = struct.unpack_from("!xBHII", data)
            start = 12 + 4 * (data[0] & 0x0F)
            marker = bool(second & 0x80)
            self.packets.append(
                Packet(time.monotonic_ns(), sequence, timestamp, ssrc, second & 0x7F, marker, data[start:])
            )

    def _send(self) -> None:
        remote = self._remote
        if remote is None:
            return
        if self._presses:
            self._send_key(self._presses[0], remote)
        else:
            frame, parts = self._next_frame()
            if frame is not None:
                self._packet(remote, self._codec, self._timestamp, encode(self._codec, frame))
            now_ns = time.monotonic_ns()
            for said in parts:
                said.sent_ns = said.sent_ns or now_ns
                if said.position == len(said.pcm):
                    said.last_ns = now_ns
                    said.done.set()
        self._timestamp = (self._timestamp + FRAME) & 0xFFFFFFFF

    def _next_frame(self) -> tuple[Pcm | None, list[Said]]:
        """The frame, and what it is made of."""
        frame = np.zeros(FRAME, np.int16)
        parts: list[Said] = []
        filled = 0
        while filled < FRAME and self._audio:
            said = self._audio[0]
            taken = min(FRAME - filled, len(said.pcm) - said.position)
            frame[filled : filled + taken] = said.pcm[said.position : said.position + taken]
            filled += taken
            said.position += taken
            if said.position == len(said.pcm):
                self._audio.popleft()
            parts.append(said)
        return None if self.mute and not filled else frame, parts

    def _send_key(self, press: Press, remote: tuple[str, int]) -> None:
        press.step += 1
        if press.step == 1:
            press.timestamp = self._timestamp
        last = press.step == press.frames
        duration = press.step * FRAME
        timestamp = self._timestamp if press.drifting else press.timestamp
        body = struct.pack("!BBH", KEYS.index(press.key), (0x80 if last else 0) | 10, duration)
        for _ in range(press.end_copies if last else 1):
            self._packet(remote, self._events, timestamp, body, marker=press.marker and press.step == 1)
            press.sent_ns = press.sent_ns or time.monotonic_ns()
        if last:
            self._presses.popleft()
            press.done.set()

    def _packet(
        self, remote: tuple[str, int], payload_type: int, timestamp: int, body: bytes, *, marker: bool = False
    ) -> None:
        second = payload_type | (0x80 if marker else 0)
        header = struct.pack("!BBHII", 0x80, second, self._sequence, timestamp, self._ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        if self._out_luck.random() < self.loss:
            self.dropped += 1
            return
        with contextlib.suppress(OSError):  # the other side may have closed its port already
            self.socket.sendto(header + body, remote)
            self.sent += 1


def _even_port(host: str) -> tuple[socket.socket, socket.socket]:
    """An even port for RTP with the odd one above it, for RTCP, ours too."""
    while True:
        audio, control = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        audio.bind((host, 0))
        port = audio.getsockname()[1]
        try:
            if port % 2 == 0:
                control.bind((host, port + 1))
                audio.setblocking(False)
                return audio, control
        except OSError:
            pass
        audio.close()
        control.close()
