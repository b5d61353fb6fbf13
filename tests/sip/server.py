"""A SIP endpoint in a process of its own, told what to do by JSON lines on stdin, telling what happens on stdout.

What it does alone depends on the number called (see `begin` and `go_on`): `tone` is answered and hears 440 Hz until a
key is pressed, `answer` is answered; what is not named there waits for orders.
"""

import asyncio
import dataclasses
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from voiceedge.audio.pipeline import Pipeline
from voiceedge.config import Sip
from voiceedge.errors import VoiceEdgeError
from voiceedge.sip import library
from voiceedge.sip.endpoint import SipEndpoint
from voiceedge.sip.events import Answered, Event, Key, MediaUp, TransferAsked
from voiceedge.sip.leg import Leg

ANSWERED = {"tone", "answer", "ring", "early", "hold", "agent", "transferred", "brief"}
RING_S = 0.3
TONE = (np.sin(2 * np.pi * 440 / 8000 * np.arange(8000 * 20)) * 8000).astype(np.int16)


class Server:
    def __init__(self, settings: Sip, proxy: tuple[str, int] | None) -> None:
        self.pipeline = Pipeline()
        self.endpoint = SipEndpoint(settings, self.pipeline, self.incoming, proxy=proxy)
        self.legs: dict[int, Leg] = {}
        self.stopped = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self.pipeline.fileno(), self.pipeline.read_events)
        await self.endpoint.start()
        self.tell(port=self.endpoint.port, capacity=self.endpoint.capacity)
        threading.Thread(target=self.read, args=(loop,), daemon=True).start()
        await self.stopped.wait()
        await self.endpoint.stop()
        await asyncio.gather(*self.tasks)
        loop.remove_reader(self.pipeline.fileno())
        self.pipeline.close()
        self.tell(stopped=True, legs=len(self.legs))

    def read(self, loop: asyncio.AbstractEventLoop) -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(self.spawn, self.obey(json.loads(line)))
        loop.call_soon_threadsafe(self.stopped.set)

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def tell(self, **what: Any) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    def incoming(self, leg: Leg) -> None:
        self.legs[leg.number] = leg
        facts = {
            name: getattr(leg, name) for name in ("id", "caller", "called", "remote_uri", "headers", "received_ns")
        }
        self.tell(leg=leg.number, event="Incoming", **facts)
        self.spawn(self.serve(leg))

    async def serve(self, leg: Leg) -> None:
        self.spawn(self.try_to(self.begin(leg)))
        async for event in leg.events():
            if not leg.ended:
                self.spawn(self.try_to(self.go_on(leg, event)))
            told_ns = time.monotonic_ns()
            self.tell(leg=leg.number, event=type(event).__name__, told_ns=told_ns, **self.fields_of(event))
        if leg.called != "manual":
            del self.legs[leg.number]

    async def begin(self, leg: Leg) -> None:
        """What is done alone with a call that comes in, before it is answered."""
        match leg.called:
            case "ring":
                await leg.ringing()
                await asyncio.sleep(RING_S)
            case "early":
                await leg.progress()
                await asyncio.sleep(RING_S)
            case "wait":
                await leg.ringing()
                return
            case "busy":
                await leg.reject(486)
                return
            case "agent":
                leg.may_transfer = True
        if leg.called in ANSWERED:
            await leg.answer()

    async def go_on(self, leg: Leg, event: Event) -> None:
        """… and when something happens."""
        match leg.called, event:
            case "tone", MediaUp():
                leg.channel.play(TONE)
            case "tone", Key():
                leg.channel.stop()
            case "hold", Answered():
                await leg.hold()
                await leg.resume()
                await leg.hang_up()
            case "agent", TransferAsked():
                await leg.accept_transfer()
                await leg.transfer_progress(180)
                await leg.transfer_progress(200)
            case "transferred", Answered():
                await leg.transfer("sip:agent@127.0.0.1:9")
            case "brief", Answered():
                await leg.hang_up()

    def fields_of(self, event: Event) -> dict[str, Any]:
        """Legs by their numbers."""
        fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
        for name, value in fields.items():
            if isinstance(value, Leg):
                fields[name] = value.number
                if value.number not in self.legs:  # one that took another's place
                    self.legs[value.number] = value
                    self.spawn(self.serve(value))
            elif dataclasses.is_dataclass(value):
                fields[name] = dataclasses.asdict(value)
        return fields

    async def try_to(self, work: Any) -> None:
        try:
            await work
        except VoiceEdgeError as error:
            self.tell(note=type(error).__name__, text=str(error))

    async def obey(self, order: dict[str, Any]) -> None:
        try:
            result = await self.result_of(order)
        except (VoiceEdgeError, KeyError) as error:  # KeyError: the leg has ended and been forgotten
            self.tell(order=order["order"], error=type(error).__name__, text=str(error))
        else:
            self.tell(order=order["order"], result=result)

    async def result_of(self, order: dict[str, Any]) -> Any:
        """An order of ours, else a method of the leg."""
        ours = getattr(self, f"do_{order['do']}", None)
        if ours:
            return await ours(order["leg"], *order["args"])
        return await getattr(self.legs[order["leg"]], order["do"])(*order["args"])

    async def do_call(self, _: int, uri: str, headers: dict[str, str], options: dict[str, Any] | None = None) -> int:
        leg = await self.endpoint.call(uri, headers, **(options or {}))
        self.legs[leg.number] = leg
        self.spawn(self.serve(leg))
        return leg.number

    async def do_call_in_vain(self, _: int, uri: str) -> None:
        """Whoever asks for the call is gone while it is being placed."""
        calling = asyncio.get_running_loop().create_task(self.endpoint.call(uri))
        await asyncio.sleep(0)
        calling.cancel()

    async def do_use(self, _: int) -> dict[str, int]:
        held = await self.endpoint._pump.run(library.calls_held)  # beyond Ended, until a BYE is answered
        return usage(max(held, self.endpoint.active))

    async def do_play(self, leg: int) -> None:
        self.legs[leg].channel.play(TONE)

    async def do_heard(self, leg: int) -> dict[str, Any]:
        return dataclasses.asdict(self.legs[leg].channel.stats())

    async def do_permit(self, leg: int, *names: str) -> None:
        for name in names:
            setattr(self.legs[leg], name, True)

    async def do_bridge(self, leg: int, other: int) -> None:
        await self.legs[leg].bridge(self.legs[other])

    async def do_unbridge(self, leg: int, other: int) -> None:
        await self.legs[leg].unbridge(self.legs[other])

    async def do_attend(self, leg: int, target: str, other: int) -> int:
        return await self.legs[leg].transfer(target, replaces=self.legs[other])

    async def do_trace(self, _: int, *call_ids: str) -> list[dict[str, Any]]:
        talks = await self.endpoint.traced(call_ids)
        return [
            {"left_out": talk.left_out, "said": [(one.sent, one.text.decode(), one.at) for one in talk.messages]}
            for talk in talks
        ]

    async def do_quality(self, leg: int) -> dict[str, Any] | None:
        quality = await self.legs[leg].quality()
        return quality and dataclasses.asdict(quality)

    async def do_stop(self, _: int) -> None:
        self.stopped.set()


def usage(active: int) -> dict[str, int]:
    """What calls might leave behind, as /proc sees it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "active": active,
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "sockets": sum(link.startswith("socket") for link in map(_target, Path("/proc/self/fd").iterdir())),
        "threads": int(status["Threads"]),
        "kilobytes": int(status["VmRSS"].split()[0]),
    }


def _target(link: Path) -> str:
    return str(link.readlink()) if link.is_symlink() else ""  # the listing's own descriptor is gone by now


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    given = json.loads(sys.argv[1])
    behind = given.pop("proxy", None)
    asyncio.run(Server(Sip(**given), behind and tuple(behind)).run())
