"""The demo: the whole service on loopback, and a caller who speaks Korean, interrupts and moves to a chat."""

import asyncio
import json
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiomqtt

from voiceedge.audio import synthesis
from voiceedge.audio.prompts import PromptLibrary
from voiceedge.clock import Clock, sleep
from voiceedge.config import Prompts
from voiceedge.edge.caller import Caller, dial
from voiceedge.edge.link import LinkClient
from voiceedge.edge.order_desk import order_desk
from voiceedge.errors import LinkError, VoiceEdgeError
from voiceedge.flow.book import FlowBook
from voiceedge.flow.call import Utterance
from voiceedge.flow.frame import fixed_prompts

START_S, CALL_S = 90.0, 300.0
INTO_THE_PROMPT_S = 1.5  # when an impatient caller interrupts
CALLER = Prompts(voice="jf_gongitsune")  # not the service's voice
NUMBER = "15880000"
YES = Utterance("네", "ko")

Event = Mapping[str, Any]


class DemoFailedError(VoiceEdgeError):
    """The demo did not show what it promises; the message says what was missing."""


@dataclass(frozen=True)
class Line:
    """What the caller does when asked: speak or press, after the prompt or right into it."""

    says: str = ""
    keys: str = ""
    interrupts: bool = False


@dataclass(frozen=True)
class Script:
    """The caller's lines by the step that asks, in order, and what must have come of them."""

    lines: Mapping[str, Sequence[Line]]
    channel: str
    slots: Mapping[str, str]
    prompts: Mapping[str, Sequence[str]]  # the steps by flow that the call comes through: rendered before it begins


RETAIL = Script(
    lines={
        "menu": (Line(says="배송 조회", interrupts=True), Line(says="교환 반품")),
        "number": (Line(keys="20261122#", interrupts=True),),
        "more": (Line(says="네"),),
        "same_order": (Line(says="네 맞아요"),),
        "offer_chat": (Line(says="네 보내 주세요"),),
    },
    channel="web-chat",
    slots={"order_number": "20261122", "topic": "교환·반품 문의"},
    prompts={
        "retail": (
            "greeting",
            "menu",
            "wait",
            "more",
            "return_rules",
            "same_order",
            "offer_chat",
            "chat_sent",
            "goodbye",
        ),
        "order_number": ("number",),
    },
)


class Screen(Protocol):
    """What the audience sees."""

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

    async def follow(self, url: str, connected: asyncio.Event) -> None:
        where = urlsplit(url)
        async with aiomqtt.Client(where.hostname or "", where.port or 1883) as client:
            await client.subscribe("voiceedge/+/v1/events/#", qos=1)
            connected.set()
            async for message in client.messages:
                event = json.loads(bytes(message.payload))
                self.events.append(event)
                self.screen.event(event)
                self.changed.set()

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["type"] == f"voiceedge.{kind}"]

    async def until(self, kind: str) -> Event:
        while not self.of(kind):
            self.changed.clear()
            await self.changed.wait()
        return self.of(kind)[0]


async def run(script: Script, flows: Path, state: Path, screen: Screen, clock: Clock) -> None:
    """Play the demo; what is rendered stays in `state`. Raises DemoFailedError or TimeoutError."""
    await asyncio.to_thread(_prepare, script, flows, state, screen)
    async with AsyncExitStack() as stack:
        run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voiceedge-")))
        orders = await stack.enter_async_context(order_desk())
        screen.stage("starting the service on 127.0.0.1")
        status = await stack.enter_async_context(_service(_settings(flows, state, run_dir, orders), run_dir))
        control, worker = status["processes"]["control"], status["processes"]["worker-1"]
        watcher, connected = Watcher(screen), asyncio.Event()
        async with asyncio.timeout(CALL_S), asyncio.TaskGroup() as group:
            following = group.create_task(watcher.follow(control["mqtt_url"], connected))
            await connected.wait()
            uri = f"sip:{NUMBER}@127.0.0.1:{worker['sip_port']}"
            screen.stage(f"calling {uri}")
            async with dial(uri, prompts=CALLER, language="ko", data_dir=state, clock=clock) as caller:
                chatting = group.create_task(_chat(watcher, script.channel, run_dir / "control.sock", screen))
                await _converse(caller, watcher, script, clock)
            await watcher.until("call.ended")
            await chatting
            following.cancel()
        _judge(watcher, script)


