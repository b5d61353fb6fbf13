"""Calls out by order: taken, placed at their pace and time by workers, tried again, and told as events.

The store is the truth, so that a restart of control forgets nothing; nodes that share it take turns at placing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol, Self

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock, timeout
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.call import (
    EventData,
    OutboundDialled,
    OutboundOrdered,
    OutboundOver,
    OutboundRefused,
    OutboundResult,
)
from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.context.publishing.journal import Outgoing as Journals
from voiceedge.context.publishing.journal import QueueJournal
from voiceedge.context.storage.database import Database
from voiceedge.errors import StoreError, VoiceEdgeError
from voiceedge.switch.guard import Guard
from voiceedge.switch.outbound import store
from voiceedge.switch.outbound.intake import Intake, OutboundError, to_ms
from voiceedge.switch.outbound.messages import LEASE_S, Added, CallOrder, OrderRequest, Report
from voiceedge.switch.outbound.model import LIVE, Order, OrderState, Result
from voiceedge.switch.outbound.rules import closed, counted_in, room_beside_incoming
from voiceedge.switch.outbound.turn import IDLE_BEAT_S, Turn
from voiceedge.switch.outgoing import Outgoing
from voiceedge.switch.plan import Plan

PRUNE_EVERY_S = 3_600.0
KEPT = timedelta(days=30)
SETTLE_S = 2.0  # until a worker's own figures count a call it was just given
FLUSH_S = 1.0
PLACING = "placing"  # the name of a task that gives a worker its order
NOBODY = "outbound"  # the subject of what belongs to no conversation

Publish = Callable[[Sequence[StampedEvent]], Awaitable[None]]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Places:
    """What this node's workers have room for: calls at once, and how many of them are taken."""

    all: int
    taken: int


class Workers(Protocol):
    def places(self) -> Places: ...

    async def place(self, order: CallOrder) -> None:
        """Raises LinkError where no worker takes it."""


