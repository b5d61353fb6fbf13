"""The demo: the whole service on loopback, and a customer who calls, goes on in a chat, and calls again."""

import asyncio
import json
import signal
import socket
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiomqtt

from voiceedge.audio import synthesis
from voiceedge.audio.prompts import PromptLibrary
from voiceedge.clock import Clock, sleep
from voiceedge.config import Prompts
from voiceedge.edge.demo.caller import Caller, dial
from voiceedge.edge.demo.message_desk import Messages, message_desk
from voiceedge.edge.demo.order_desk import order_desk
from voiceedge.edge.demo.visitor import DemoFailedError, Visitor, link_in, visiting
from voiceedge.flow.book import FlowBook
from voiceedge.flow.call import Utterance
from voiceedge.flow.frame import fixed_prompts

START_S, TALK_S = 90.0, 420.0
INTO_THE_PROMPT_S = 1.5  # when an impatient caller interrupts
CALLER = Prompts(voice="jf_gongitsune")  # not the service's voice
NUMBER, MOBILE = "15880000", "01012345678"
YES = Utterance("네", "ko")

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """What the caller does when asked: speak or press, after the prompt or right into it."""

    says: str = ""
    keys: str = ""
    interrupts: bool = False


@dataclass(frozen=True)
class Script:
    """What the customer does, and what must have come of it.

    `lines` are those of the first call by the step that asks, in order, and `again` those of the second, which begins
    with the PIN from the chat, {pin}. When the chat says `invites`, the customer writes `writes` there.
    """

    lines: Mapping[str, Sequence[Line]]
    slots: Mapping[str, str]
    invites: str
    writes: str
    again: Mapping[str, Sequence[Line]]
    prompts: Mapping[str, Sequence[str]]  # the steps by flow that the calls come through: rendered before they begin


