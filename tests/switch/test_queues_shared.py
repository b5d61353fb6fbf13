"""Two nodes at one queue, on PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from house import MONDAY_10
from postgres import PostgresServer
from queueing import House, offered_to, plan
from sqlalchemy import Row, select, text
from sqlalchemy.exc import DBAPIError

from voiceedge.clock import VirtualClock
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.postgres import Postgres
from voiceedge.context.storage.tables import queue_spans
from voiceedge.errors import StoreError
from voiceedge.switch.queues import store
from voiceedge.switch.queues.messages import CallBack, Wait

CREW = {f"agent-{n}": {"phone": f"agent-{n}", "queues": ["sales"]} for n in range(8)}


@pytest.fixture
async def nodes(shared: Callable[[str], Database]) -> AsyncIterator[tuple[House, House]]:
    clock = VirtualClock(MONDAY_10)
    async with AsyncExitStack() as stack:
        yield (
            await stack.enter_async_context(House(shared("a"), plan(agents=CREW), node="a", clock=clock)),
            await stack.enter_async_context(House(shared("b"), plan(agents=CREW), node="b", clock=clock)),
        )


async def both_later(nodes: tuple[House, ...], seconds: int) -> None:
    for _ in range(seconds):
        await nodes[0].clock.advance(1)
        for node in nodes:
            await node.settled()


async def test_two_nodes_share_one_queue_and_nobody_is_offered_twice(nodes: tuple[House, House]) -> None:
    await nodes[0].agent("agent-0", "break")
    talks: Counter[str] = Counter()
    busy: set[str] = set()

    async def caller(node: House, number: int) -> None:
        ticket = await node.join(call=f"call-{number}")
        view = await node.view(ticket)
        while view.state == "waiting":
            view = await node.queues.wait(Wait(ticket=ticket, seen=view.seen))
        (agent,) = view.agents
        assert agent.name not in busy, f"{agent.name} is offered twice"
        busy.add(agent.name)
        assert await node.result(ticket, agent.name) == "talking"
        talks[ticket] += 1
        busy.discard(agent.name)
        assert await node.over(ticket, agent.name) == "answered"
        await node.agent(agent.name)  # no after-call work

    async def beats() -> None:
        while True:
            await both_later(nodes, 1)  # else an offer's time is up while a busy machine stands still
            await asyncio.sleep(0.1)

    beating = asyncio.create_task(beats())
    async with asyncio.timeout(150), asyncio.TaskGroup() as group:
        for number in range(15):
            for node in nodes:
                group.create_task(caller(node, number))
        for n in range(8):
            group.create_task(nodes[n % 2].agent(f"agent-{n}"))
    beating.cancel()
    assert len(talks) == 30
    assert set(talks.values()) == {1}


async def test_who_waits_longer_at_another_node_is_first(nodes: tuple[House, House]) -> None:
    a, b = nodes
    await a.agent("agent-0", "break")
    first = await a.join(call="first")
    second = await b.join(call="second")
    await b.queues.picture()
    assert (await b.view(second)).position == 2
    await b.agent("agent-0")
    assert await offered_to(b, second) == []
    await both_later(nodes, 1)
    assert await offered_to(a, first) == ["agent-0"]


async def test_a_change_at_another_node_is_told_within_a_beat(nodes: tuple[House, House]) -> None:
    a, b = nodes
    await a.agent("agent-0", "break")
    ticket = await a.join()
    news = await a.news(ticket)
    await b.agent("agent-0")
    await both_later(nodes, 1)
    assert (await news).state == "offered"


async def test_a_node_that_dies_frees_its_agents_and_its_call_backs_go_on_elsewhere(
    shared: Callable[[str], Database],
) -> None:
    clock = VirtualClock(MONDAY_10)
    async with House(shared("b"), plan(agents=CREW), node="b", clock=clock) as b:
        async with House(shared("a"), plan(agents=CREW), node="a", clock=clock) as a:
            await both_later((a, b), 12)
            await a.agent("agent-0")
            talking = await a.join()
            await a.result(talking, "agent-0")
            waiting = await a.join()
            called_back = await a.join()
            await a.queues.call_back(CallBack(ticket=called_back, number="01012345678"))
        await both_later((b,), 55)
        assert (await b.queues._ticket(talking)).state == "answered"
        assert (await b.queues._ticket(waiting)).state == "lost"
        await both_later((b,), 15)
        assert [order.ticket for order in b.dial.orders] == [called_back]


async def test_nobody_is_rung_long_for_callers_of_a_node_that_is_silent(shared: Callable[[str], Database]) -> None:
    clock = VirtualClock(MONDAY_10)
    async with House(shared("b"), plan(agents=CREW), node="b", clock=clock) as b:
        async with House(shared("a"), plan(agents=CREW), node="a", clock=clock) as a:
            await both_later((a, b), 12)
            await a.agent("agent-0", "break")
            first, second = await a.join(call="1"), await b.join(call="2")
            await both_later((a, b), 6)
        await b.agent("agent-0")
        assert (await b.queues._ticket(first)).state == "offered"
        await both_later((b,), 21)
        assert await offered_to(b, second) == ["agent-0"], "though the other was before"
        assert (await b.queues._ticket(first)).state == "waiting"
        assert not [span for span in await spans(b) if span.reason == "missed"]


async def spans(house: House) -> list[Row]:
    async with house.database.begin() as connection:
        return list(await connection.execute(select(queue_spans)))


async def test_while_the_store_is_away_places_are_kept(postgres: PostgresServer, nodes: tuple[House, House]) -> None:
    a, b = nodes
    await a.agent("agent-0", "break")
    first, second = await a.join(call="1"), await b.join(call="2")
    await both_later(nodes, 1)
    name = a.database._backend._url.rpartition("/")[2].partition("?")[0]
    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    with pytest.raises(StoreError):
        await a.agent("agent-0")
    for _ in range(20):
        await a.clock.advance(4)
        assert ((await a.view(first)).position, (await b.view(second)).position) == (1, 2)
    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await both_later(nodes, 3)
    await a.agent("agent-0")
    await both_later(nodes, 1)
    assert await offered_to(a, first) == ["agent-0"]
    assert (await b.view(second)).position == 1


async def test_a_node_that_stands_still_in_its_turn_holds_up_nobody_for_long(
    shared: Callable[[str], Database], nodes: tuple[House, House]
) -> None:
    """Its session is ended by the server; a beat does not even wait for it."""
    a, _ = nodes
    await a.agent("agent-0", "break")
    backend = shared("frozen")._backend
    assert isinstance(backend, Postgres)
    frozen = backend.engine()
    connection = await frozen.connect()
    await connection.execute(text("SET idle_in_transaction_session_timeout = '4s'"))
    assert await store.take_turn(connection, skip=False)
    async with a.database.begin() as other:
        assert not await store.take_turn(other, skip=True)
    await asyncio.wait_for(a.join(), 8)
    with pytest.raises(DBAPIError):
        await connection.rollback()
    await frozen.dispose()
