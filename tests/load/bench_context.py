"""Measure how long events and the API take under 200 conversations, and that no event is lost with the broker away.

The whole service runs as its own processes, with a Mosquitto and a subscriber beside it; this process is what workers
are to it: 50 of their queues of events, over the link that they use. Two hundred calls are up all the time; whichever
ends is followed by a new one. First they say what callers say, 100 events a second in all, while 40 requests a second
come over the API: three of four read one of these conversations, the fourth adds a turn to a chat.

    event_ms       written down by a worker → handled by a subscriber (`voiceedge.context.publishing.follow`)
    api_ms         request → answer; `api_read_ms` and `api_turn_ms` apart

Then they flood it with 1,000 events a second for a minute. After 20 s the broker is killed, after 40 s it is back, and
all that waited follows. What has come when nothing comes any more is held against what was written down and answered:

    lost           never handled
    duplicates     handled twice. Delivery is at least once, so this counts what is still there twice after the
                   subscriber has left out what it knows by `source` and `id`; `redelivered` is what it left out
    out_of_order   handled after a later one of the same conversation, or with another `sequence` than it was written
"""

import argparse
import asyncio
import itertools
import json
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import structlog
from machine import machine
from mosquitto import Mosquitto
from postgres import PostgresServer
from rich.console import Console
from rich.table import Table
from service import RunningService

from voiceedge.bus.client import Broker
from voiceedge.clock import RealClock
from voiceedge.config import Mqtt
from voiceedge.context.cloudevents import CloudEvent, StampedEvent
from voiceedge.context.events.call import (
    CallAnswered,
    CallEnded,
    CallStarted,
    EventData,
    LegEnded,
    StepEntered,
    TurnHeard,
)
from voiceedge.context.publishing.follow import Seen, follow
from voiceedge.context.publishing.journal import Outgoing, QueueJournal
from voiceedge.edge.between.link import LinkClient
from voiceedge.edge.between.process_name import process_name

FLOWS = Path(__file__).parents[1] / "e2e" / "flows"
CONVERSATIONS, WORKERS = 200, 50
TALK_PER_S, FLOOD_PER_S = 100, 1_000
CHATS, API_PER_S, READS = 20, 40, 3  # so many reads to a turn
TALK_S, FLOOD_S = 30, 60
QUICK = 10  # times shorter
QUESTIONS = 12  # of a call
TICK_S = 0.01
INGEST_S = 10.0  # as workers have it
BEFORE_NS = 10**9  # what is written down so shortly before the broker is killed may wait for it
STALLED_S = 30.0  # without any event before we give up waiting for the rest
CLOCK = RealClock()

# As docs/events.md recommends it.
BROKER = """allow_anonymous true
persistence true
persistence_location {directory}/
autosave_interval 5
max_queued_messages 100000"""


# What workers do


class Calls:
    """Two hundred calls of fifty workers; `sent` has what was written down, by the event's id."""

    def __init__(self, workers: Sequence[Outgoing]) -> None:
        self._numbers = itertools.count(1)
        self.sent: dict[str, Sent] = {}
        self._turns = itertools.cycle([self._calls_of(workers[seat % len(workers)]) for seat in range(CONVERSATIONS)])

    def say(self, events: int) -> None:
        """So many events, each of another call."""
        for told in itertools.islice(self._turns, events):
            next(told)

    def _calls_of(self, worker: Outgoing) -> Iterator[None]:
        """One call after another, an event each time."""
        while True:
            conversation = name_of(next(self._numbers))
            journal = QueueJournal(_Noting(worker, self.sent), conversation, CLOCK)
            for data in story(conversation):
                journal.record(data, {"intent": "delivery"} if isinstance(data, CallAnswered) else None)
                yield


def name_of(call: int) -> str:
    return f"bench-{call}"


@dataclass(frozen=True, slots=True)
class Sent:
    at_ns: int
    conversation: str
    number: int


class _Noting:
    """A conversation's way into its worker's queue, which notes what goes in."""

    def __init__(self, worker: Outgoing, sent: dict[str, Sent]) -> None:
        self._worker, self._sent, self._numbers = worker, sent, itertools.count(1)

    def put(self, event: StampedEvent) -> None:
        self._sent[event.id] = Sent(time.monotonic_ns(), event.conversation, next(self._numbers))
        self._worker.put(event)


