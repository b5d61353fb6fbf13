"""The demo: the whole service on loopback, and a caller who speaks Korean, interrupts and moves to a chat."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiomqtt

from voiceedge.clock import Clock, sleep
from voiceedge.config import Prompts
from voiceedge.edge.caller import Caller, dial
from voiceedge.edge.link import LinkClient
from voiceedge.edge.order_desk import order_desk
from voiceedge.errors import LinkError, VoiceEdgeError

START_S, RENDER_S, EVENT_S = 60.0, 600.0, 30.0
CALLER_VOICE = "jf_alpha"  # not the prompts'
CHANNEL = "web-chat"

Event = Mapping[str, Any]


class DemoFailedError(VoiceEdgeError):
    """The demo did not show what it promises; the message says what was missing."""


@dataclass(frozen=True)
class Line:
    """What the caller does when asked: speak or press, after the prompt or right into it."""

    says: str = ""
    keys: str = ""
    interrupts: bool = False


class Screen:
    """What the audience sees; the command line draws it."""

    def stage(self, text: str) -> None: ...
    def progress(self, done: int, of: int) -> None: ...
    def event(self, event: Event) -> None: ...
    def caller(self, line: Line) -> None: ...
    def chat(self, conversation: Event) -> None: ...


@dataclass
class Watcher:
    """Every event as it comes from the broker, and a way to wait for one."""

    screen: Screen
    events: list[Event] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, url: str, ready: asyncio.Event) -> None:
        where = urlsplit(url)
        async with aiomqtt.Client(where.hostname or "", where.port or 1883) as client:
            await client.subscribe("voiceedge/+/v1/events/#", qos=1)
            ready.set()
            async for message in client.messages:
                event = json.loads(bytes(message.payload))
                self.events.append(event)
                self.screen.event(event)
                self.changed.set()

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["type"] == kind]

    async def until(self, kind: str) -> Event:
        async with asyncio.timeout(EVENT_S):
            while not self.of(kind):
                self.changed.clear()
                await self.changed.wait()
        return self.of(kind)[-1]


async def run(lines: Mapping[str, Line], number: str, flows: Path, state: Path, screen: Screen, clock: Clock) -> None:
    """Play the demo; `lines` are the caller's by step. Raises DemoFailedError where it did not work out."""
    async with AsyncExitStack() as stack:
        orders = await stack.enter_async_context(order_desk())
        run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voiceedge-")))
        settings = _settings(flows, state, run_dir, orders)
        screen.stage("starting the service on 127.0.0.1")
        status = await stack.enter_async_context(_service(settings, run_dir))
        processes = status["processes"]
        watcher, connected = Watcher(screen), asyncio.Event()
        group = await stack.enter_async_context(asyncio.TaskGroup())
        following = group.create_task(watcher.follow(processes["control"]["mqtt_url"], connected))
        await connected.wait()
        await _prompts_ready(LinkClient(run_dir / "speech.sock"), screen, clock)
        screen.stage(f"calling sip:{number}@127.0.0.1:{processes['worker-1']['sip_port']}")
        voice = Prompts(voice=CALLER_VOICE)
        uri = f"sip:{number}@127.0.0.1:{processes['worker-1']['sip_port']}"
        async with dial(
            uri, headers={}, language="ko", prompts=voice, cache_dir=state / "caller", clock=clock
        ) as caller:  # fmt: skip
            await asyncio.gather(_converse(caller, watcher, lines, clock), _chat(watcher, run_dir, screen))
        await watcher.until("voiceedge.call.ended")
        following.cancel()
        _judge(watcher, lines)


async def _converse(caller: Caller, watcher: Watcher, lines: Mapping[str, Line], clock: Clock) -> None:
    """Answer each question when it is asked, until the service hangs up."""
    asked = 0
    while caller.ended is None:
        questions = [e["data"] for e in watcher.of("voiceedge.step.entered") if e["data"]["kind"] in QUESTIONS]
        if len(questions) == asked:
            await caller.until_something(watcher.changed)
            continue
        asked = len(questions)
        question = questions[-1]
        line = Line(says="네") if question["kind"] == "confirm" else lines[question["step"]]
        if line.interrupts:
            await caller.until_spoken_to()
            await sleep(clock, 1.5)
        else:
            await caller.until_quiet()
        watcher.screen.caller(line)
        await (caller.say(line.says) if line.says else caller.press(line.keys))


async def _chat(watcher: Watcher, run_dir: Path, screen: Screen) -> None:
    """The other channel: takes the ticket that was published and learns what the call knew."""
    handed_over = await watcher.until("voiceedge.conversation.handed_over")
    control = LinkClient(run_dir / "control.sock")
    try:
        wish = {"token": handed_over["data"]["token"], "channel": CHANNEL}
        answer = await control.request("redeem_token", wish, timeout_s=5)
    except LinkError as error:
        raise DemoFailedError(f"the chat could not take the conversation over: {error}") from error
    finally:
        await control.close()
    screen.chat(answer["conversation"])


def _judge(watcher: Watcher, lines: Mapping[str, Line]) -> None:
    heard = {e["data"]["step"] for e in watcher.of("voiceedge.turn.heard") if e["data"]["decision"] != "reject"}
    if missing := set(lines) - heard:
        raise DemoFailedError(f"not understood: {', '.join(sorted(missing))}")
    if not watcher.of("voiceedge.conversation.handed_over"):
        raise DemoFailedError("no hand-over was published")
    sequence = [int(event["sequence"]) for event in watcher.events]
    if sequence != list(range(1, len(sequence) + 1)):
        raise DemoFailedError(f"events were lost or out of order: {sequence}")


def _settings(flows: Path, state: Path, run_dir: Path, orders: str) -> str:
    # JSON strings are TOML strings.
    return "\n".join(
        [
            "[site]", f"name = {json.dumps('demo')}", f"data_dir = {json.dumps(str(state))}",
            f"run_dir = {json.dumps(str(run_dir))}",
            "[sip]", 'host = "127.0.0.1"', "port = 0", "rtp_ports = [30000, 30999]",
            "[flows]", f"dir = {json.dumps(str(flows))}", f"values = {{ order_api = {json.dumps(orders)} }}",
            "[mqtt]", "embedded_port = 0",
            "[log]", 'format = "json"',
        ]
    )  # fmt: skip


@asynccontextmanager
async def _service(settings: str, run_dir: Path) -> AsyncIterator[Mapping[str, Any]]:
    """Run the service as a process of its own and yield its status once it answers calls."""
    config, log = run_dir / "demo.toml", run_dir / "service.log"
    config.write_text(settings)
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voiceedge", "run", "--config", str(config), stdout=sink, stderr=sink
        )
    try:
        yield await _status(process, run_dir / "status.json", log)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _status(process: asyncio.subprocess.Process, status: Path, log: Path) -> Mapping[str, Any]:
    async with asyncio.timeout(START_S):
        while process.returncode is None:
            if status.exists() and (told := json.loads(status.read_text()))["ready"]:
                return dict(told)
            await asyncio.sleep(0.1)
    raise DemoFailedError(f"the service did not start:\n{log.read_text()[-4000:]}")


async def _prompts_ready(speech: LinkClient, screen: Screen, clock: Clock) -> None:
    async with asyncio.timeout(RENDER_S):
        while True:
            health = await speech.request("health", {}, timeout_s=10)
            screen.progress(health["prompts_done"], health["prompts_all"])
            if health["prompts_all"] and health["prompts_done"] == health["prompts_all"]:
                break
            await sleep(clock, 0.5)
    await speech.close()
