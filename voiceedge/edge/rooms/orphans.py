"""Calls whose worker, machine or node is gone: control tells their end, as nobody else can."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta

import structlog

from voiceedge.clock import Clock, sleep
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.call import CallEnded, CallStarted, LegEnded
from voiceedge.context.storage import calls_up
from voiceedge.context.storage.calls_up import CallUp
from voiceedge.context.storage.database import Database
from voiceedge.edge.between.process_name import lives, process_name
from voiceedge.errors import StoreError

LOOK_S = 2.0
NODES_LOOK_S = 60.0
LOST_S = 600.0  # a node that only lacked the database for a while may still have its calls
SERVER_ERROR = 500

log = structlog.get_logger()


class Orphans:
    """The store has the calls that are up; what is known here is who may have some, so as to look only then."""

    def __init__(
        self, database: Database, ingest: Callable[[Sequence[StampedEvent]], Awaitable[object]], clock: Clock
    ) -> None:
        self._database, self._ingest, self._clock = database, ingest, clock
        self._up: dict[str, set[tuple[str, str]]] = {}  # by process: conversation and call
        self._some = asyncio.Event()

    async def ingest(self, pid: int, events: Sequence[StampedEvent]) -> None:
        """Keep what the worker `pid` tells. Raises StoreError."""
        holder = process_name(pid)
        stamp = {"holder": holder}
        events = [one.model_copy(update=stamp) if isinstance(one.data, CallStarted) else one for one in events]
        await self._ingest(events)
        up = self._up.setdefault(holder, set())
        for event in events:
            match event.data:
                case CallStarted(call_id=call):
                    up.add((event.conversation, call))
                case CallEnded(call_id=call):
                    up.discard((event.conversation, call))
        if up:
            self._some.set()

    async def watch_forever(self) -> None:
        """No wake-up while there are no calls."""
        while not await self._recalled():
            await sleep(self._clock, LOOK_S)
        while True:
            await self._some.wait()
            await sleep(self._clock, LOOK_S)
            dead = [holder for holder in self._up if not lives(holder)]
            if dead and await self._told(dead):
                for holder in dead:
                    del self._up[holder]
            if not any(self._up.values()):
                self._some.clear()

    async def watch_nodes_forever(self, silent: Callable[[float], Awaitable[Collection[str]]]) -> None:
        """Where several nodes share the store: of a node that is gone another tells, whichever sees it first."""
        while True:
            await sleep(self._clock, NODES_LOOK_S)
            try:
                lost = await calls_up.of_nodes(self._database, await silent(LOST_S))
                await self._end([(call, call.told) for call in lost], "the node of this call is gone")
            except StoreError as error:
                log.warning("calls_not_ended", problem=str(error))

    async def _recalled(self) -> bool:
        """Calls from before this process: of workers that go on, and of those that a power cut has ended."""
        try:
            known = await calls_up.of_this_node(self._database)
            lost = [call for call in known if not lives(call.holder)]
            await self._end([(call, call.told) for call in lost], "the service was stopped during this call")
        except StoreError as error:
            log.warning("calls_not_ended", problem=str(error))
            return False
        for call in known:
            if call not in lost:
                self._up.setdefault(call.holder, set()).add((call.conversation, call.call_id))
                self._some.set()
        return True

    async def _told(self, holders: Sequence[str]) -> bool:
        now = self._clock.now()
        try:
            calls = await calls_up.of_holders(self._database, holders)
            await self._end([(call, now) for call in calls], "the worker of this call is gone")
        except StoreError as error:  # once more next time
            log.warning("calls_not_ended", problem=str(error))
            return False
        return True

    async def _end(self, calls: Sequence[tuple[CallUp, datetime]], reason: str) -> None:
        """… each at its time. Raises StoreError."""
        events = [
            StampedEvent(id=_id(call, data.type), time=at, conversation=call.conversation, type=data.type, data=data)
            for call, at in calls
            for data in _end_of(call, at, reason)
        ]
        if events:
            await self._ingest(events)
            log.warning("calls_ended_for_others", calls=len(calls), reason=reason)


def _id(call: CallUp, kind: str) -> str:
    """The same, whoever tells it, and however often."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{call.holder} {call.conversation} {call.call_id} {kind}"))


def _end_of(call: CallUp, at: datetime, reason: str) -> Iterator[LegEnded | CallEnded]:
    talk_ms = _ms(at - call.answered) if call.answered else 0
    if not call.leg_over:
        yield LegEnded(
            call_id=call.call_id,
            role="caller" if call.direction == "in" else "other",
            direction=call.direction,
            trunk=call.trunk,
            agent=None,
            far_end=call.far_end,
            began_at=call.since.isoformat(),
            answered_at=call.answered.isoformat() if call.answered else None,
            ended_at=at.isoformat(),
            request_delay_ms=None,
            disconnect_delay_ms=None,
            talk_ms=talk_ms,
            cause="failed",
            sip_code=SERVER_ERROR,
            q850=None,
        )
    yield CallEnded(
        call_id=call.call_id,
        cause="failed",
        sip_code=SERVER_ERROR,
        reason=reason,
        duration_ms=_ms(at - call.since),
        talk_ms=talk_ms,
    )


def _ms(time: timedelta) -> int:
    return max(0, round(time.total_seconds() * 1000))