RETAIL = Script(
    lines={
        "menu": (Line(says="배송 조회", interrupts=True), Line(says="교환 반품")),
        "number": (Line(keys="20261122#", interrupts=True),),
        "more": (Line(says="네"),),
        "same_order": (Line(says="네 맞아요"),),
        "ask_for_chat": (Line(says="네 보내 주세요"),),
    },
    slots={"order_number": "20261122", "topic": "교환·반품 문의"},
    invites="문의하실 내용을 남겨 주세요.",
    writes="한 치수 큰 것으로 바꾸고 싶어요.",
    again={
        "menu": (Line(keys="9", interrupts=True),),
        "with_code": (Line(keys="{pin}", interrupts=True),),
        "ask_to_leave": (Line(says="아니요"),),
    },
    prompts={
        "retail": (
            "greeting",
            "menu",
            "wait",
            "more",
            "return_rules",
            "same_order",
            "ask_for_chat",
            "chat_sent",
            "goodbye",
            "with_code",
            "to_agent_soon",
            "agents_busy",
            "agents_away",
            "ask_to_leave",
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
    def message(self, text: str) -> None: ...
    def chat(self, told: Event) -> None: ...
    def visitor(self, does: str) -> None: ...


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

    def of(self, kind: str, call: str | None = None) -> list[Event]:
        """The data of the events of this kind, of all or of one call."""
        told = [event["data"] for event in self.events if event["type"] == f"voiceedge.{kind}"]
        return [data for data in told if call in {None, data.get("call_id")}]

    async def until(self, kind: str, call: str | None = None, number: int = 1) -> Event:
        while len(self.of(kind, call)) < number:
            self.changed.clear()
            await self.changed.wait()
        return self.of(kind, call)[number - 1]


async def run(script: Script, flows: Path, state: Path, screen: Screen, clock: Clock) -> None:
    """Play the demo; what is rendered stays in `state`. Raises DemoFailedError or TimeoutError."""
    await asyncio.to_thread(_prepare, script, flows, state, screen)
    async with AsyncExitStack() as stack:
        run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voiceedge-")))
        orders = await stack.enter_async_context(order_desk())
        gateway, messages = await stack.enter_async_context(message_desk())
        screen.stage("starting the service on 127.0.0.1")
        settings = _settings(flows, state, run_dir, orders, gateway)
        status = await stack.enter_async_context(_service(settings, run_dir))
        control, worker = status["processes"]["control"], status["processes"]["worker-1"]
        watcher, connected = Watcher(screen), asyncio.Event()
        async with asyncio.timeout(TALK_S), asyncio.TaskGroup() as group:
            following = group.create_task(watcher.follow(control["mqtt_url"], connected))
            await connected.wait()
            phone = Phone(f"sip:{NUMBER}@127.0.0.1:{worker['sip_port']}", watcher, state, clock)
            chatting = group.create_task(_chat(watcher, script, messages, clock))
            first = await phone.call(script.lines)
            pin = await chatting
            again = {step: [_with_pin(line, pin) for line in lines] for step, lines in script.again.items()}
            second = await phone.call(again)
            following.cancel()
        _judge(watcher, first, script.lines)
        _judge_joined(watcher, script, first, second)


@dataclass
class Phone:
    """The customer's: one call after the other."""

    uri: str
    watcher: Watcher
    state: Path
    clock: Clock
    calls: int = 0

    async def call(self, lines: Mapping[str, Sequence[Line]]) -> str:
        """Have the conversation, to the service's goodbye; the call's id."""
        self.calls += 1
        self.watcher.screen.stage(f"calling {self.uri}")
        dialled = dial(self.uri, prompts=CALLER, language="ko", data_dir=self.state, clock=self.clock, caller_id=MOBILE)
        async with dialled as caller:
            call = str((await self.watcher.until("call.started", number=self.calls))["call_id"])
            await _converse(caller, self.watcher, call, lines, self.clock)
        await self.watcher.until("call.ended", call)
        return call


def _with_pin(line: Line, pin: str) -> Line:
    return replace(line, keys=line.keys.replace("{pin}", pin))


def _prepare(script: Script, flows: Path, state: Path, screen: Screen) -> None:
    """Both sides' sentences of these calls, so that they can begin; the service renders the others by itself."""
    spoken = [line for calls in (script.lines, script.again) for lines in calls.values() for line in lines]
    lines = [Utterance(line.says, "ko") for line in spoken if line.says]
    book = FlowBook(flows)
    prompts = [prompt for flow, steps in script.prompts.items() for prompt in fixed_prompts(book.get(flow), steps)]
    for voice, utterances in ((CALLER, [*lines, YES]), (Prompts(), prompts)):
        library = PromptLibrary(state / "prompts", synthesis.choose(voice, state))
        library.render_ahead(utterances, screen.progress)
    for memory in state.glob("voiceedge.db*"):  # of an earlier demo
        memory.unlink()


async def _converse(
    caller: Caller, watcher: Watcher, call: str, script: Mapping[str, Sequence[Line]], clock: Clock
) -> None:
    """Answer each question when it is asked, until the service hangs up."""
    done: defaultdict[str, int] = defaultdict(int)
    asked = 0
    while True:
        waiting = asyncio.create_task(_question(watcher, call, asked))
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
            lines = script.get(question["step"], ())
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


async def _question(watcher: Watcher, call: str, number: int) -> Event:
    while True:
        steps = watcher.of("step.entered", call)
        questions = [step for step in steps if step["kind"] in {"ask", "retry", "confirm"}]
        if len(questions) > number:
            return dict(questions[number])
        watcher.changed.clear()
        await watcher.changed.wait()


async def _chat(watcher: Watcher, script: Script, messages: Messages, clock: Clock) -> str:
    """The other channel: opens the link of the text message, goes on there, and gets a PIN to call with."""
    text = await messages.get()
    watcher.screen.message(text)
    site, token = link_in(text)
    async with visiting(site, clock) as visitor:
        told = await visitor.open(token)
        watcher.screen.chat(told)
        if not told["story"]:
            raise DemoFailedError("the chat does not show what was said in the call")
        async with visiting(site, clock) as stranger:
            if not await stranger.refused(token):
                raise DemoFailedError("the link opened twice")
        return await _in_chat(watcher, script, visitor)


async def _in_chat(watcher: Watcher, script: Script, visitor: Visitor) -> str:
    await visitor.until_told(script.invites)
    pin = await visitor.code()
    watcher.screen.visitor(f"asks to go on by phone, and gets the code {pin}")
    watcher.screen.visitor(f"writes “{script.writes}”")
    await visitor.write(script.writes)
    await watcher.until("interaction.ended")
    return pin


def _judge(watcher: Watcher, call: str, script: Mapping[str, Sequence[Line]]) -> None:
    turns = [turn for turn in watcher.of("turn.heard", call) if turn["decision"] in {"accept", "confirm"}]
    understood = Counter(turn["step"].partition(".")[0] for turn in turns)
    for step, lines in script.items():
        if understood[step] < len(lines):
            raise DemoFailedError(f"the caller was not understood at {step}")


def _judge_joined(watcher: Watcher, script: Script, first: str, second: str) -> None:
    _judge(watcher, second, script.again)
    conversations: defaultdict[str, list[int]] = defaultdict(list)
    for event in watcher.events:
        conversations[event["subject"]].append(int(event["sequence"]))
    for sequence in conversations.values():
        if sequence != list(range(1, len(sequence) + 1)):
            raise DemoFailedError(f"events were lost or out of order: {sequence}")
    slots = watcher.of("conversation.handed_over")[0]["slots"]
    for name, value in script.slots.items():
        if slots.get(name) != value:
            raise DemoFailedError(f"the chat was told {name} = {slots.get(name)}, but the caller said {value}")
    ends = {e["data"]["call_id"]: e["subject"] for e in watcher.events if e["type"] == "voiceedge.call.ended"}
    if ends[first] != ends[second]:
        raise DemoFailedError("the second call did not become a part of the conversation")
    if twice := {step["step"] for step in watcher.of("step.entered", second)} & {"number", "which_order"}:
        raise DemoFailedError(f"the customer was asked again: {', '.join(sorted(twice))}")


def _settings(flows: Path, state: Path, run_dir: Path, orders: str, gateway: str) -> str:
    channels, web_port = run_dir / "channels.toml", _free_port()
    channels.write_text(
        f'[channels.sms]\nkind = "sms"\nurl = "{gateway}"\njson = {{to = "{{address}}", text = "{{text}}"}}\n'
    )
    tables: dict[str, dict[str, Any]] = {
        "site": {"name": "demo", "data_dir": str(state), "run_dir": str(run_dir)},
        "sip": {"host": "127.0.0.1", "port": 0, "rtp_ports": [30000, 30999]},
        "flows": {"dir": str(flows.absolute())},
        "flows.values": {"order_api": orders},
        "mqtt": {"embedded_port": 0},
        "web": {"port": web_port, "public_url": f"http://127.0.0.1:{web_port}"},
        "channels": {"file": str(channels)},
        "speech": {"decide_s": 10.0},  # a laptop may be slow; a caller of the demo waits
    }
    # Strings, numbers and lists look the same in TOML as in JSON.
    return "\n".join(
        line
        for name, table in tables.items()
        for line in (f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()))
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


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
