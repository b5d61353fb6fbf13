"""Where a worker's calls write down what happens: kept in memory, in order, until the control process has it safe."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Protocol

import structlog
from pydantic import ValidationError

from voiceedge.bus.backoff import backoff
from voiceedge.clock import Clock, sleep, timeout
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import (
    BridgeEnded,
    BridgeStarted,
    CallAnswered,
    CallEnded,
    CallStarted,
    CallTransferred,
    EventData,
    VoicemailLeft,
)
from voiceedge.context.record import Changes
from voiceedge.errors import VoiceEdgeError

BATCH = 200
LIMIT = 20_000  # events, some 20 MB: a thousand calls' worth while control is away
SEND_S = 30.0

# What of a call the log tells too. No field of an event holds personal data in the clear.
STORY: Mapping[type[EventData], tuple[str, ...]] = {
    CallStarted: ("direction", "caller", "called", "trunk", "flow"),
    CallAnswered: ("set_up_ms",),
    CallTransferred: ("target", "result"),
    BridgeStarted: ("agent", "queue", "by", "wait_ms"),
    BridgeEnded: ("agent", "ended_by", "talk_ms"),
    VoicemailLeft: ("mailbox", "seconds"),
    CallEnded: ("cause", "sip_code", "outcome", "duration_ms"),
}

NO_CHANGES = Changes()
Send = Callable[[Sequence[StampedEvent]], Awaitable[None]]
log = structlog.get_logger()


class Outgoing:
    """One worker's events that nobody has acknowledged yet. `lost` counts those not kept: it should stay 0."""

    def __init__(self, clock: Clock, limit: int = LIMIT) -> None:
        self._clock, self._limit = clock, limit
        self._events: deque[StampedEvent] = deque()
        self._some, self._none = asyncio.Event(), asyncio.Event()
        self._none.set()
        self.lost = 0

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: StampedEvent) -> None:
        if len(self._events) >= self._limit:
            self._lose(event, "the control process has been away too long and memory for events is full")
            return
        self._events.append(event)
        self._none.clear()
        self._some.set()

    async def drain(self, send: Send) -> None:
        """Hand events on for ever, in order; what is not acknowledged is sent again, by the same id."""
        delays, size = backoff(), BATCH
        while True:
            await self._some.wait()
            batch = tuple(islice(self._events, size))
            try:
                async with timeout(self._clock, SEND_S):
                    await send(batch)
            except Exception as error:  # noqa: BLE001 - one event that cannot be sent must not stop the others
                can_retry = getattr(error, "can_retry", isinstance(error, TimeoutError))
                problem = str(error) if isinstance(error, VoiceEdgeError) else type(error).__name__
                log.warning("events_waiting", events=len(self._events), problem=problem)
                if can_retry:
                    await sleep(self._clock, next(delays))
                elif len(batch) > 1:
                    size = len(batch) // 2  # the one that is refused is found by halving
                else:
                    self._lose(batch[0], problem)
                    self._forget(1)
            else:
                self._forget(len(batch))
                delays, size = backoff(), min(BATCH, size * 2)

    async def flushed(self, wait_s: float) -> bool:
        """Wait until everything is acknowledged, `wait_s` at most; for a worker that is about to end."""
        try:
            async with timeout(self._clock, wait_s):
                await self._none.wait()
        except TimeoutError:
            return False
        return True

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._events.popleft()
        if not self._events:
            self._some.clear()
            self._none.set()

    def _lose(self, event: StampedEvent, problem: str) -> None:
        self.lost += 1
        if self.lost & (self.lost - 1) == 0:  # 1, 2, 4, 8 …: loud, but no flood
            log.error("event_lost", lost=self.lost, type=event.type, conversation=event.conversation, problem=problem)


class Sink(Protocol):
    def put(self, event: StampedEvent) -> None: ...


class QueueJournal:
    """The journal of one conversation's visit, such as a call."""

    def __init__(self, outgoing: Sink, conversation: str, clock: Clock) -> None:
        self._outgoing, self._conversation, self._clock = outgoing, conversation, clock

    def record(self, event: EventData, conversation: Mapping[str, object] | None = None) -> None:
        try:
            changes = Changes.model_validate(dict(conversation)) if conversation else NO_CHANGES
        except ValidationError as error:
            fields = [".".join(map(str, problem["loc"])) for problem in error.errors()]  # without the values
            log.error("record_changes_refused", event_type=event.type, fields=fields)  # noqa: TRY400
            changes = NO_CHANGES
        if told := STORY.get(type(event)):
            story = {name: value for name in told if (value := getattr(event, name)) is not None}
            log.info(event.type.removeprefix("voiceedge."), conversation=self._conversation, **story)
        self._outgoing.put(
            StampedEvent(
                id=new_id(self._clock),
                time=self._clock.now(),
                conversation=self._conversation,
                type=event.type,
                data=event,
                changes=changes,
            )
        )
