"""A service of calls out on a real database, with a clock that is moved by hand and workers that only note."""

import asyncio
from typing import Any

import house

from voiceedge.clock import VirtualClock
from voiceedge.context.storage.database import Database
from voiceedge.errors import LinkError
from voiceedge.switch.outbound.messages import CallOrder, OrderRequest, Report
from voiceedge.switch.outbound.model import Result
from voiceedge.switch.outbound.service import PLACING, OutboundService, Places
from voiceedge.switch.plan import Plan

FLOWS = {"remind": frozenset({"name"})}
KEY = b"k" * 32


def plan(campaign: dict[str, Any] | None = None, **tables: Any) -> Plan:
    """One carrier and the campaign "remind", which calls as fast as it may unless told otherwise."""
    fast = {"flow": "remind", "per_minute": 6000, "at_once": 100, **(campaign or {})}
    return Plan.model_validate(
        {
            "trunks": {"carrier": {"host": "192.0.2.1", "own_numbers": ["02-1234-5678"]}},
            "hours": {"day": {"open": [{"days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "18:00"}]}},
            "guard": {"allowed": ["112"], "international": ["+1"]},
            "outbound": {"per_minute": 6000, "at_once": 100, "keep_free": 0.5},
            "campaigns": {"remind": fast},
            **tables,
        }
    )


class NotingWorkers:
    def __init__(self) -> None:
        self.orders: list[CallOrder] = []
        self.now = Places(200, 0)
        self.away = False

    def places(self) -> Places:
        return self.now

    async def place(self, order: CallOrder) -> None:
        if self.away:
            raise LinkError("no worker is there")
        self.orders.append(order)


class House(house.House):
    events_of = "voiceedge.outbound."

    def __init__(
        self, database: Database, plan: Plan, *, node: str = "node-1", clock: VirtualClock | None = None
    ) -> None:
        super().__init__(database, clock)
        self.workers = NotingWorkers()
        self.outbound = OutboundService(
            database, plan, FLOWS, self.workers, self.publish, self.clock, key=KEY, node=node
        )
        self._seen = 0

    async def __aenter__(self):
        await self.open(self.outbound)
        return self

    async def add(self, number: str = "010-1234-5678", order_id: str | None = None, **wish: Any) -> str:
        """The order's id; what is refused fails the test."""
        request = OrderRequest.model_validate({"number": number, "campaign": "remind", "id": order_id, **wish})
        (added,) = await self.outbound.add([request], "command")
        assert added.state == "added", added.why
        return added.id

    async def refused(self, number: str = "010-1234-5678", **wish: Any) -> str:
        """Why."""
        (added,) = await self.outbound.add(
            [OrderRequest.model_validate({"number": number, "campaign": "remind", **wish})], "command"
        )
        assert added.state == "refused"
        return added.why

    async def beat(self) -> list[str]:
        """Let it take a turn; the numbers given to workers since this was last asked."""
        await self.turn()
        seen, self._seen = self._seen, len(self.workers.orders)
        return [order.number for order in self.workers.orders[seen:]]

    async def turn(self) -> None:
        await self.outbound.beat()
        await self.settled()

    async def settled(self) -> None:
        """Whatever is under way has had its turn, and workers have what they are given."""
        while True:
            await self.clock.advance(0)
            if placing := [task for task in asyncio.all_tasks() if task.get_name() == PLACING]:
                await asyncio.gather(*placing)
            elif self.outbound._in_turn.locked() or self.outbound._wake.is_set():
                async with self.outbound._in_turn:
                    pass
            else:
                return

    async def said(self, result: str, *, call: CallOrder | None = None, **more: Any) -> None:
        """Of the latest call, unless told otherwise."""
        call = call or self.workers.orders[-1]
        await self.outbound.said(Report(order=call.order, call=call.call, result=Result(result), **more))
        await self.settled()

    async def state(self, order_id: str) -> str:
        return (await self.outbound.show(order_id)).state.value

    async def later(self, seconds: float) -> None:
        """And a turn then; those in between may be left out, as they take their time on a real database."""
        await self.clock.advance(seconds)
        await self.turn()
