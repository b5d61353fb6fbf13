"""Real calls to an answering process (answer.py): what they cost it, and whether it noticed all that was said."""

import asyncio
import itertools
import json
import os
import statistics
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from media.ear import cost_ms
from media.sounds import Script
from peer import Peer, PeerCall
from rtp import FRAME, PCMA, PCMU, RATE, Pcm, RtpStream, Said

CHANNEL_MODES = ("on", "tap")
MODES = (*CHANNEL_MODES, "off")
KEY = "0"  # by RFC 4733, after each script
CODECS = (PCMU, PCMA)
SETTLE_S = 1.0
APART_S = 0.4  # one caller begins after the other
WAIT_S = 60.0
OVERRUNS = ("events_dropped", "samples_lost", "recorded_lost_ms")
ECHO = 0.25  # 12 dB below
ECHO_PACKETS = 3  # later


class AnalogueLine(RtpStream):
    """Its hybrid sends part of what the caller hears back."""

    def __init__(self, host: str) -> None:
        self._seen = 0
        self._under_way: deque[Pcm] = deque(maxlen=2 * ECHO_PACKETS)
        self._echo = np.zeros(FRAME)
        self._flows = False
        super().__init__(host)

    def _send(self) -> None:
        for packet in itertools.islice(self.packets, self._seen, None):
            if packet.payload_type in CODECS:
                self._under_way.append(packet.pcm)
        self._seen = len(self.packets)
        self._flows = bool(self._under_way) and (self._flows or len(self._under_way) >= ECHO_PACKETS)
        self._echo = ECHO * self._under_way.popleft() if self._flows else np.zeros(FRAME)
        super()._send()

    def _next_frame(self) -> tuple[Pcm | None, list[Said]]:
        frame, parts = super()._next_frame()
        return np.clip(frame + self._echo, -32768, 32767).astype(np.int16), parts


@dataclass
class Batch:
    """As many calls as there is room for, in one mode."""

    mode: str
    calls: int = 0
    seconds: float = 0.0
    cpu_ms: dict[str, float] = field(default_factory=dict)  # of a second of a call
    packet_gap_ms: float = 0.0  # the longest, as the callers saw it
    noticed: list[dict[str, Any]] = field(default_factory=list)
    onsets: int = 0  # that should have been noticed in each call
    keys: str = ""

    def most(self, name: str) -> float:
        return max((call.get(name, 0) for call in self.noticed), default=0)

    @property
    def lost(self) -> int:
        """Events and samples that nobody took in time, ms that the disk did not."""
        return sum(call.get(name, 0) for call in self.noticed for name in OVERRUNS)

    @property
    def problems(self) -> Iterator[str]:
        for number, call in enumerate(self.noticed, 1):
            if self.mode == "on" and call["keys"] != self.keys:
                yield f"call {number}: keys {call['keys']!r} instead of {self.keys!r}"
        if self.lost:
            yield f"{self.mode}: {self.lost} events, samples or recorded ms lost"


