"""Asks every process of the service how it is, each for so long only: one that is silent leaves the others' figures."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import Handler, Head, LinkClient
from voiceedge.edge.between.serving import read_status
from voiceedge.edge.call.live_view import ask_workers
from voiceedge.edge.metrics import machine
from voiceedge.edge.metrics.machine import Machine
from voiceedge.errors import VoiceEdgeError

T = TypeVar("T")

ASK_S = 0.6  # for one process to answer: one that hangs …
PART_S = 0.8  # … does not keep those like it from being told, and a scrape takes less than a second
FRESH_S = 1.0  # who asks again within this time is told the same

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How all of it is; None: that part did not answer in time. `front` is an empty mapping where there is none."""

    status: Mapping[str, Any]
    workers: Mapping[str, Head] | None
    front: Head | None
    queues: list[Head] | None
    agents: list[Head] | None
    events: Head | None
    connectors: list[Head] | None  # control's own; the workers' are among their figures
    machine: Machine | None
    took_s: float

    @property
    def parts(self) -> dict[str, bool]:
        """Whether each has answered."""
        names = ("workers", "queues", "agents", "events", "connectors", "machine")
        answered = {name: getattr(self, name) is not None for name in names}
        if self.status.get("front"):
            answered["front"] = self.front is not None
        if answered["workers"]:
            answered["workers"] = _serving(self.status).keys() <= (self.workers or {}).keys()
        return answered


def _serving(status: Mapping[str, Any]) -> dict[str, Any]:
    processes = status.get("processes", {})
    return {name: facts for name, facts in processes.items() if name.startswith("worker-") and facts["ready"]}


class Gathering:
    """`handlers` are control's own. A question that hangs is waited for again, and not asked once more meanwhile."""

    def __init__(self, config: Config, handlers: Mapping[str, Handler], clock: Clock) -> None:
        self._config, self._handlers, self._clock = config, handlers, clock
        self._asking: dict[str, asyncio.Task[Any]] = {}
        self._one = asyncio.Lock()
        self._last: Snapshot | None = None
        self._last_at = 0.0

    async def snapshot(self) -> Snapshot:
        async with self._one:
            if self._last is None or self._clock.monotonic() - self._last_at >= FRESH_S:
                self._last = await self._look()
                self._last_at = self._clock.monotonic()
            return self._last

    async def close(self) -> None:
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _look(self) -> Snapshot:
        began = self._clock.monotonic()
        status = self._status()
        (workers, front, queues, agents, events, used), connectors = await asyncio.gather(
            asyncio.gather(
                self._part("workers", lambda: ask_workers(self._config, "figures", timeout_s=ASK_S)),
                self._part("front", lambda: self._front(wanted=bool(status.get("front")))),
                self._part("queues", lambda: self._own("queues")),
                self._part("agents", lambda: self._own("agents")),
                self._part("events", lambda: self._own("health")),
                self._part("machine", lambda: asyncio.to_thread(machine.look, self._config, status)),
            ),
            self._part("connectors", lambda: self._own("connectors")),
        )
        return Snapshot(
            status=status,
            workers=workers,
            front=front,
            queues=queues["queues"] if queues else None,
            agents=agents["agents"] if agents else None,
            events=events,
            connectors=connectors["connectors"] if connectors else None,
            machine=used,
            took_s=self._clock.monotonic() - began,
        )

    async def _part(self, name: str, ask: Callable[[], Awaitable[T]]) -> T | None:
        task = self._asking.get(name)
        if task is None or task.done():
            task = self._asking[name] = asyncio.ensure_future(ask())
        await asyncio.wait({task}, timeout=PART_S)
        problem = "no answer in time"
        if task.done():
            try:
                answer: T = task.result()
            except (VoiceEdgeError, OSError) as error:
                problem = str(error)
            else:
                return answer
        log.warning("figures_missing", part=name, problem=problem)
        return None

    async def _own(self, request: str) -> Head:
        return await self._handlers[request]({}, b"")

    async def _front(self, *, wanted: bool) -> Head:
        if not wanted:
            return {}
        link = LinkClient(paths.front_socket(self._config))
        try:
            names = ("stats", "trunks", "bans")
            answers = await asyncio.gather(*(link.request(name, {}, timeout_s=ASK_S) for name in names))
        finally:
            await link.close()
        return dict(zip(names, answers, strict=True))

    def _status(self) -> Mapping[str, Any]:
        return read_status(paths.status_file(self._config))
