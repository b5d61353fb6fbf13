"""A service of queues on a real database, with a clock that is moved by hand."""

import asyncio
from typing import Any

import house

from voiceedge.clock import VirtualClock
from voiceedge.context.storage.database import Database
from voiceedge.errors import LinkError
from voiceedge.switch.plan import Plan
from voiceedge.switch.queues.messages import (
    AgentChange,
    AgentState,
    CallBackOrder,
    Join,
    Leave,
    OfferResult,
    TalkOver,
    View,
    Wait,
)
from voiceedge.switch.queues.rules import Rules
from voiceedge.switch.queues.service import QueueService


def plan(**tables: Any) -> Plan:
    """Two agents in "sales", unless told otherwise."""
    agents = {
        "kim": {"phone": "kim", "code": "11", "queues": ["sales"], "title": "김"},
        "lee": {"phone": "lee", "code": "22", "queues": ["sales"], "title": "이"},
    }
    return Plan.model_validate({"queues": {"sales": {"title": "주문"}}, "agents": agents, **tables})


class FakeDial:
    def __init__(self) -> None:
        self.orders: list[CallBackOrder] = []
        self.away = False

    async def call_back(self, order: CallBackOrder) -> None:
        if self.away:
            raise LinkError("no worker is there")
        self.orders.append(order)


class House(house.House):
    def __init__(
        self, database: Database, plan: Plan, *, node: str = "node-1", clock: VirtualClock | None = None
    ) -> None:
        super().__init__(database, clock)
        self.dial = FakeDial()
        self.queues = QueueService(database, Rules(plan, "voiceedge"), self.dial, self.publish, self.clock, node=node)
        self._calls = 0

    async def __aenter__(self):
        await self.open(self.queues)
        await self.settled()
        return self

    async def settled(self) -> None:
        """Whatever is under way has had its turn, and the beat waits for the next, however slow the machine."""
        await self.clock.advance(0)
        await self.queues._turn(lambda _: None)
        await self.clock.advance(0)
        async with asyncio.timeout(30):
            while not self.queues._wake._waiters:  # noqa: ASYNC110 - it is in the database's thread
                await asyncio.sleep(0.001)

    async def later(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            await self.clock.advance(1)
            await self.settled()
        await self.clock.advance(seconds % 1)
        await self.settled()

    async def join(self, queue: str = "sales", **wish: Any) -> str:
        self._calls += 1
        wish = {"call": f"call-{self._calls}", "conversation": f"conversation-{self._calls}", **wish}
        return (await self.queues.join(Join(queue=queue, **wish))).ticket

    async def view(self, ticket: str) -> View:
        return await self.queues.wait(Wait(ticket=ticket))

    async def news(self, ticket: str) -> "asyncio.Task[View]":
        """Of a change from how it is now."""
        seen = (await self.view(ticket)).seen
        task = asyncio.create_task(self.queues.wait(Wait(ticket=ticket, seen=seen)))
        await asyncio.sleep(0)
        return task

    async def agent(self, name: str, state: str = "available", reason: str = "") -> None:
        await self.queues.agent_asked(AgentChange(agent=name, state=AgentState(state), reason=reason))

    async def state(self, name: str) -> str:
        picture = await self.queues.picture()
        return picture.agent(name, self.clock.now()).state.value

    async def result(self, ticket: str, agent: str, result: str = "answered") -> str:
        return (await self.queues.offer_result(OfferResult(ticket=ticket, agent=agent, result=result))).state.value

    async def over(self, ticket: str, agent: str, *, back: bool = False) -> str:
        return (await self.queues.talk_over(TalkOver(ticket=ticket, agent=agent, back_to_queue=back))).state.value

    async def leave(self, ticket: str, why: str = "abandoned") -> str:
        return (await self.queues.leave(Leave(ticket=ticket, why=why))).state.value


async def offered_to(house: House, ticket: str) -> list[str]:
    view = await house.view(ticket)
    return [agent.name for agent in view.agents] if view.state == "offered" else []
