"""Brings events from the store to the broker: each stays pending until its PUBACK, and their order is kept.

A broker that comes back (it was killed, or it is the embedded one of a process that was) may have acknowledged what its
subscribers never got. That it remembers our session proves nothing: it may have read that on its disk, where what came
after is missing. So the latest events are then offered once more, and all wait a moment until the subscribers are back;
they know a repeated event by `source` and `id`.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from voiceedge.bus.backoff import backoff
from voiceedge.bus.client import IN_FLIGHT, Connection, Message
from voiceedge.clock import Clock, sleep, timeout
from voiceedge.context.cloudevents import events_topic, status_topic
from voiceedge.context.storage.lease import Lease
from voiceedge.context.storage.store import Added, Pending, Store
from voiceedge.errors import BusError, StoreError

LONGEST_DELAY_S = 2.0  # before the broker is tried again
REOFFERED_MS = 10_000
SETTLE_S = 3.0  # a subscriber's usual first delay is 1 s
KEPT = timedelta(days=1)  # published events, by which a repeated one is known
PRUNE_EVERY_S = 60.0
# A backlog is let out with measure: a broker sheds what a subscriber is too far behind with (Mosquitto, unless told
# otherwise by max_queued_messages, beyond 1000 messages), although it has acknowledged it.
PACE_PER_S = 2_000
TAKEN = 4 * IN_FLIGHT  # from the store at a time
GOODBYE_S = 3.0
LOOK_S = 1.0

log = structlog.get_logger()


@dataclass(slots=True)
class OutboxState:
    """`problem` says why events wait, None while they flow."""

    connected: bool = False
    problem: str | None = "not connected yet"
    published: int = 0


class Outbox:
    def __init__(
        self,
        store: Store,
        connect: Callable[[], AbstractAsyncContextManager[Connection]],
        clock: Clock,
        *,
        site: str,
        keep: int,
        lease: Lease | None = None,
        settle_s: float = SETTLE_S,
    ) -> None:
        """`lease`: where several nodes share the store."""
        self._store, self._connect, self._clock, self._lease = store, connect, clock, lease
        self._site, self._node, self._keep, self._settle_s = site, store.node, keep, settle_s
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        # Pending events that need not be read, and up to which position these are all. None: the store must be asked.
        self._fresh: deque[Pending] = deque()
        self._known: int | None = None
        self._was_called = False  # since the store was last asked
        self._unmarked: set[int] = set()  # acknowledged, but the disk would not take that yet
        self._was_away = False  # the broker, and its subscribers with it
        self._some_acknowledged = True  # since the latest were offered again
        self._free_at = self._pruned_at = clock.monotonic()  # for the next to be published, by the pace
        self.state = OutboxState()

    def wake(self) -> None:
        """There are events of which only the store can tell."""
        self._known, self._was_called = None, True
        self._fresh.clear()
        self._idle.clear()
        self._wake.set()

    def offer(self, events: Sequence[Added]) -> None:
        """These were committed here just now. Whatever another node has added before them makes a gap."""
        if self._known is None or events[0].position != self._known + 1 or len(self._fresh) > TAKEN:
            self.wake()
            return
        self._known = events[-1].position
        self._fresh += [Pending(one.position, one.conversation, one.body) for one in events if one.node == self._node]
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever: no trouble of the broker's or the disk's ends this."""
        delays = backoff(longest_s=LONGEST_DELAY_S)
        while True:
            try:
                async with self._connect() as connection:
                    self.state.connected, self.state.problem = True, None
                    log.info("broker_connected", session_present=connection.session_present)
                    delays = backoff(longest_s=LONGEST_DELAY_S)
                    await self._serve(connection)
            except (BusError, StoreError) as error:
                self._was_away = True
                self._note(error)
            finally:
                self.state.connected = False
                self._known = None
                self._fresh.clear()
            await sleep(self._clock, next(delays))

    async def flushed(self, wait_s: float) -> bool:
        """Wait until nothing is pending, `wait_s` at most; for a process that is about to end."""
        try:
            async with timeout(self._clock, wait_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _serve(self, connection: Connection) -> None:
        try:
            await connection.publish([status_message(self._site, self._node, online=True)], _nobody)
            if self._was_away or not connection.session_present:
                await self._offer_again(connection)
            await self._publish_all(connection)
        except asyncio.CancelledError:
            with suppress(BusError, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await connection.publish([status_message(self._site, self._node, online=False)], _nobody)
            raise

    async def _offer_again(self, connection: Connection) -> None:
        events = 0
        if self._some_acknowledged:
            events = await self._store.reoffer(REOFFERED_MS)
            self._unmarked.clear()  # they are pending still
            self._some_acknowledged = False
        if events:
            log.info("events_offered_again", events=events, reason="the broker was away, or does not remember us")
        if self._was_away or await self._store.count_pending():  # also what a process before us left unpublished
            await self._until_lost(connection, sleep(self._clock, self._settle_s))
        self._was_away = False

    async def _publish_all(self, connection: Connection) -> None:
        delays = backoff()
        while True:
            self._wake.clear()
            try:
                published = await self._publish_some(connection)
                delays, self.state.problem = backoff(), None
                if not published:
                    if not self._wake.is_set():
                        self._idle.set()
                    await self._prune_now_and_then()
                    await self._until_lost(connection, self._more())
            except StoreError as error:
                self._known = None  # others may publish ours meanwhile, and what was on its way may have failed too
                self._note(error)
                await self._until_lost(connection, sleep(self._clock, next(delays)))

    async def _publish_some(self, connection: Connection) -> int:
        """Publish what waits longest, and return how many events those were."""
        await self._mark()
        if self._lease:
            self._lease.check()
        pending = await self._next()
        try:
            for first in range(0, len(pending), IN_FLIGHT):
                await self._publish_at_pace(connection, pending[first : first + IN_FLIGHT])
        finally:
            await self._mark()
        return len(pending)

    async def _next(self) -> list[Pending]:
        if self._known is not None:
            return [self._fresh.popleft() for _ in range(min(TAKEN, len(self._fresh)))]
        self._was_called = False
        self._fresh.clear()
        newest = await self._store.newest()
        pending = await self._store.pending(TAKEN)
        if len(pending) < TAKEN and not self._was_called:
            self._known = max([newest, *(event.position for event in pending)])
        return pending

    async def _publish_at_pace(self, connection: Connection, events: Sequence[Pending]) -> None:
        """What fits in flight, as soon as that is no faster than the pace."""
        now = self._clock.monotonic()
        if self._free_at > now:
            await sleep(self._clock, self._free_at - now)
        self._free_at = max(self._free_at, now) + len(events) / PACE_PER_S
        messages = [Message(events_topic(self._site, event.conversation), event.body.encode()) for event in events]
        acknowledged: set[int] = set()
        try:
            await connection.publish(messages, lambda index: acknowledged.add(events[index].position))
        finally:
            self.state.published += len(acknowledged)
            self._some_acknowledged |= bool(acknowledged)
            self._unmarked |= acknowledged

    async def _more(self) -> None:
        """Wait for further events: ours wake us, and those that another node leaves to us are looked for."""
        try:
            async with timeout(self._clock, LOOK_S if self._lease else None):
                await self._wake.wait()
        except TimeoutError:
            self._known = None

    async def _mark(self) -> None:
        """Raises StoreError while the disk refuses; nothing is forgotten, so nothing is published again meanwhile."""
        if self._unmarked:
            await self._store.mark_published(self._unmarked, self._clock.now())
            self._unmarked.clear()

    def _note(self, error: BusError | StoreError) -> None:
        if self.state.problem != str(error):
            log.warning("events_wait", problem=str(error))
        self.state.problem = str(error)

    async def _prune_now_and_then(self) -> None:
        if self._clock.monotonic() - self._pruned_at >= PRUNE_EVERY_S:
            self._pruned_at = self._clock.monotonic()
            await self._store.prune(self._clock.now() - KEPT, self._keep)

    @staticmethod
    async def _until_lost(connection: Connection, what: Coroutine[object, object, object]) -> None:
        """Wait for `what`, or raise BusError when the connection is lost before."""
        waiting = asyncio.ensure_future(what)
        lost = asyncio.ensure_future(connection.lost())
        try:
            await asyncio.wait((waiting, lost), return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                lost.result()
        finally:
            waiting.cancel()
            lost.cancel()
            await asyncio.gather(waiting, lost, return_exceptions=True)


def _nobody(_index: int) -> None:
    """The status is in no outbox: nobody waits for its PUBACK."""


def status_message(site: str, node: str, *, online: bool) -> Message:
    """Retained, so that a subscriber knows at once; as a will it tells of our sudden end."""
    body = json.dumps({"state": "online" if online else "offline"}).encode()
    return Message(status_topic(site, node), body, retain=True)
