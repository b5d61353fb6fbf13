"""Chats on a real store, with flows of a test's own, and a clock that the test moves."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from voiceedge.channels.chat_model import Chat, ChatMessage
from voiceedge.channels.chat_runs import FlowRuns
from voiceedge.channels.chats import ChatService
from voiceedge.channels.desks import Desks
from voiceedge.channels.web_chat import WebChat
from voiceedge.clock import Clock, RealClock
from voiceedge.config import Config
from voiceedge.connectors.answers import Answer, Failed
from voiceedge.context.service import ContextService
from voiceedge.errors import LinkError
from voiceedge.flow.look_up import Query, Request
from voiceedge.switch.outbound.messages import CallOrder
from voiceedge.switch.outbound.service import OutboundService, Places
from voiceedge.switch.plan import load_plan
from voiceedge.switch.queues.board import State
from voiceedge.switch.queues.messages import AgentState
from voiceedge.switch.queues.model import Agent
from voiceedge.switch.queues.rules import Rules

WAIT_S = 60.0

PLAN = """
[hours.never]
timezone = "Asia/Seoul"
open = [{ days = ["mon"], from = "00:00", to = "00:01" }]

[agents.kim]
title = "김하나"
phone = "kim"
queues = ["chat"]

[agents.lee]
phone = "lee"
queues = ["chat"]

[agents.han]
phone = "han"
queues = ["chat"]
tenant = "shop"

[queues.chat]
title = "채팅 상담"
longest_wait_s = 600
most_waiting = 2

[campaigns.call_me]
flow = "main"

[queues.shut]
hours = "never"
"""

MENU = """
flow: main
language: ko
start: menu
otherwise: bye
slots:
  number: {means: 주문 번호, class: none}
  card: {means: 카드 번호, class: card}
  found: {means: 결과, class: none}
anywhere:
  agent: {say: 상담원, key: 0, next: agent}
steps:
  menu:
    ask: 말씀하시거나 번호를 눌러 주세요.
    shown: 골라 주세요.
    choices:
      order: {say: 주문, key: 1, next: number, intent: order}
      pay: {say: 결제, key: 2, next: card}
  number:
    ask: 주문 번호를 말씀해 주세요.
    digits: 5
    into: number
    next: look
  look:
    look_up: "http://orders.example/{number}"
    into: found
    found: tell
    not_found: bye
    error: bye
  tell: {say: "{found.price:won}입니다. {now.time}", next: menu}
  card:
    ask: 카드 번호를 눌러 주세요.
    digits: 16
    into: card
    next: thanks
  thanks: {say: "{card:digits}로 결제했습니다.", next: menu}
  agent:
    queue: chat
    next: after
    full: bye
    closed: bye
    timeout: nobody
    left: menu
    failed: bye
  after: {say: 상담원과 이야기를 마쳤습니다., next: menu}
  nobody: {say: 아무도 없습니다., next: menu}
  bye: {hang_up: 감사합니다., outcome: served}
"""


class Skipping(RealClock):
    """Real time, of which a test leaves out what it need not wait for."""

    def __init__(self) -> None:
        self._skipped_s = 0.0
        self._timers: list[tuple[float, asyncio.TimerHandle, Callable[[], object]]] = []

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._skipped_s)

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped_s

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        handle = asyncio.get_running_loop().call_later(delay_s, callback)
        self._timers = [timer for timer in self._timers if not timer[1].cancelled()]
        self._timers.append((self.monotonic() + delay_s, handle, callback))
        return handle

    def skip(self, seconds: float) -> None:
        """What would have come in that time comes now."""
        self._skipped_s += seconds
        due = [timer for timer in self._timers if timer[0] <= self.monotonic()]
        self._timers = [timer for timer in self._timers if timer[0] > self.monotonic()]
        for _, handle, callback in sorted(due, key=lambda timer: timer[0]):
            if not handle.cancelled() and handle.when() > asyncio.get_running_loop().time():
                handle.cancel()
                callback()


class Systems:
    """What other systems say, when `answers` is set; `asked` counts."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.asked = answer, 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def ask(self, wish: Request | Query) -> Answer:
        self.asked += 1
        await self.answers.wait()
        return self.answer