def story(call_id: str) -> Iterator[EventData]:
    now = CLOCK.now().isoformat()
    yield CallStarted(call_id=call_id, direction="in", caller="***5678", customer="c0ffee", called="1588", flow="shop")
    yield CallAnswered(call_id=call_id, set_up_ms=12)
    for question in range(QUESTIONS):
        step = f"question-{question}"
        says = "주문하신 상품의 배송 조회를 도와드리겠습니다. 주문 번호를 말씀해 주세요."
        yield StepEntered(call_id=call_id, flow="shop", step=step, kind="ask", says=says)
        yield TurnHeard(
            call_id=call_id, flow="shop", step=step, by="speech", decision="accept", value="delivery",
            transcript="배송 조회 부탁드려요", confidence=0.93, speech_ms=1800,
        )  # fmt: skip
        yield StepEntered(call_id=call_id, flow="shop", step=f"keep-{question}", kind="set")
    yield LegEnded(
        call_id=call_id, role="caller", direction="in", trunk=None, agent=None, far_end="***5678", began_at=now,
        answered_at=now, ended_at=now, request_delay_ms=None, disconnect_delay_ms=3, talk_ms=60_000, cause="caller",
        sip_code=200, q850=16,
    )  # fmt: skip
    yield CallEnded(
        call_id=call_id, cause="caller", sip_code=200, reason="Normal", duration_ms=61_000, talk_ms=60_000,
        outcome="done",
    )  # fmt: skip


@asynccontextmanager
async def connected(run_dir: Path) -> AsyncIterator[list[Outgoing]]:
    """The workers' queues, each drained over a link of its own as in a worker."""
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        workers = []
        for _ in range(WORKERS):
            link, outgoing = LinkClient(run_dir / "control.sock"), Outgoing(CLOCK)
            stack.push_async_callback(link.close)
            stack.callback(tasks.create_task(outgoing.drain(_sender(link))).cancel)
            workers.append(outgoing)
        yield workers


def _sender(link: LinkClient) -> Any:
    async def send(events: Sequence[StampedEvent]) -> None:
        body = {"events": [event.model_dump(mode="json") for event in events], "holder": process_name(os.getpid())}
        await link.request("ingest", body, timeout_s=INGEST_S)

    return send


# What a channel does


@dataclass
class Channel:
    """Reads calls and adds turns to chats of its own, by the API; `answers` has the ms of each request by its kind."""

    http: httpx.AsyncClient
    chats: dict[str, int] = field(default_factory=dict)  # how many events of each are known to be kept
    answers: list[tuple[str, float]] = field(default_factory=list)

    async def open_chats(self) -> None:
        for number in range(CHATS):
            answer = await self.http.post("/conversations", json={"channel": "bench", "reference": f"room-{number}"})
            answer.raise_for_status()
            self.chats[answer.json()["id"]] = 1

    async def ask(self, seconds: float) -> None:
        """As many requests a second as there shall be, however long the answers take."""
        async with asyncio.TaskGroup() as asking:
            kinds = itertools.cycle([*["read"] * READS, "turn"])
            chats = itertools.cycle(list(self.chats))
            for number in range(int(API_PER_S * seconds)):
                if next(kinds) == "turn":
                    asking.create_task(self._turn(next(chats)))
                else:
                    asking.create_task(self._read(name_of(1 + number % CONVERSATIONS)))
                await asyncio.sleep(1 / API_PER_S)

    async def _read(self, conversation: str) -> None:
        await self._timed("read", self.http.get(f"/conversations/{conversation}"))

    async def _turn(self, chat: str) -> None:
        text = "주문한 게 아직 안 왔어요. 언제 오나요?"
        await self._timed("turn", self.http.post(f"/conversations/{chat}/turns", json={"by": "customer", "text": text}))
        self.chats[chat] += 1

    async def _timed(self, kind: str, request: Awaitable[httpx.Response]) -> None:
        began = time.monotonic()
        (await request).raise_for_status()
        self.answers.append((kind, (time.monotonic() - began) * 1000))


@asynccontextmanager
async def channel(service: RunningService) -> AsyncIterator[Channel]:
    link = LinkClient(service.directory / "run" / "control.sock")
    scopes = ["conversations:read", "conversations:write"]
    wish = {"name": "bench", "tenant": "main", "scopes": scopes, "expires_days": None}
    key = (await link.request("key_add", wish, timeout_s=INGEST_S))["key"]
    await link.close()
    port = service.status["processes"]["control"]["web_port"]
    url, bearer = f"http://127.0.0.1:{port}/v1", {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=bearer, timeout=STALLED_S) as http:
        yield Channel(http)


# What a subscriber does


