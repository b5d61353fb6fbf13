"""Calls whose worker was killed: control tells their end, as nobody else can."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog

from voiceedge.clock import Clock, sleep
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import CallAnswered, CallEnded, CallStarted, LegEnded
from voiceedge.errors import StoreError

LOOK_S = 2.0
SERVER_ERROR = 500

log = structlog.get_logger()


@dataclass(slots=True)
class _Call:
    """What is known of a call that is up: as much as its end and its leg's record shall tell."""

    since: datetime
    direction: Literal["in", "out"]
    far_end: str
    trunk: str | None
    answered: datetime | None = None
    is_leg_over: bool = False


class Orphans:
    """Knows of each worker's calls from the events it sends; a restarted control, from the list that goes along."""

    def __init__(self, ingest: Callable[[Sequence[StampedEvent]], Awaitable[object]], clock: Clock) -> None:
        self._ingest, self._clock = ingest, clock
        self._calls: dict[int, dict[tuple[str, str], _Call]] = {}  # by worker: conversation and call
        self._some = asyncio.Event()

    def note(self, pid: int, calls: Sequence[Mapping[str, Any]], events: Sequence[StampedEvent]) -> None:
        """What the worker `pid` sends is on disk; `calls` are those that it has up."""
        if pid not in self._calls:
            self._calls[pid] = {(call["conversation"], call["call_id"]): self._pictured(call) for call in calls}
        known = self._calls[pid]
        for event in events:
            match event.data:
                case CallStarted(call_id=call_id, direction=direction) as begun:
                    far_end = begun.caller if direction == "in" else begun.called
                    known[event.conversation, call_id] = _Call(event.time, direction, far_end, begun.trunk)
                case CallAnswered(call_id=call_id) if call := known.get((event.conversation, call_id)):
                    call.answered = event.time
                case LegEnded(call_id=call_id) if call := known.get((event.conversation, call_id)):
                    call.is_leg_over = True
                case CallEnded(call_id=call_id):
                    known.pop((event.conversation, call_id), None)
        if known:
            self._some.set()

    def _pictured(self, call: Mapping[str, Any]) -> _Call:
        since = self._clock.now() - timedelta(seconds=call["seconds"])
        answered = since if call["answered"] else None  # when exactly, nobody knows any more
        return _Call(since, call["direction"], call["caller"], call["trunk"], answered)

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
        events = [
            StampedEvent(id=new_id(self._clock), time=now, conversation=conversation, type=data.type, data=data)
            for (conversation, call_id), call in calls.items()
            for data in _end_of(call_id, call, now)
        ]
        try:
            if events:
                await self._ingest(events)
                log.warning("calls_ended_with_their_worker", pid=pid, calls=len(calls))
        except StoreError as error:  # once more next time
            log.warning("calls_not_ended", pid=pid, problem=str(error))
            return
        del self._calls[pid]


def _end_of(call_id: str, call: _Call, now: datetime) -> Iterator[LegEnded | CallEnded]:
    talk_ms = _ms(now - call.answered) if call.answered else 0
    if not call.is_leg_over:
        yield LegEnded(
            call_id=call_id,
            role="caller" if call.direction == "in" else "other",
            direction=call.direction,
            trunk=call.trunk,
            agent=None,
            far_end=call.far_end,
            began_at=call.since.isoformat(),
            answered_at=call.answered.isoformat() if call.answered else None,
            ended_at=now.isoformat(),
            request_delay_ms=None,
            disconnect_delay_ms=None,
            talk_ms=talk_ms,
            cause="failed",
            sip_code=SERVER_ERROR,
            q850=None,
        )
    yield CallEnded(
        call_id=call_id,
        cause="failed",
        sip_code=SERVER_ERROR,
        reason="the worker of this call is gone",
        duration_ms=_ms(now - call.since),
        talk_ms=talk_ms,
    )


def _ms(time: timedelta) -> int:
    return round(time.total_seconds() * 1000)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