class Calls:
    """Calls that take what is typed."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str, str | None, str | None]] = []
        self.takes = True

    async def typed(self, call: str, step: str, *, text: str | None, choice: str | None) -> bool:
        self.given.append((call, step, text, choice))
        return self.takes


class NoWorkers:
    """Nobody places calls: what is ordered stays as it is."""

    def places(self) -> Places:
        return Places(0, 0)

    async def place(self, order: CallOrder) -> None:
        raise LinkError("no worker")


class Queues:
    """All agents of the plan are available, of whom only those with a desk can be in a chat."""

    def __init__(self, plan: Path) -> None:
        self.rules = Rules(load_plan(plan), "realm")
        self._state = State({}, {name: Agent(name, 0, AgentState.AVAILABLE) for name in self.rules.agents})

    async def picture(self) -> Any:
        return SimpleNamespace(state=self._state)


class House:
    def __init__(
        self, context: ContextService, chats: ChatService, calls: Calls, outbound: OutboundService, desks: Desks
    ) -> None:
        self.context, self.chats, self.calls, self.outbound, self.desks = context, chats, calls, outbound, desks
        self.visitor = "somebody"

    async def begin(self) -> Chat:
        chat, self.secret = await self.chats.begin("web-chat", "ko", self.visitor)
        return chat

    async def said(self, chat: str) -> Sequence[ChatMessage]:
        return await self.chats.messages(chat)

    async def until_said(self, chat: str, text: str, times: int = 1) -> ChatMessage:
        """The message in which this stands, for the so-manieth time."""

        async def look() -> ChatMessage | None:
            found = [one for one in await self.chats.messages(chat) if text in one.text]
            return found[times - 1] if len(found) >= times else None

        return await until(look, lambda: f"nobody said {text!r}")

    async def until_state(self, chat: str, state: str) -> Chat:
        async def look() -> Chat | None:
            found = await self.chats.chat(chat)
            return found if found.state == state else None

        return await until(look, lambda: f"the chat is not {state}")


async def until(look: Callable[[], Any], complaint: Callable[[], str] = lambda: "it did not happen") -> Any:
    """Other threads have the database: there is nothing to wait for but what can be seen."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if seen := await look():
            return seen
        await asyncio.sleep(0.005)
    raise AssertionError(complaint())


@asynccontextmanager
async def house(
    directory: Path,
    *flows: str,
    clock: Clock | None = None,
    answer: Answer | None = None,
    systems: Systems | None = None,
    channels: Mapping[str, Any] | None = None,
    calls: Calls | None = None,
    tables: Mapping[str, Any] | None = None,
) -> AsyncIterator[House]:
    """The same directory again is the same house after a restart. `answer` is what other systems say.

    `tables` of the configuration beside those here.
    """
    clock = clock or RealClock()
    folder = directory / "flows"
    folder.mkdir(exist_ok=True)
    for number, text in enumerate(flows or [MENU]):
        (folder / f"{number}.yaml").write_text(text, encoding="utf-8")
    plan = directory / "switch.toml"
    plan.write_text(PLAN, encoding="utf-8")
    config = Config.model_validate(
        {
            "site": {"name": "test", "data_dir": directory / "data", "run_dir": directory / "run"},
            "mqtt": {"embedded_port": 0},
            "flows": {"dir": folder, "default": "main"},
            **(tables or {}),
            "switch": {"plan": plan, **(tables or {}).get("switch", {})},
        }
    )
    settings = {name: WebChat.model_validate(one) for name, one in (channels or {"web-chat": {}}).items()}
    calls, systems = calls or Calls(), systems or Systems(answer or Failed("away"))
    async with ContextService(config, clock) as context:
        desks = Desks(cast("Any", Queues(plan)), clock)
        for agent in ("kim", "han"):
            desks.opened(agent)
        runs = FlowRuns(config, context, systems, desks, clock)
        slots = {"main": frozenset({"number"})}
        async with OutboundService(
            context.database, load_plan(plan), slots, NoWorkers(), context.ingest, clock, key=b"k" * 32, node="n"
        ) as outbound:
            service = ChatService(context, settings, runs, calls, outbound, clock, kept_days=30, key=b"k" * 32)
            async with service as chats:
                yield House(context, chats, calls, outbound, desks)
