"""Calls whose worker was killed: control tells their end, as nobody else can."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from voiceedge.clock import Clock, sleep
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events import CallEnded, CallStarted
from voiceedge.errors import StoreError

LOOK_S = 2.0
SERVER_ERROR = 500

log = structlog.get_logger()


class Orphans:
    """Knows of each worker's calls from the events it sends; a restarted control, from the list that goes along."""

    def __init__(self, ingest: Callable[[Sequence[StampedEvent]], Awaitable[object]], clock: Clock) -> None:
        self._ingest, self._clock = ingest, clock
        self._calls: dict[int, dict[tuple[str, str], datetime]] = {}  # by worker: conversation and call, since when
        self._some = asyncio.Event()

    def note(self, pid: int, calls: Sequence[Mapping[str, Any]], events: Sequence[StampedEvent]) -> None:
        """What the worker `pid` sends is on disk; `calls` are those that it has up."""
        if pid not in self._calls:
            now = self._clock.now()
            self._calls[pid] = {
                (call["conversation"], call["call_id"]): now - timedelta(seconds=call["seconds"]) for call in calls
            }
        known = self._calls[pid]
        for event in events:
            match event.data:
                case CallStarted(call_id=call_id):
                    known[event.conversation, call_id] = event.time
                case CallEnded(call_id=call_id):
                    known.pop((event.conversation, call_id), None)
        if known:
            self._some.set()

    async def watch_forever(self) -> None:
        """No wake-up while there are no calls."""
        while True:
            await self._some.wait()
            await sleep(self._clock, LOOK_S)
            for pid in [pid for pid in self._calls if not _lives(pid)]:
                await self._end(pid)
            if not any(self._calls.values()):
                self._some.clear()

    async def _end(self, pid: int) -> None:
        calls, now = self._calls[pid], self._clock.now()
        events = [self._ended(conversation, call_id, since, now) for (conversation, call_id), since in calls.items()]
        try:
            if events:
                await self._ingest(events)
                log.warning("calls_ended_with_their_worker", pid=pid, calls=len(events))
        except StoreError as error:  # once more next time
            log.warning("calls_not_ended", pid=pid, problem=str(error))
            return
        del self._calls[pid]

    def _ended(self, conversation: str, call_id: str, since: datetime, now: datetime) -> StampedEvent:
        data = CallEnded(
            call_id=call_id,
            cause="failed",
            sip_code=SERVER_ERROR,
            reason="the worker of this call is gone",
            duration_ms=round((now - since).total_seconds() * 1000),
            talk_ms=0,
        )
        return StampedEvent(id=new_id(self._clock), time=now, conversation=conversation, type=data.type, data=data)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