class Subscriber:
    """A process of its own that follows the events and notes in what order it has handled them."""

    def __init__(self, url: str) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._connected, self._ended = spawning.Event(), spawning.Event()
        self._count = spawning.Value("Q", 0)
        self._pipe, far_end = spawning.Pipe()
        arguments = (url, self._connected, self._ended, self._count, far_end)
        self._process = spawning.Process(target=_subscribe, args=arguments, daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        assert self._connected.wait(STALLED_S), "the subscriber does not reach the broker"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    @property
    def count(self) -> int:
        return int(self._count.value)

    async def has(self, count: int) -> None:
        """Wait until so many events have come, or nothing comes any more."""
        last, since = self.count, time.monotonic()
        while last < count and time.monotonic() - since < STALLED_S:
            await asyncio.sleep(TICK_S)
            if self.count > last:
                last, since = self.count, time.monotonic()

    def handled(self) -> tuple[list["Handled"], int]:
        """Everything in the order it was handled in, and how many deliveries were left out as known."""
        self._ended.set()
        events, deliveries = self._pipe.recv()
        return events, deliveries - len(events)


@dataclass(frozen=True, slots=True)
class Handled:
    at_ns: int
    source: str
    id: str
    subject: str
    sequence: int


class _Counted(Seen):
    deliveries = 0

    def add(self, event: CloudEvent) -> bool:
        self.deliveries += 1
        return super().add(event)


def _subscribe(url: str, connected: Flag, ended: Flag, count: Any, pipe: Pipe) -> None:
    events: list[Handled] = []
    seen = _Counted()

    async def run() -> None:
        broker = Broker.from_url(url, Mqtt())
        async for event in follow(broker, CLOCK, lambda report: "connected" in report and connected.set(), seen=seen):
            events.append(Handled(time.monotonic_ns(), event.source, event.id, event.subject, int(event.sequence)))
            count.value = len(events)

    async def until_ended() -> None:
        running = asyncio.create_task(run())
        await asyncio.to_thread(ended.wait)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(until_ended())
    pipe.send((events, seen.deliveries))


# The two runs


@dataclass
class Findings:
    """`*_ns` are moments of the monotonic clock."""

    sent: dict[str, Sent] = field(default_factory=dict)
    chats: dict[str, int] = field(default_factory=dict)
    answers: list[tuple[str, float]] = field(default_factory=list)
    handled: list[Handled] = field(default_factory=list)
    redelivered: int = 0
    talk_ns: int = 0
    flood_ns: int = 0
    away_ns: tuple[int, int] = (0, 0)
    offered_per_s: float = 0.0
    control_cpu: dict[str, float] = field(default_factory=dict)

    @property
    def expected(self) -> int:
        return len(self.sent) + sum(self.chats.values())

    def of_calls(self) -> Iterator[tuple[Handled, Sent]]:
        return ((event, self.sent[event.id]) for event in self.handled if event.id in self.sent)


async def bench(*, seconds_by: int, postgres: bool, console: Console) -> Findings:
    found = Findings()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voiceedge-bench-")))
        broker = Mosquitto(directory, BROKER.format(directory=directory))
        broker.start()
        stack.callback(broker.kill)
        settings = {
            "mqtt": {"url": broker.url},
            "speech": {"enabled": False},
            "front": {"enabled": False},
            "web": {"port": 0, "requests_per_min": 10**6},
        }
        if postgres:
            server = stack.enter_context(PostgresServer())
            settings["store"] = {"url": server.url(server.new_database()), "password_file": str(server.password_file)}
        service = stack.enter_context(RunningService(directory, FLOWS, settings))
        subscriber = stack.enter_context(Subscriber(broker.url))
        async with connected(directory / "run") as workers, channel(service) as chats:
            calls = Calls(workers)
            found.sent, found.chats, found.answers = calls.sent, chats.chats, chats.answers

            async def all_handled() -> None:
                await subscriber.has(len(calls.sent) + sum(chats.chats.values()))

            await chats.open_chats()
            calls.say(CONVERSATIONS)
            await all_handled()
            console.print(f"{CONVERSATIONS} calls at once: {TALK_PER_S} events and {API_PER_S} requests a second")
            with cpu(service, found.control_cpu, "talk"):
                found.talk_ns = time.monotonic_ns()
                await asyncio.gather(offer(calls, TALK_PER_S, TALK_S / seconds_by), chats.ask(TALK_S / seconds_by))
                await all_handled()
            console.print(f"{FLOOD_PER_S} events a second, and the broker away")
            with cpu(service, found.control_cpu, "flood"):
                await flood(calls, broker, FLOOD_S / seconds_by, found)
                await all_handled()
        found.handled, found.redelivered = subscriber.handled()
    return found


async def offer(calls: Calls, per_s: int, seconds: float) -> None:
    """So many events a second, evenly, and no fewer in all when this process is late."""
    began, offered = time.monotonic(), 0
    while offered < per_s * seconds:
        due = int(min(per_s * seconds, per_s * (time.monotonic() - began)))
        calls.say(due - offered)
        offered = due
        await asyncio.sleep(TICK_S)


async def flood(calls: Calls, broker: Mosquitto, seconds: float, found: Findings) -> None:
    """With the broker killed after a third of the time, and started again after another."""
    found.flood_ns, before = time.monotonic_ns(), len(calls.sent)
    offering = asyncio.create_task(offer(calls, FLOOD_PER_S, seconds))
    try:
        await asyncio.sleep(seconds / 3)
        broker.kill()
        killed_ns = time.monotonic_ns()
        await asyncio.sleep(seconds / 3)
        broker.start()
        found.away_ns = killed_ns, time.monotonic_ns()
        await offering
    finally:
        offering.cancel()
        with suppress(asyncio.CancelledError):
            await offering
    found.offered_per_s = (len(calls.sent) - before) / (time.monotonic_ns() - found.flood_ns) * 1e9


@contextmanager
def cpu(service: RunningService, spent: dict[str, float], name: str) -> Iterator[None]:
    """Percent of a core that the control process takes meanwhile."""
    pid, per_s = service.pid("control"), os.sysconf("SC_CLK_TCK")

    def used() -> float:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / per_s

    used_before, began = used(), time.monotonic()
    yield
    spent[name] = round(100 * (used() - used_before) / (time.monotonic() - began), 1)


# What came of it


def summary(found: Findings) -> dict[str, Any]:
    keys = {(event.source, event.id) for event in found.handled}
    waits = [(sent.at_ns, (event.at_ns - sent.at_ns) / 1e6) for event, sent in found.of_calls()]
    killed_ns, back_ns = found.away_ns
    return {
        "event_ms": spread([wait for at, wait in waits if found.talk_ns <= at < found.flood_ns]),
        "api_ms": spread([wait for _, wait in found.answers]),
        "api_read_ms": spread([wait for kind, wait in found.answers if kind == "read"]),
        "api_turn_ms": spread([wait for kind, wait in found.answers if kind == "turn"]),
        "flood_event_ms": spread([wait for at, wait in waits if found.flood_ns <= at < killed_ns - BEFORE_NS]),
        "lost": found.expected - len(keys),
        "duplicates": len(found.handled) - len(keys),
        "out_of_order": out_of_order(found),
        "redelivered": found.redelivered,
        "events": found.expected,
        "requests": len(found.answers),
        "conversations": CONVERSATIONS,
        "offered_per_s": round(found.offered_per_s),
        "broker_away_s": round((back_ns - killed_ns) / 1e9, 1),
        "caught_up_s": round((max(event.at_ns for event in found.handled) - back_ns) / 1e9, 1),
        "control_cpu_percent": found.control_cpu,
    }


def out_of_order(found: Findings) -> int:
    """The order is the one in which a conversation's events were written down, and so is their number."""
    wrong, latest = 0, Counter[str]()
    for event in found.handled:
        sent = found.sent.get(event.id)
        wrong += event.sequence <= latest[event.subject] or (sent is not None and sent.number != event.sequence)
        latest[event.subject] = max(event.sequence, latest[event.subject])
    return wrong


def spread(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p95": None}
    p50, p95 = np.percentile(values, (50, 95))
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1)}


def table(result: dict[str, Any]) -> Table:
    table = Table("", "", title=f"{result['machine']['cpu']}, {result['machine']['cores']} cores, {result['database']}")
    for name, value in result.items():
        if isinstance(value, dict) and "p50" in value:
            table.add_row(name, f"p50 {value['p50']}  p95 {value['p95']}")
        elif not isinstance(value, dict):
            table.add_row(name, str(value))
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time")
    parser.add_argument("--postgres", action="store_true", help="a PostgreSQL of our own instead of SQLite")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")
    options = parser.parse_args()
    console = Console(stderr=True)
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)  # calls tell of themselves, and of waiting
    structlog.configure(wrapper_class=quiet, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    load = os.getloadavg()
    found = asyncio.run(bench(seconds_by=QUICK if options.quick else 1, postgres=options.postgres, console=console))
    result = summary(found) | {
        "database": "PostgreSQL" if options.postgres else "SQLite",
        "machine": machine(),
        "load_average": {"before": load, "after": os.getloadavg()},
    }
    if options.json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    else:
        Console().print(table(result))
    return 1 if result["lost"] or result["duplicates"] or result["out_of_order"] else 0


if __name__ == "__main__":
    sys.exit(main())
