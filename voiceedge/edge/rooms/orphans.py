"""Calls whose worker, machine or node is gone: control tells their end, as nobody else can."""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from voiceedge.clock import Clock, sleep
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.call import CallEnded, CallStarted, LegEnded
from voiceedge.context.storage import calls_up
from voiceedge.context.storage.calls_up import CallUp
from voiceedge.context.storage.database import Database
from voiceedge.edge.between.process_name import lives
from voiceedge.errors import StoreError

LOOK_S = 2.0
NODES_LOOK_S = 60.0
LOST_S = 600.0  # a node that only lacked the database for a while may still have its calls
SERVER_ERROR = 500
GONE = "the worker of this call is gone"

log = structlog.get_logger()


class Context(Protocol):
    """As much of a ContextService as is needed here. Its methods raise StoreError."""

    @property
    def database(self) -> Database: ...

    async def ingest(self, batch: Sequence[StampedEvent]) -> None: ...

    async def silent_nodes(self, for_s: float) -> list[str]: ...

    def check_node(self) -> None: ...


class Orphans:
    """The store has the calls that are up; what is known here is who may have some, so as to look only then."""

    def __init__(self, context: Context, clock: Clock) -> None:
        self._context, self._clock = context, clock
        self._up: dict[tuple[str, str], str] = {}  # by conversation and call: the process
        self._dead: dict[str, datetime] = {}  # since when that is known of a process
        self._some = asyncio.Event()

    async def ingest(self, holder: str, events: Sequence[StampedEvent]) -> None:
        """Keep what the worker of this `process_name` tells. Raises StoreError."""
        stamp = {"holder": holder}
        events = [one.model_copy(update=stamp) if isinstance(one.data, CallStarted) else one for one in events]
        for event in events:  # before it is kept: it may be kept though whoever brought it has gone meanwhile
            if isinstance(event.data, CallStarted):
                self._note((event.conversation, event.data.call_id), holder)
        await self._context.ingest(events)
        for event in events:
            if isinstance(event.data, CallEnded):
                self._up.pop((event.conversation, event.data.call_id), None)

    async def watch_forever(self) -> None:
        """No wake-up while there are no calls."""
        while not await self._recalled():
            await sleep(self._clock, LOOK_S)
        while True:
            await self._some.wait()
            await sleep(self._clock, LOOK_S)
            if self._dead:  # since the look before: what they sent last is kept by now
                await self._tell_of_the_dead()
            for holder in set(self._up.values()) - self._dead.keys():
                if not lives(holder):
                    self._dead[holder] = self._clock.now()
            if not self._up:
                self._some.clear()

    async def watch_nodes_forever(self) -> None:
        """Where several nodes share the store: of a node that is gone another tells, whichever sees it first."""
        while True:
            await sleep(self._clock, NODES_LOOK_S)
            try:
                lost = await calls_up.of_nodes(self._context.database, await self._context.silent_nodes(LOST_S))
                gone = [call for call in lost if not lives(call.holder)]
                await self._end([(call, call.told) for call in gone], "the node of this call is gone")
            except StoreError as error:
                log.warning("calls_not_ended", problem=str(error))

    async def _recalled(self) -> bool:
        """Calls from before this process: of workers that go on, and of those that a power cut has ended."""
        try:
            self._context.check_node()
            known = await calls_up.of_this_node(self._context.database)
            living = [call for call in known if lives(call.holder)]
            await self._end([(call, call.told) for call in known if call not in living], GONE)
        except StoreError as error:
            log.warning("calls_not_ended", problem=str(error))
            return False
        for call in living:
            self._note((call.conversation, call.call_id), call.holder)
        return True

    def _note(self, call: tuple[str, str], holder: str) -> None:
        self._up[call] = holder
        self._some.set()

    async def _tell_of_the_dead(self) -> None:
        try:
            self._context.check_node()
            calls = await calls_up.of_holders(self._context.database, self._dead)
            await self._end([(call, self._dead[call.holder]) for call in calls], GONE)
        except StoreError as error:  # once more next time
            log.warning("calls_not_ended", problem=str(error))
            return
        if not calls:
            self._up = {call: holder for call, holder in self._up.items() if holder not in self._dead}
            self._dead.clear()

    async def _end(self, calls: Sequence[tuple[CallUp, datetime]], reason: str) -> None:
        """… each at its time and by itself: one that is refused must not hold up the others. Raises StoreError."""
        telling = (self._context.ingest(_events(call, at, reason)) for call, at in calls)
        failed = await asyncio.gather(*telling, return_exceptions=True)
        for error in failed:
            if error:
                raise error
        if calls:
            log.warning("calls_ended_for_others", calls=len(calls), reason=reason)


def _events(call: CallUp, at: datetime, reason: str) -> list[StampedEvent]:
    """With the same ids, whoever tells them, and however often."""
    return [
        StampedEvent(
            id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{call.holder} {call.conversation} {call.call_id} {data.type}")),
            time=at,
            conversation=call.conversation,
            type=data.type,
            data=data,
        )
        for data in _end_of(call, at, reason)
    ]


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