class OutboundService:
    """`async with OutboundService(...) as outbound:`. Its methods raise StoreError while the store is away.

    `flows` tells the slots of each flow there is.
    """

    def __init__(  # noqa: PLR0917 - all of them are always given
        self,
        database: Database,
        plan: Plan,
        flows: Mapping[str, frozenset[str]],
        workers: Workers,
        publish: Publish,
        clock: Clock,
        *,
        key: bytes,
        node: str,
    ) -> None:
        self._database, self._workers, self._publish, self._clock = database, workers, publish, clock
        self._key, self._node = key, node
        self.use(plan, flows)
        self._journals = Journals(clock)
        self._wake, self._in_turn = asyncio.Event(), asyncio.Lock()
        self._in_touch_since: float | None = None
        self._prune_due = clock.monotonic()
        self._given: list[float] = []  # when workers were lately given calls
        self._problem: str | None = None
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
            for work in (self._journals.drain(self._publish), self._live()):
                stack.callback(self._tasks.create_task(work).cancel)
            self._running = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._journals.flushed(FLUSH_S)
        await self._running.aclose()

    def use(self, plan: Plan, flows: Mapping[str, frozenset[str]]) -> None:
        """From now on. Orders of a campaign that is gone wait for it to come back, or for their end."""
        self._plan, self._outgoing = plan, Outgoing(plan, Guard(plan))
        self._intake = Intake(plan, flows, self._key, self._clock)

    # What commands and the API ask.

    def slots_of(self, campaign: str, flow: str | None) -> frozenset[str]:
        """What an order for this campaign, or this flow of its own, may give values for; nothing of what is unknown."""
        return self._intake.slots_of(campaign, flow)

    async def add(self, requests: Sequence[OrderRequest], by: Literal["command", "mqtt", "api"]) -> list[Added]:
        """Each by itself: what is wrong with one says nothing of the others."""
        now_ms = self._now_ms()
        orders = [self._intake.read(request, now_ms) for request in requests]
        good = {order.id: order for order in orders if isinstance(order, Order)}

        async def keep(connection: AsyncConnection) -> tuple[dict[str, Order], set[str]]:
            known = await store.by_ids(connection, list(good))
            forbidden = await store.forbidden(connection, [order.customer for order in good.values()])
            fresh = [one for one in good.values() if one.id not in known and one.customer not in forbidden]
            await store.add(connection, fresh)
            return known, forbidden

        known, forbidden = await self._database.attempt(keep)
        answers: dict[str, Added] = {}
        results = []
        for request, order in zip(requests, orders, strict=True):
            if isinstance(order, str):
                results.append(self._refused(request.id or "", order))
            elif (kept := known.get(order.id)) or order.id in answers:
                self._tell(kept or order, _ordered(kept or order, by, known=True))
                results.append(Added(id=order.id, state="known"))
            elif order.customer in forbidden:
                results.append(self._refused(order.id, "the number is on the do-not-call list"))
            else:
                self._tell(order, _ordered(order, by))
                results.append(Added(id=order.id, state="added"))
                answers[order.id] = results[-1]
        self._wake.set()
        return results

    def refuse(self, order_id: str, why: str) -> None:
        """Tell that what was sent is no order at all."""
        self._refused(order_id, why)

    async def listed(self, campaign: str | None, state: OrderState | None, limit: int) -> tuple[list[Order], list[str]]:
        """The latest orders, and the campaigns that are paused."""
        async with self._database.begin() as connection:
            orders = await store.listed(connection, campaign, state, limit)
            rows = await store.paces(connection)
        return orders, sorted(name for name, row in rows.items() if row.paused)

    async def show(self, order_id: str) -> Order:
        """Raises OutboundError."""
        async with self._database.begin() as connection:
            return await self._known(connection, order_id)

    async def cancel(self, order_id: str) -> Order:
        """A call that is up goes on to its end. Raises OutboundError where the order is over."""

        async def work(connection: AsyncConnection) -> Order:
            order = await self._known(connection, order_id, lock=True)
            if order.state not in LIVE:
                raise OutboundError(f"Order {order_id} is over already: {order.state.value}.")
            order = closed(order, OrderState.CANCELLED, self._now_ms())
            await store.save(connection, [order])
            return order

        order = await self._database.attempt(work)
        self._tell_over(order)
        return order

    async def pause(self, campaign: str, paused: bool) -> None:  # noqa: FBT001 - it is the state asked for
        """No further call is placed for it until it goes on; the empty name means all. Raises OutboundError."""
        if campaign and campaign not in self._plan.campaigns:
            raise OutboundError(f'The switch plan has no campaign "{campaign}".')
        await self._database.attempt(lambda connection: store.set_pace(connection, campaign, paused=paused))
        self._wake.set()

    # The do-not-call list.

    async def forbid(self, numbers: Iterable[str], reason: str) -> int:
        """How many were not on it. Raises OutboundError for what is no number."""
        customers = dict(self._intake.hashed(number) for number in numbers)
        now_ms = self._now_ms()

        async def work(connection: AsyncConnection) -> list[str]:
            return await store.forbid(connection, customers, reason, now_ms)

        return len(await self._database.attempt(work))

    async def allow(self, number: str) -> bool:
        customer, _ = self._intake.hashed(number)
        async with self._database.begin() as connection:
            return await store.allow(connection, customer)

    async def forbidden(self, limit: int) -> tuple[int, list[Mapping[str, object]]]:
        async with self._database.begin() as connection:
            return await store.all_forbidden(connection, limit)

    # What workers say.

    async def said(self, report: Report) -> None:
        """What is said of a call that is not the order's latest, or was said before, changes nothing."""

        async def work(connection: AsyncConnection) -> Order | None:
            order = (await store.by_ids(connection, [report.order], lock=True)).get(report.order)
            if order is None or order.call != report.call:
                return None
            counted = counted_in(order, self._plan.campaigns.get(order.campaign), report, self._now_ms())
            await store.save(connection, [counted])
            if report.result is Result.DONE and report.outcome and report.outcome == self._opt_out(order):
                shown = {order.customer: mask(order.number, PersonalDataClass.PERSONAL)}
                await store.forbid(connection, shown, f"asked for it in a call of {order.campaign}", self._now_ms())
            return counted

        order = await self._database.attempt(work)
        if order and report.result is not Result.NOT_PLACED:
            self._tell_result(order, report)
        self._wake.set()

    async def go_on(self, calls: Sequence[str]) -> None:
        until_ms = self._now_ms() + round(LEASE_S * 1000)
        async with self._database.begin() as connection:
            await store.renew(connection, calls, until_ms)

    # Placing calls.

    async def beat(self) -> float:
        """Place what may be placed now; how long until there may be more to do, in seconds."""
        async with self._in_turn:
            return await self._take_turn()

    async def _take_turn(self) -> float:
        places, now = self._workers.places(), self._clock.monotonic()
        self._given = [at for at in self._given if now - at < SETTLE_S]
        room = room_beside_incoming(places.all, places.taken + len(self._given), self._plan.outbound.keep_free)
        turn = Turn(self._plan, self._outgoing, self._clock, self._node, room, may_lose=self._long_in_touch())
        await self._database.attempt(turn.take)
        for order, why in turn.ended:
            self._tell_over(order, why)
        for order in turn.lost:
            self._tell_result(order, Report(order=order.id, call=order.call or "", result=Result.LOST))
        for order in turn.placed:
            self._given.append(now)
            self._tell(
                order,
                OutboundDialled(order=order.id, campaign=order.campaign, number=shown(order), attempt=order.tries),
            )
            self._tasks.create_task(self._place(order), name=PLACING)
        return turn.wait_s

    async def _place(self, order: Order) -> None:
        campaign = self._plan.campaigns[order.campaign]
        wish = CallOrder(
            order=order.id,
            call=order.call or "",
            number=order.number,
            campaign=order.campaign,
            flow=order.flow,
            slots=dict(order.slots),
            conversation=order.conversation,
            caller_id=order.caller_id or campaign.caller_id,
            ring_s=campaign.ring_s,
            machine=campaign.machine,
        )
        try:
            await self._workers.place(wish)
        except VoiceEdgeError as error:
            log.warning("order_not_placed", order=order.id, problem=str(error))
            with suppress(StoreError):  # then the lease ends by itself
                await self.said(Report(order=order.id, call=order.call or "", result=Result.NOT_PLACED))

    async def _live(self) -> None:
        """No trouble of the store's ends this."""
        while True:
            self._wake.clear()
            wait_s = IDLE_BEAT_S
            try:
                wait_s = await self.beat()
                await self._prune_now_and_then()
                self._note(None)
            except StoreError as error:
                self._note(error)
            except Exception:
                log.exception("outbound_beat_failed")
            with suppress(TimeoutError):
                async with timeout(self._clock, wait_s):
                    await self._wake.wait()

    def _long_in_touch(self) -> bool:
        """Whether whoever is not heard of had the time to be: it may be us, or the store, that was away."""
        since = self._in_touch_since
        return since is not None and self._clock.monotonic() - since >= LEASE_S

    async def _prune_now_and_then(self) -> None:
        if self._clock.monotonic() >= self._prune_due:
            self._prune_due = self._clock.monotonic() + PRUNE_EVERY_S
            async with self._database.begin() as connection:
                await store.prune(connection, to_ms(self._clock.now() - KEPT))

    def _note(self, error: StoreError | None) -> None:
        problem = str(error) if error else None
        if problem and problem != self._problem:
            log.warning("outbound_waits", problem=problem, effect="orders are kept; nobody is called until it is back")
        self._problem = problem
        if error:
            self._in_touch_since = None
        elif self._in_touch_since is None:
            self._in_touch_since = self._clock.monotonic()

    @staticmethod
    async def _known(connection: AsyncConnection, order_id: str, *, lock: bool = False) -> Order:
        found = await store.by_ids(connection, [order_id], lock=lock)
        if order_id not in found:
            raise OutboundError(f"There is no order {order_id}.")
        return found[order_id]

    def _opt_out(self, order: Order) -> str | None:
        campaign = self._plan.campaigns.get(order.campaign)
        return campaign.opt_out if campaign else None

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())

    # Events.

    def _tell(self, order: Order, event: EventData) -> None:
        QueueJournal(self._journals, order.conversation, self._clock).record(event)

    def _refused(self, order_id: str, why: str) -> Added:
        QueueJournal(self._journals, NOBODY, self._clock).record(OutboundRefused(order=order_id, why=why))
        return Added(id=order_id, state="refused", why=why)

    def _tell_result(self, order: Order, report: Report) -> None:
        """And that it is over, where it is."""
        waits = order.state is OrderState.WAITING
        self._tell(
            order,
            OutboundResult(
                order=order.id,
                campaign=order.campaign,
                attempt=order.tries,
                result=report.result.value,
                answered_by=report.answered_by,
                outcome=report.outcome,
                again_at=datetime.fromtimestamp(order.due_ms / 1000, UTC).isoformat() if waits else None,
            ),
        )
        if order.state not in LIVE:
            self._tell_over(order)

    def _tell_over(self, order: Order, why: str = "") -> None:
        state = order.state.value
        over = {"order": order.id, "campaign": order.campaign, "state": state, "attempts": order.tries, "why": why}
        self._tell(order, OutboundOver.model_validate(over))


def _ordered(order: Order, by: Literal["command", "mqtt", "api"], *, known: bool = False) -> OutboundOrdered:
    return OutboundOrdered(order=order.id, campaign=order.campaign, number=shown(order), by=by, known=known)


def shown(order: Order) -> str:
    return mask(order.number, PersonalDataClass.PERSONAL)
