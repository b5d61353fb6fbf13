"""A service as its metrics see it, for tests: every process answers over its real socket, and nothing runs."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from unittest import mock

from voiceedge.clock import Clock, RealClock
from voiceedge.config import Config
from voiceedge.context.events.call import LegEnded
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import Handler, Head, LinkServer
from voiceedge.edge.call.tally import Tally
from voiceedge.edge.metrics import gathering, serving

DAY = {"handled": 8, "abandoned": 2, "overflowed": 1, "called_back": 3, "service_level": 0.75, "wait_s": 12.5}
QUIET = {"handled": 0, "abandoned": 0, "overflowed": 0, "called_back": 0, "service_level": None, "wait_s": None}
QUEUE = {
    "name": "sales", "open": True, "waiting": 4, "call_backs": 1, "longest_wait_s": 33.0, "talking": 2,
    "agents": {"available": 1, "talking": 2}, "last_15_min": QUIET, "last_hour": DAY, "today": DAY,
}  # fmt: skip
LOOK_UPS = {
    "name": "crm",
    "kind": "http",
    "breaker": "open",
    "rests_s": 12.0,
    "asked": 9,
    "kept": 4,
    "found": 5,
    "not_found": 1,
    "failed": 3,
    "seconds": 0.75,
    "p95_ms": 200.0,
    "problem": "status 500",
}
CONTROL = {
    "queues": {"queues": [QUEUE]},
    "agents": {"agents": [{"name": "kim", "state": "talking"}, {"name": "lee", "state": "break"}]},
    "connectors": {"connectors": [LOOK_UPS]},
    "health": {"broker_url": None, "broker_connected": True, "published": 70, "pending": 5, "problem": None},
}
TRUNK = {"host": "198.51.100.10", "calls": 7, "max_calls": 30}
FRONT = {
    "stats": {
        "calls": 9, "workers": {}, "incoming": 120, "outgoing": 30, "refused": {"full": 4, "rate": 1}, "up_s": 3600,
    },
    "trunks": {
        "trunks": [
            {"trunk": "carrier", "state": "up", "registered": True, **TRUNK},
            {"trunk": "backup", "state": "down", "registered": False, **TRUNK},
            {"trunk": "pbx", "state": "none", "registered": None, **TRUNK, "max_calls": None},
        ]
    },
    "bans": {"bans": [{"address": "203.0.113.9", "reason": "scan", "left_s": 60}]},
}  # fmt: skip


def figures() -> Head:
    """A worker's, after some calls."""
    tally = Tally(taken=5)
    for set_up_ms in (0.8, 2.5, 30.0, 4000.0):
        tally.answer(set_up_ms)
    tally.ended["flow"] += 3
    tally.hear(61.0, 160)
    leg = dict.fromkeys(("trunk", "agent", "answered_at", "request_delay_ms", "disconnect_delay_ms", "q850"))
    leg |= {"call_id": "x", "role": "caller", "direction": "in", "far_end": "*", "began_at": "", "ended_at": ""}
    leg |= {"talk_ms": 1, "cause": "us", "sip_code": 200, "packets_in": 980, "lost_in": 20, "mos": 4.2}
    tally.leg(LegEnded.model_validate(leg))
    return {**vars(tally), "calls": 2, "events_waiting": 6, "events_lost": 0, "connectors": [LOOK_UPS]}


def answering(answers: Mapping[str, Head]) -> dict[str, Handler]:
    def handler(answer: Head) -> Handler:
        async def handle(_head: Head, _payload: bytes) -> Head:
            return dict(answer)

        return handle

    return {name: handler(answer) for name, answer in answers.items()}


async def hangs(_head: Head, _payload: bytes) -> Head:
    await asyncio.Event().wait()
    return {}


def write_status(config: Config, workers: int, *, front: bool) -> None:
    facts = {"pid": os.getpid(), "ready": True, "draining": False, "calls_each": 4}
    processes = {f"worker-{number + 1}": facts for number in range(workers)}
    status = {"ready": True, "supervisor": os.getpid(), "front": front, "processes": processes}
    paths.status_file(config).write_text(json.dumps(status))


@asynccontextmanager
async def watched(
    config: Config,
    *,
    workers: Mapping[str, Mapping[str, Handler]] | None = None,
    front: Mapping[str, Handler] | None = None,
    control: Mapping[str, Handler] | None = None,
    clock: Clock | None = None,
    tell: Callable[[dict[str, Any]], None] | None = None,
    patience_s: float = 20.0,
) -> AsyncIterator[Callable[[], "asyncio.Future[int]"]]:
    """Yields what waits for the port that the metrics are served at. `patience_s`: for each part to answer."""
    config.site.run_dir.mkdir(parents=True, exist_ok=True)
    config.site.data_dir.mkdir(parents=True, exist_ok=True)
    if workers is None:
        workers = {"worker-1": answering({"figures": figures()})}
    write_status(config, len(workers), front=front is not None)
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def told(facts: dict[str, Any]) -> None:
        if not port.done():
            port.set_result(facts["metrics_port"])
        if tell:
            tell(facts)

    async with AsyncExitStack() as stack:
        stack.enter_context(mock.patch.multiple(gathering, ASK_S=0.75 * patience_s, PART_S=patience_s))
        for name, handlers in workers.items():
            await stack.enter_async_context(LinkServer(paths.worker_socket(config, name), handlers))
        if front is not None:
            await stack.enter_async_context(LinkServer(paths.front_socket(config), front))
        own = {**answering(CONTROL), **(control or {})}
        await stack.enter_async_context(serving.served(config, own, clock or RealClock(), told, {}))
        yield lambda: port