class Answerer:
    """The answering process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.port = self.capacity = 0

    @classmethod
    @asynccontextmanager
    async def running(cls) -> Any:
        command = [sys.executable, "-m", "media.answer"]
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        process = await asyncio.create_subprocess_exec(*command, env=os.environ, **pipes)
        try:
            yield await cls(process)._ready()
        finally:
            process.stdin.close()
            await asyncio.wait_for(process.wait(), WAIT_S)

    async def _ready(self) -> Self:
        told = await self._told()
        self.port, self.capacity = told["port"], told["capacity"]
        return self

    async def do(self, order: str) -> Any:
        self._process.stdin.write(f"{order}\n".encode())
        return await self._told()

    async def _told(self) -> Any:
        return json.loads(await asyncio.wait_for(self._process.stdout.readline(), WAIT_S))


async def try_calls(answerer: Answerer, script: Script, mode: str, rounds: int) -> Batch:
    await answerer.do(f"mode {mode}")
    batch = Batch(mode, answerer.capacity, onsets=script.onsets * rounds, keys=(script.keys + KEY) * rounds)
    async with Peer(new_stream=AnalogueLine) as peer:
        calls = [await peer.invite(f"sip:{n}@127.0.0.1:{answerer.port}") for n in range(batch.calls)]
        for call in calls:
            await call.final()
        await asyncio.sleep(SETTLE_S)
        before = await answerer.do("use")
        await asyncio.gather(*(talk(call, script, rounds, n * APART_S) for n, call in enumerate(calls)))
        after = await answerer.do("use")
        await asyncio.sleep(SETTLE_S)
        batch.noticed = await answerer.do("heard")
        batch.packet_gap_ms = max(longest_gap_ms(call, before["at_ns"]) for call in calls)
        for call in calls:
            await call.bye()
    batch.seconds = (after["at_ns"] - before["at_ns"]) / 1e9
    batch.cpu_ms = cost_ms(before["cpu_ns"], after["cpu_ns"], batch.seconds * batch.calls)
    return batch


async def talk(call: PeerCall, script: Script, rounds: int, after_s: float) -> None:
    await asyncio.sleep(after_s)
    for _ in range(rounds):
        said = call.rtp.say(script.pcm)
        await asyncio.to_thread(said.done.wait, len(script.pcm) / RATE + WAIT_S)
        await call.press(KEY)


def longest_gap_ms(call: PeerCall, since_ns: int) -> float:
    times = [packet.at_ns for packet in list(call.rtp.packets) if packet.at_ns >= since_ns]
    return max((later - at) / 1e6 for at, later in itertools.pairwise(times))


async def bench_calls(script: Script, rounds: int, scripts: int) -> list[Batch]:
    """Alternating, so that what else the machine does meets all modes alike."""
    async with Answerer.running() as answerer:
        return [await try_calls(answerer, script, mode, scripts) for _ in range(rounds) for mode in MODES]


def summary(batches: Sequence[Batch]) -> dict[str, Any]:
    by_mode = {mode: [batch for batch in batches if batch.mode == mode] for mode in MODES}
    result: dict[str, Any] = {"calls": batches[0].calls, "batches_a_mode": len(by_mode["on"])}
    for mode, tried in by_mode.items():
        result[mode] = {
            "seconds": round(sum(batch.seconds for batch in tried), 1),
            "cpu_ms_a_call_second": _spread([batch.cpu_ms["all"] for batch in tried]),
            "threads": {
                thread: round(statistics.median(batch.cpu_ms.get(thread, 0) for batch in tried), 3)
                for thread in sorted(set().union(*(batch.cpu_ms for batch in tried)) - {"all"})
            },
            "frame_gap_ms": _spread([batch.most("longest_gap_ms") for batch in tried]),  # 0 without channels
            "packet_gap_ms": _spread([batch.packet_gap_ms for batch in tried]),
            "overruns": sum(batch.lost for batch in tried),
        }
    result["ratio"] = {
        f"on_{other}": _spread(
            [one.cpu_ms["all"] / two.cpu_ms["all"] for one, two in zip(by_mode["on"], by_mode[other], strict=True)]
        )
        for other in ("tap", "off")
    }
    on = by_mode["on"]
    result["on"] |= {
        "unjudged_ms": max(int(batch.most("unjudged_ms")) for batch in on),
        "keys": sum(len(call["keys"]) for batch in on for call in batch.noticed),
        "keys_expected": sum(len(batch.keys) * batch.calls for batch in on),
        "onsets": sum(call["onsets"] for batch in on for call in batch.noticed),
        "onsets_expected": sum(batch.onsets * batch.calls for batch in on),
    }
    result["problems"] = [problem for batch in batches for problem in batch.problems]
    return result


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "least": round(min(values), 3),
        "median": round(statistics.median(values), 3),
        "most": round(max(values), 3),
    }
