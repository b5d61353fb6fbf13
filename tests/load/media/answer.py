"""A worker's media without its flows, as a process: answers every call, plays a prompt over and over, and listens.

Orders are lines on stdin, each answered by a line of JSON on stdout:

    mode on       everything a worker's channels do, Silero and a recording of each call included
    mode tap      no more than every channel does: voice gate, 16 kHz audio, player
    mode off      no channel: the bridge sends each caller back to themselves
    use           CPU time by thread
    heard         of each call: what was noticed, and the channel's statistics
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pjsua2 as pj
import structlog
from media.ear import LISTEN_S, Ear, begin, cpu_ns, new_pipeline
from media.sounds import prompt, voice

from voiceedge.audio.channel import Channel
from voiceedge.audio.events import KeyDown, KeyUp
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.recording import Recorder, Recording
from voiceedge.audio.settings import ChannelSettings
from voiceedge.config import Sip
from voiceedge.errors import LegEndedError
from voiceedge.sip.endpoint import SipEndpoint
from voiceedge.sip.events import Key, MediaUp
from voiceedge.sip.leg import Leg

TAP = ChannelSettings(judge=None)


class Mirror:
    """In place of a channel: the same packets, decoded, mixed and encoded by PJSIP, and nothing of ours."""

    def open_port(self) -> None: ...
    def close_port(self) -> None: ...
    def release(self) -> None: ...

    def connect(self, call_slot: int) -> None:
        ports = pj.Endpoint.instance().mediaEnumPorts2()
        port = next(port for port in ports if port.getPortId() == call_slot)
        port.startTransmit(port)


class Switched(Pipeline):
    """New channels are as `mode` says."""

    mode = "on"

    def channel(self, rate: int = 8000, frame_ms: int = 20, settings: ChannelSettings | None = None) -> Any:
        if self.mode == "off":
            return Mirror()
        return super().channel(rate, frame_ms, TAP if self.mode == "tap" else settings)


class Answering:
    def __init__(self, folder: Path) -> None:
        self.pipeline = new_pipeline(Switched)
        self.endpoint = SipEndpoint(Sip(host="127.0.0.1", port=0, rtp_ports=(21000, 21999)), self.pipeline, self.take)
        self.recorder, self.folder = Recorder(), folder
        self.recordings: dict[int, Recording] = {}  # by the leg's number
        self.prompt = prompt(voice())
        self.ears: dict[int, Ear] = {}  # by id of the channel
        self.legs: dict[int, Leg] = {}
        self.pressed: dict[int, str] = {}  # by the leg's number: keys, whichever way they came
        self.tasks: set[asyncio.Task[None]] = set()
        self.over = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self.pipeline.fileno(), self.hear)
        await self.endpoint.start()
        self.tell({"port": self.endpoint.port, "capacity": self.endpoint.capacity})
        threading.Thread(target=self.obey, args=(loop,), name="orders", daemon=True).start()
        self.spawn(self.listen())
        await self.over.wait()
        await self.endpoint.stop()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        loop.remove_reader(self.pipeline.fileno())
        self.recorder.stop()
        self.pipeline.close()

    # --- orders ---

    def obey(self, loop: asyncio.AbstractEventLoop) -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(self.carry_out, line.split())
        loop.call_soon_threadsafe(self.over.set)

    def carry_out(self, order: list[str]) -> None:
        match order:
            case ["mode", mode]:
                self.pipeline.mode = mode
                self.tell(None)
            case ["use"]:
                self.tell({"at_ns": time.monotonic_ns(), "cpu_ns": cpu_ns()})
            case ["heard"]:
                self.tell([self.facts(leg) for leg in self.legs.values()])

    def facts(self, leg: Leg) -> dict[str, Any]:
        facts: dict[str, Any] = {"keys": self.pressed[leg.number]}
        if ear := self.ears.get(id(leg.channel)):
            facts |= {"onsets": ear.onsets} | asdict(ear.channel.stats())
        if recording := self.recordings.get(leg.number):
            facts["recorded_lost_ms"] = recording.lost_ms
        return facts

    def tell(self, what: Any) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    # --- calls ---

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def take(self, leg: Leg) -> None:
        self.legs[leg.number] = leg
        self.pressed[leg.number] = ""
        self.spawn(self.serve(leg))

    async def serve(self, leg: Leg) -> None:
        channel = leg.channel
        if isinstance(channel, Channel):
            self.ears[id(channel)] = Ear(channel)
        if self.pipeline.mode == "on":
            self.recordings[leg.number] = self.recorder.record(channel, self.folder / f"{leg.number}.wav")
        await leg.answer()
        async for event in leg.events():
            match event:
                case MediaUp() if isinstance(channel, Channel):
                    begin(channel, self.prompt)
                case Key():
                    self.pressed[leg.number] += event.key
        if recording := self.recordings.pop(leg.number, None):
            recording.close()
            await asyncio.wrap_future(recording.ended)
            recording.path.unlink()
        del self.legs[leg.number]
        self.ears.pop(id(channel), None)

    def hear(self) -> None:
        for event in self.pipeline.read_events():
            ear = self.ears.get(id(event.channel))
            leg = next((leg for leg in self.legs.values() if leg.channel is event.channel), None)
            if not ear or not leg or leg.ended:
                continue
            ear.take(event, self.prompt)
            match event:
                case KeyDown():
                    self.spawn(self.ask(leg.key_down(event.key, event.at_ns)))
                case KeyUp():
                    self.spawn(self.ask(leg.key_up(event.at_ns)))

    async def ask(self, question: Any) -> None:
        with contextlib.suppress(LegEndedError):
            await question

    async def listen(self) -> None:
        while True:
            await asyncio.sleep(LISTEN_S)
            for leg in self.legs.values():
                if not leg.ended and (ear := self.ears.get(id(leg.channel))):
                    ear.listen()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with tempfile.TemporaryDirectory(prefix="voiceedge-bench-") as name:
        asyncio.run(Answering(Path(name)).run())
