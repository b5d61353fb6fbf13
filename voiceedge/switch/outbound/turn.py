"""One turn at placing calls: what is lost or past is seen to, and those whose turn it is are claimed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock
from voiceedge.context.cloudevents import new_id
from voiceedge.switch.guard import Reason, Refusal
from voiceedge.switch.outbound import store
from voiceedge.switch.outbound.messages import LEASE_S, Report
from voiceedge.switch.outbound.model import Order, OrderState, Result
from voiceedge.switch.outbound.rules import Pace, closed, counted_in, opens_at
from voiceedge.switch.outbound.store import ALL, PaceRow
from voiceedge.switch.outgoing import Outgoing
from voiceedge.switch.plan import Campaign, Plan

BEAT_S = 1.0  # while orders are due and nothing tells when there is room for them
SHORTEST_BEAT_S = 0.02
IDLE_BEAT_S = 10.0
FOREIGN_S = 600.0  # after which another node's calls count as lost: its control may be away while its workers talk
LOOK_AT = 50  # due orders of a campaign: some may not be called now
NO_TRUNK_S = 60.0


class Turn:
    """To be given to `Database.attempt`; what it did is told afterwards by its lists.

    `room` is how many calls the workers of this node take; `may_lose`: orders not heard of are lost, and not we away.
    """

    def __init__(self, plan: Plan, outgoing: Outgoing, clock: Clock, node: str, room: int, *, may_lose: bool) -> None:
        self._plan, self._outgoing, self._clock, self._node = plan, outgoing, clock, node
        self._room, self._may_lose = room, may_lose

    async def take(self, connection: AsyncConnection) -> None:
        self.lost: list[Order] = []
        self.ended: list[tuple[Order, str]] = []
        self.placed: list[Order] = []
        self.wait_s = IDLE_BEAT_S
        self._now: datetime = self._clock.now()
        self._now_ms = int(self._now.timestamp() * 1000)
        if not await store.take_turn(connection):
            self.wait_s = BEAT_S  # another node is at it this very moment
            return
        await self._see_to_lost(connection)
        for order in await store.past(connection, self._now_ms):
            await self._end(connection, order, OrderState.EXPIRED, "its time is over")
        rows = await store.paces(connection)
        active = {name: each for name, each in self._plan.campaigns.items() if not rows.get(name, PaceRow()).paused}
        if active and not rows[ALL].paused:
            await self._place(connection, active, rows)

    async def _see_to_lost(self, connection: AsyncConnection) -> None:
        if not self._may_lose:
            return
        foreign_ms = self._now_ms - round(FOREIGN_S * 1000)
        for order in await store.lost(connection, self._node, self._now_ms, foreign_ms):
            report = Report(order=order.id, call=order.call or "", result=Result.LOST)
            counted = counted_in(order, self._plan.campaigns.get(order.campaign), report, self._now_ms)
            await store.save(connection, [counted])
            self.lost.append(counted)

    async def _place(self, connection: AsyncConnection, active: dict[str, Campaign], rows: dict[str, PaceRow]) -> None:
        up, whole = await store.calling(connection), Pace(self._plan.outbound.per_minute)
        free = min(self._room, self._plan.outbound.at_once - sum(up.values()))
        room = min(free, whole.room(rows[ALL].next_ms, self._now_ms))
        candidates: list[Order] = []
        rooms: dict[str, int] = {}
        for name, campaign in active.items() if room > 0 else ():
            paced = Pace(campaign.per_minute).room(rows.get(name, PaceRow()).next_ms, self._now_ms)
            rooms[name] = min(paced, campaign.at_once - up.get(name, 0))
            if rooms[name] > 0:
                candidates += await store.due(connection, name, self._now_ms, LOOK_AT)
        candidates = await self._allowed(connection, candidates)
        for order in sorted(candidates, key=lambda one: (one.priority, one.due_ms, one.id)):
            if len(self.placed) < room and rooms[order.campaign] > 0 and await self._may_be_called(connection, order):
                rooms[order.campaign] -= 1
                await self._claim(connection, order)
        nexts = await self._keep_pace(connection, active, rows)
        due = await store.next_due_ms(connection, list(active))
        ready_ms = [max(due_ms, nexts[name]) - self._now_ms for name, due_ms in due.items()]
        later_ms = [each for each in ready_ms if each > 0]
        waits = [min(later_ms) / 1000] if later_ms else []
        if len(later_ms) < len(ready_ms):
            waits.append(BEAT_S)
        self.wait_s = max(SHORTEST_BEAT_S, min([IDLE_BEAT_S, *waits]))

    async def _allowed(self, connection: AsyncConnection, orders: Sequence[Order]) -> list[Order]:
        """Without those on the do-not-call list, who may have come there since the order was given."""
        forbidden = await store.forbidden(connection, [order.customer for order in orders])
        for order in orders:
            if order.customer in forbidden:
                await self._end(connection, order, OrderState.REFUSED, "the number is on the do-not-call list")
        return [order for order in orders if order.customer not in forbidden]

    async def _may_be_called(self, connection: AsyncConnection, order: Order) -> bool:
        hours = self._plan.campaigns[order.campaign].hours
        opens = opens_at(self._plan.hours[hours] if hours else None, order.number, self._now)
        if opens is None:
            await self._end(connection, order, OrderState.EXPIRED, "its hours never come")
            return False
        if opens > self._now:
            await store.save(connection, [replace(order, due_ms=int(opens.timestamp() * 1000))])
            return False
        found = self._outgoing.attempts(order.number, "", order.caller_id)
        if isinstance(found, Refusal):
            if found.reason is Reason.NO_TRUNK:  # until the plan has one again
                later = replace(order, due_ms=self._now_ms + round(NO_TRUNK_S * 1000))
                await store.save(connection, [later])
            else:
                await self._end(connection, order, OrderState.REFUSED, found.why)
            return False
        if any(attempt.is_emergency for attempt in found):
            await self._end(connection, order, OrderState.REFUSED, "emergency numbers are never called by order")
            return False
        return True

    async def _claim(self, connection: AsyncConnection, order: Order) -> None:
        claimed = replace(
            order,
            state=OrderState.CALLING,
            tries=order.tries + 1,
            call=new_id(self._clock),
            node=self._node,
            lease_ms=self._now_ms + round(LEASE_S * 1000),
        )
        await store.save(connection, [claimed])
        self.placed.append(claimed)

    async def _keep_pace(
        self, connection: AsyncConnection, active: dict[str, Campaign], rows: dict[str, PaceRow]
    ) -> dict[str, int]:
        """When each campaign may place its next call."""
        nexts = {}
        whole = Pace(self._plan.outbound.per_minute).after(rows[ALL].next_ms, self._now_ms, len(self.placed))
        if self.placed:
            await store.set_pace(connection, ALL, next_ms=whole)
        for name, campaign in active.items():
            placed = sum(order.campaign == name for order in self.placed)
            next_ms = Pace(campaign.per_minute).after(rows.get(name, PaceRow()).next_ms, self._now_ms, placed)
            if placed:
                await store.set_pace(connection, name, next_ms=next_ms)
            nexts[name] = max(next_ms, whole)
        return nexts

    async def _end(self, connection: AsyncConnection, order: Order, state: OrderState, why: str) -> None:
        over = closed(order, state, self._now_ms)
        await store.save(connection, [over])
        self.ended.append((over, why))
