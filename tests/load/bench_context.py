"""Measure how long an event takes to a subscriber, and that none is lost while the broker is away.

The whole service runs as its own processes, with a Mosquitto and a subscriber beside it; this process is what workers
are to it: 50 of their queues of events, over the link that they use. Two hundred calls are up all the time; whichever
ends is followed by a new one. First they say what callers say, 100 events a second in all:

    event_ms       written down by a worker → handled by a subscriber (`voiceedge.context.follow`)

Then they flood it with 1,000 events a second for a minute. After 20 s the broker is killed, after 40 s it is back, and
all that waited follows. What has come when nothing comes any more is held against what was written down:

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
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from typing import Any, Self

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
from voiceedge.context.events import CallAnswered, CallEnded, CallStarted, EventData, LegEnded, StepEntered, TurnHeard
from voiceedge.context.follow import Seen, follow
from voiceedge.context.journal import Outgoing, QueueJournal
from voiceedge.edge.link import LinkClient

FLOWS = Path(__file__).parents[1] / "e2e" / "flows"
CONVERSATIONS, WORKERS = 200, 50
TALK_PER_S, FLOOD_PER_S = 100, 1_000
TALK_S, FLOOD_S = 30, 60
QUICK = 10  # times shorter
QUESTIONS = 12  # of a call
TICK_S = 0.01
INGEST_S = 10.0  # as workers have it
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
            conversation = f"bench-{next(self._numbers)}"
            journal = QueueJournal(_Noting(worker, self.sent), conversation, CLOCK)
            for data in story(conversation):
                journal.record(data, {"intent": "delivery"} if isinstance(data, CallAnswered) else None)
                yield


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
async def connected(run_dir: Path) -> Any:
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
        body = {"events": [event.model_dump(mode="json") for event in events], "pid": os.getpid(), "calls": []}
        await link.request("ingest", body, timeout_s=INGEST_S)

    return send


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
            events.append(Handled(time.monotonic_ns(), event.source, event.id, int(event.sequence)))
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
    handled: list[Handled] = field(default_factory=list)
    redelivered: int = 0
    flood_ns: int = 0
    away_ns: tuple[int, int] = (0, 0)
    over_ns: int = 0
    offered_per_s: float = 0.0
    control_cpu: dict[str, float] = field(default_factory=dict)


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
            "web": {"port": 0},
        }
        if postgres:
            server = stack.enter_context(PostgresServer())
            settings["store"] = {"url": server.url(server.new_database()), "password_file": str(server.password_file)}
        service = stack.enter_context(RunningService(directory, FLOWS, settings))
        subscriber = stack.enter_context(Subscriber(broker.url))
        async with connected(directory / "run") as workers:
            calls = Calls(workers)
            found.sent = calls.sent
            console.print(f"{CONVERSATIONS} calls at once, {TALK_PER_S} events a second")
            with cpu(service, found.control_cpu, "talk"):
                await offer(calls, TALK_PER_S, TALK_S / seconds_by)
                await subscriber.has(len(calls.sent))
            console.print(f"{FLOOD_PER_S} events a second, and the broker away")
            with cpu(service, found.control_cpu, "flood"):
                await flood(calls, broker, FLOOD_S / seconds_by, found)
                await subscriber.has(len(calls.sent))
        found.over_ns = time.monotonic_ns()
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
    keys = [(event.source, event.id) for event in found.handled]
    waits = {event.id: (event.at_ns - found.sent[event.id].at_ns) / 1e6 for event in found.handled}
    talk = [wait for id_, wait in waits.items() if found.sent[id_].at_ns < found.flood_ns]
    flood = [wait for id_, wait in waits.items() if found.flood_ns <= found.sent[id_].at_ns < found.away_ns[0] - 10**9]
    return {
        "event_ms": spread(talk),
        "flood_event_ms": spread(flood),
        "lost": len(found.sent.keys() - waits.keys()),
        "duplicates": len(keys) - len(set(keys)),
        "out_of_order": out_of_order(found),
        "redelivered": found.redelivered,
        "events": len(found.sent),
        "conversations": CONVERSATIONS,
        "offered_per_s": round(found.offered_per_s),
        "broker_away_s": round((found.away_ns[1] - found.away_ns[0]) / 1e9, 1),
        "caught_up_s": round((max(event.at_ns for event in found.handled) - found.away_ns[1]) / 1e9, 1),
        "control_cpu_percent": found.control_cpu,
    }


def out_of_order(found: Findings) -> int:
    """The order is the one in which a conversation's events were written down, and so is their number."""
    wrong, latest = 0, dict.fromkeys({sent.conversation for sent in found.sent.values()}, 0)
    for event in found.handled:
        sent = found.sent[event.id]
        wrong += event.sequence != sent.number or sent.number <= latest[sent.conversation]
        latest[sent.conversation] = max(sent.number, latest[sent.conversation])
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
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
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