def _prepare(script: Script, flows: Path, state: Path, screen: Screen) -> None:
    """Both sides' sentences of this call, so that it can begin; the service renders the others by itself."""
    lines = [Utterance(line.says, "ko") for lines in script.lines.values() for line in lines if line.says]
    book = FlowBook(flows)
    prompts = [prompt for flow, steps in script.prompts.items() for prompt in fixed_prompts(book.get(flow), steps)]
    for voice, utterances in ((CALLER, [*lines, YES]), (Prompts(), prompts)):
        library = PromptLibrary(state / "prompts", synthesis.choose(voice, state))
        library.render_ahead(utterances, screen.progress)
    for memory in state.glob("voiceedge.db*"):  # of an earlier demo
        memory.unlink()


async def _converse(caller: Caller, watcher: Watcher, script: Script, clock: Clock) -> None:
    """Answer each question when it is asked, until the service hangs up."""
    done: defaultdict[str, int] = defaultdict(int)
    asked = 0
    while True:
        waiting = asyncio.create_task(_question(watcher, asked))
        ending = asyncio.create_task(caller.until_ended())
        await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if not waiting.done():
            waiting.cancel()
            return
        question = waiting.result()
        asked += 1
        if question["kind"] == "confirm":
            line = Line(says=YES.text)
        else:
            lines = script.lines.get(question["step"], ())
            done[question["step"]] += question["kind"] == "ask"
            if done[question["step"]] > len(lines):
                raise DemoFailedError(f"the service asked {question['step']} once too often: {question['says']}")
            line = lines[max(done[question["step"]], 1) - 1]
        if line.interrupts and question["kind"] == "ask":
            await caller.until_spoken_to()
            await sleep(clock, INTO_THE_PROMPT_S)
        else:
            await caller.until_quiet()
        watcher.screen.caller(line)
        await (caller.say(line.says) if line.says else caller.press(line.keys))


async def _question(watcher: Watcher, number: int) -> Event:
    while True:
        steps = [event["data"] for event in watcher.of("step.entered")]
        questions = [step for step in steps if step["kind"] in {"ask", "retry", "confirm"}]
        if len(questions) > number:
            return dict(questions[number])
        watcher.changed.clear()
        await watcher.changed.wait()


async def _chat(watcher: Watcher, channel: str, control_socket: Path, screen: Screen) -> None:
    """The other channel: takes the ticket that was published and learns what the call knew."""
    handed_over = await watcher.until("conversation.handed_over")
    control = LinkClient(control_socket)
    try:
        wish = {"token": handed_over["data"]["token"], "channel": channel}
        answer = await control.request("redeem_token", wish, timeout_s=5)
    except LinkError as error:
        raise DemoFailedError(f"the chat could not take the conversation over: {error}") from error
    finally:
        await control.close()
    screen.chat(answer["conversation"])


def _judge(watcher: Watcher, script: Script) -> None:
    sequence = [int(event["sequence"]) for event in watcher.events]
    if sequence != list(range(1, len(sequence) + 1)):
        raise DemoFailedError(f"events were lost or out of order: {sequence}")
    turns = [event["data"] for event in watcher.of("turn.heard")]
    for step, lines in script.lines.items():
        understood = [turn for turn in turns if turn["step"] == step and turn["decision"] in {"accept", "confirm"}]
        if len(understood) < len(lines):
            raise DemoFailedError(f"the caller was not understood at {step}")
    slots = watcher.of("conversation.handed_over")[0]["data"]["slots"]
    for name, value in script.slots.items():
        if slots.get(name) != value:
            raise DemoFailedError(f"the chat was told {name} = {slots.get(name)}, but the caller said {value}")


def _settings(flows: Path, state: Path, run_dir: Path, orders: str) -> str:
    tables: dict[str, dict[str, Any]] = {
        "site": {"name": "demo", "data_dir": str(state), "run_dir": str(run_dir)},
        "sip": {"host": "127.0.0.1", "port": 0, "rtp_ports": [30000, 30999]},
        "flows": {"dir": str(flows.absolute())},
        "flows.values": {"order_api": orders},
        "mqtt": {"embedded_port": 0},
        "speech": {"decide_s": 10.0},  # a laptop may be slow; a caller of the demo waits
    }
    # Strings, numbers and lists look the same in TOML as in JSON.
    return "\n".join(
        line
        for name, table in tables.items()
        for line in (f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()))
    )


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
            told = _read(status)
            if told["ready"]:
                return told
            await asyncio.sleep(0.1)
    raise DemoFailedError(f"the service did not start:\n{_tail(log)}")


def _read(status: Path) -> Mapping[str, Any]:
    try:
        return dict(json.loads(status.read_text()))
    except FileNotFoundError:
        return {"ready": False}


def _tail(log: Path) -> str:
    return log.read_text()[-4000:]
