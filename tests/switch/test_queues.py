"""Callers and agents at one node, on SQLite."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from queueing import House, offered_to, plan

from voiceedge.context.storage.database import Database
from voiceedge.errors import StoreError
from voiceedge.switch.queues import store
from voiceedge.switch.queues.board import QueueError
from voiceedge.switch.queues.messages import (
    RENEW_S,
    AgentDialled,
    AgentLogin,
    CallBack,
    CustomerResult,
    Join,
    PhonesBusy,
    Wait,
)
from voiceedge.switch.queues.rules import Rules
from voiceedge.switch.queues.service import IDLE_BEAT_S, POLL_S


@pytest.fixture
async def house(sqlite: Callable[[], Database]) -> AsyncIterator[House]:
    async with House(sqlite(), plan()) as house:
        yield house


async def test_a_caller_waits_is_offered_talks_and_the_agent_has_time_after_it(house: House) -> None:
    await house.agent("kim")
    await house.agent("lee", "break", "lunch")
    ticket = await house.join()
    view = await house.view(ticket)
    assert (view.state, [(a.name, a.uri, a.ring_s) for a in view.agents]) == (
        "offered",
        [("kim", "sip:kim@voiceedge", 20)],
    )
    assert view.whisper == "주문"
    assert await house.state("kim") == "ringing"
    assert await house.result(ticket, "kim") == "talking"
    assert await house.over(ticket, "kim") == "answered"
    assert await house.state("kim") == "after_call"
    await house.later(15)
    assert await house.state("kim") == "available"
    await house.later(0)
    assert [event.reason for event in house.told("queue.left")] == ["answered"]
    assert [event.state for event in house.told("agent.state")] == [
        "available", "break", "ringing", "talking", "after_call", "available",
    ]  # fmt: skip


async def test_a_change_is_told_at_once_and_without_one_the_answer_comes_in_time(house: House) -> None:
    await house.agent("kim", "break", "lunch")
    ticket = await house.join()
    waiting = await house.news(ticket)
    await house.later(POLL_S - 1)
    assert not waiting.done()
    await house.later(1)
    assert (await waiting).position == 1
    waiting = await house.news(ticket)
    await house.agent("kim")
    assert (await waiting).state == "offered"


async def test_who_leaves_moves_those_behind(house: House) -> None:
    await house.agent("kim", "break")
    first, second, third = [await house.join() for _ in range(3)]
    assert (await house.view(third)).position == 3
    waiting = await house.news(third)
    assert await house.leave(first) == "abandoned"
    assert (await waiting).position == 2
    assert (await house.view(second)).position == 1
    assert (await house.view(first)).state == "abandoned"


async def test_nobody_is_offered_to_two_callers(house: House) -> None:
    await house.agent("kim")
    tickets = [await house.join() for _ in range(3)]
    assert [await offered_to(house, ticket) for ticket in tickets] == [["kim"], [], []]
    await house.leave(tickets[0])
    assert [await offered_to(house, ticket) for ticket in tickets[1:]] == [["kim"], []]


async def test_the_longest_idle_agent_is_first_and_who_does_not_answer_goes_behind(house: House) -> None:
    await house.agent("kim")
    await house.later(5)
    await house.agent("lee")
    ticket = await house.join()
    assert await offered_to(house, ticket) == ["kim"]
    assert await house.result(ticket, "kim", "no_answer") == "offered"
    assert await offered_to(house, ticket) == ["lee"]


async def test_an_agent_who_misses_too_often_has_a_break(house: House) -> None:
    await house.agent("kim")
    ticket = await house.join()
    await house.result(ticket, "kim", "no_answer")
    assert await house.state("kim") == "available"
    assert await offered_to(house, ticket) == []  # a moment's rest
    await house.later(5)
    assert await offered_to(house, ticket) == ["kim"]
    await house.result(ticket, "kim", "no_answer")
    assert await house.state("kim") == "break"
    picture = await house.queues.picture()
    assert picture.agent("kim", house.clock.now()).reason == "missed"
    assert (await house.view(ticket)).state == "waiting"
    await house.agent("kim")
    assert await offered_to(house, ticket) == ["kim"]


async def busy(house: House, *phones: str, worker: str = "worker-1") -> None:
    addresses = tuple(f"sip:{phone}@voiceedge" for phone in phones)
    await house.queues.phones_busy(PhonesBusy(worker=worker, phones=addresses))


async def on_a_call(house: House, name: str) -> bool:
    return (await house.queues.picture()).agent(name, house.clock.now()).on_a_call


async def test_an_agent_on_the_phone_is_passed_over_until_that_is_over(house: House) -> None:
    await house.agent("kim")
    await busy(house, "kim")
    await busy(house, "kim", worker="worker-2")
    ticket = await house.join()
    assert (await offered_to(house, ticket), await on_a_call(house, "kim")) == ([], True)
    assert await house.state("kim") == "available"
    await busy(house)
    assert await offered_to(house, ticket) == [], "the phone has another call"
    await busy(house, worker="worker-2")
    assert (await offered_to(house, ticket), await on_a_call(house, "kim")) == (["kim"], False)


async def test_a_worker_that_is_heard_of_no_more_keeps_no_agent_from_the_queue(house: House) -> None:
    await house.agent("kim")
    await busy(house, "kim")
    ticket = await house.join()
    for _ in range(3):
        await house.later(RENEW_S)
        assert await offered_to(house, ticket) == []
        await busy(house, "kim")
    await house.later(3 * RENEW_S + IDLE_BEAT_S)
    assert await offered_to(house, ticket) == ["kim"]


async def test_whoever_sits_at_a_busy_phone_is_on_a_call(house: House) -> None:
    await house.queues.login(AgentLogin(code="22", phone="kim"))
    await busy(house, "kim")
    ticket = await house.join()
    assert await offered_to(house, ticket) == []
    await house.queues.login(AgentLogin(code="22"))
    assert await offered_to(house, ticket) == ["lee"], "at another phone"


async def test_a_busy_phone_is_no_miss_and_rests_for_a_moment(house: House) -> None:
    await house.agent("kim")
    ticket = await house.join()
    for _ in range(3):
        assert await house.result(ticket, "kim", "busy") == "waiting"
        assert await house.state("kim") == "available"
        await house.later(4)
        assert await offered_to(house, ticket) == []
        await house.later(2)
        assert await offered_to(house, ticket) == ["kim"]


async def test_an_offer_of_which_nothing_is_heard_is_taken_back(house: House) -> None:
    await house.agent("kim")
    await house.agent("lee", "break")
    ticket = await house.join()
    for _ in range(6):
        await house.later(5)
        await house.view(ticket)  # the worker lives, and says nothing of the agent
    assert await house.state("kim") == "available"
    assert (await house.view(ticket)).state == "waiting"


async def test_a_worker_without_a_line_costs_the_agent_nothing(house: House) -> None:
    await house.agent("kim")
    ticket = await house.join()
    for _ in range(4):
        assert await house.result(ticket, "kim", "no_line") == "waiting"
        assert await house.state("kim") == "available"
        await house.later(5)
        assert await offered_to(house, ticket) == ["kim"]


async def test_a_break_asked_for_during_a_talk_comes_after_it(house: House) -> None:
    await house.agent("kim")
    ticket = await house.join()
    await house.result(ticket, "kim")
    await house.agent("kim", "break", "lunch")
    assert await house.state("kim") == "talking"
    await house.over(ticket, "kim")
    await house.later(15)
    assert await house.state("kim") == "break"


async def test_an_agent_may_end_after_call_work_before_its_time(house: House) -> None:
    await house.agent("kim")
    ticket = await house.join()
    await house.result(ticket, "kim")
    await house.over(ticket, "kim")
    await house.agent("kim")
    assert await house.state("kim") == "available"


async def test_a_caller_whose_agent_is_lost_is_served_before_all_others(house: House) -> None:
    await house.agent("kim")
    first = await house.join()
    await house.result(first, "kim")
    others = [await house.join(priority=1) for _ in range(2)]
    assert await house.over(first, "kim", back=True) == "waiting"
    view = await house.view(first)
    assert (view.state, view.position) == ("waiting", 1)
    await house.agent("kim")
    assert await offered_to(house, first) == ["kim"]
    assert [await offered_to(house, ticket) for ticket in others] == [[], []]


async def test_a_caller_who_hangs_up_frees_who_rings_at_the_old_place(house: House) -> None:
    await house.agent("kim")
    await house.later(5)
    await house.agent("lee")
    ticket = await house.join()
    await house.leave(ticket)
    assert await offered_to(house, await house.join()) == ["kim"]


async def test_all_ring_and_the_first_to_answer_talks(sqlite: Callable[[], Database]) -> None:
    async with House(sqlite(), plan(queues={"sales": {"ring": "all"}})) as house:
        await house.agent("kim")
        await house.agent("lee")
        ticket = await house.join()
        assert sorted(await offered_to(house, ticket)) == ["kim", "lee"]
        assert await house.result(ticket, "kim", "busy") == "offered"
        assert await house.result(ticket, "lee") == "talking"
        assert (await house.state("kim"), await house.state("lee")) == ("available", "talking")
        assert await house.result(ticket, "kim") == "talking"
        assert await house.state("kim") == "available"  # too late: the caller talks already


@pytest.mark.parametrize(
    ("queue", "agents", "state"),
    [
        ({"most_waiting": 1}, ["kim"], "full"),
        ({}, [], "no_agent"),
        ({"hours": "office"}, ["kim"], "closed"),
    ],
)
async def test_who_cannot_wait_is_told_why(
    sqlite: Callable[[], Database], queue: dict[str, object], agents: list[str], state: str
) -> None:
    hours = {"office": {"open": [{"from": "18:00", "to": "19:00"}]}}
    async with House(sqlite(), plan(queues={"sales": queue}, hours=hours)) as house:
        for agent in agents:
            await house.agent(agent, "break")
        if state == "full":
            await house.join()
        joined = await house.queues.join(Join(queue="sales", call="c", conversation="c"))
        assert joined.state == state
        assert (await house.view(joined.ticket)).state == state
        await house.settled()
        assert house.told("queue.left")[-1].reason == state


async def test_waiting_has_an_end(sqlite: Callable[[], Database]) -> None:
    async with House(sqlite(), plan(queues={"sales": {"longest_wait_s": 30}})) as house:
        await house.agent("kim", "break")
        ticket = await house.join()
        await house.later(20)
        waiting = await house.news(ticket)
        await house.later(10)
        assert (await waiting).state == "timeout"


async def test_when_the_last_agent_goes_nobody_waits_in_vain(house: House) -> None:
    await house.agent("kim", "break")
    ticket = await house.join()
    await house.agent("kim", "logged_out")
    assert (await house.view(ticket)).state == "no_agent"


async def test_the_same_call_asking_again_keeps_its_place(house: House) -> None:
    await house.agent("kim", "break")
    first = await house.join(call="a")
    await house.join()
    assert await house.join(call="a") == first


async def test_a_queue_that_is_not_there_is_told_with_those_that_are(house: House) -> None:
    with pytest.raises(QueueError, match=r"no queue nowhere; it has sales"):
        await house.join("nowhere")
    with pytest.raises(QueueError, match=r"no agent nobody; it has kim, lee"):
        await house.agent("nobody")
    await house.agent("kim")
    assert await offered_to(house, await house.join()) == ["kim"]


async def test_a_restart_loses_no_place_and_no_state(sqlite: Callable[[], Database]) -> None:
    async with House(sqlite(), plan()) as house:
        await house.agent("kim")
        await house.agent("lee", "break", "lunch")
        talking = await house.join()
        await house.result(talking, "kim")
        waiting = [await house.join() for _ in range(3)]
        clock = house.clock
    async with House(sqlite(), plan(), clock=clock) as house:
        assert [(await house.view(ticket)).position for ticket in waiting] == [1, 2, 3]
        assert (await house.view(talking)).state == "talking"
        assert (await house.state("kim"), await house.state("lee")) == ("talking", "break")
        await house.over(talking, "kim")
        await house.agent("kim")
        assert await offered_to(house, waiting[0]) == ["kim"]


async def test_a_ticket_nobody_asks_for_any_more_is_released_with_its_agent(house: House) -> None:
    await house.agent("kim")
    ticket, behind = await house.join(), await house.join()
    await house.result(ticket, "kim")
    for _ in range(5):
        await house.later(9)
        await house.view(behind)
    assert await house.state("kim") == "after_call"
    await house.later(12)
    assert await offered_to(house, behind) == ["kim"]


async def test_a_worker_whose_connection_breaks_is_missed_within_seconds(house: House) -> None:
    await house.agent("kim")
    ticket, behind = await house.join(), await house.join()
    polling = await house.news(ticket)
    await house.later(3)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    await house.later(6)
    assert (await house.queues._ticket(ticket)).state == "lost"
    assert await offered_to(house, behind) == ["kim"]


async def test_a_worker_that_was_only_slow_finds_its_place_again(house: House) -> None:
    await house.agent("kim", "break")
    slow, other = await house.join(), await house.join()
    for _ in range(5):
        await house.later(9)
        await house.view(other)
    assert (await house.queues._ticket(slow)).state == "lost"
    view = await house.view(slow)
    assert (view.state, view.position) == ("waiting", 1)


async def test_after_a_restart_a_call_whose_worker_never_comes_back_is_released(sqlite: Callable[[], Database]) -> None:
    async with House(sqlite(), plan()) as house:
        await house.agent("kim")
        ticket = await house.join()
        clock = house.clock
    async with House(sqlite(), plan(), clock=clock) as house:
        await house.later(42)
        assert await house.state("kim") == "available"
        assert (await house.queues._ticket(ticket)).state == "lost"


async def test_a_phone_code_logs_in_where_they_sit_today_and_guessing_is_stopped(house: House) -> None:
    view = await house.queues.login(AgentLogin(code="11", phone="desk-7"))
    assert (view.name, view.state, view.phone) == ("kim", "available", "desk-7")
    ticket = await house.join()
    assert [agent.uri for agent in (await house.view(ticket)).agents] == ["sip:desk-7@voiceedge"]
    for _ in range(5):
        with pytest.raises(QueueError, match="no agent has this code"):
            await house.queues.login(AgentLogin(code="99", phone="desk-8"))
    with pytest.raises(QueueError, match="too many"):
        await house.queues.login(AgentLogin(code="22", phone="desk-8"))
    assert (await house.queues.login(AgentLogin(code="22", phone="desk-9"))).name == "lee"
    await house.later(300)
    assert (await house.queues.login(AgentLogin(code="22", phone="desk-8"))).name == "lee"


async def test_a_registered_phone_dials_its_agent_in_and_out(house: House) -> None:
    async def dial(keys: str, phone: str = "kim") -> tuple[str, str, str]:
        view = await house.queues.dialled(AgentDialled(phone=phone, keys=keys))
        return view.name, view.state.value, view.reason

    assert await dial("*11") == ("kim", "available", "")
    assert await dial("*132") == ("kim", "break", "2")
    assert await dial("*14") == ("kim", "available", "")
    assert await dial("*12") == ("kim", "logged_out", "")
    with pytest.raises(QueueError, match="no agent has this code"):
        await dial("*119")


async def test_whoever_logs_in_at_a_colleagues_phone_is_called_there_and_the_colleague_no_more(house: House) -> None:
    await house.queues.dialled(AgentDialled(phone="kim", keys="*11"))
    assert (await house.queues.dialled(AgentDialled(phone="kim", keys="*1122"))).name == "lee"
    assert (await house.state("kim"), await house.state("lee")) == ("logged_out", "available")
    view = await house.view(await house.join())
    assert [(agent.name, agent.uri) for agent in view.agents] == [("lee", "sip:kim@voiceedge")]
    assert (await house.queues.dialled(AgentDialled(phone="kim", keys="*12"))).name == "lee"
    await house.queues.dialled(AgentDialled(phone="lee", keys="*11"))
    assert (await house.queues.picture()).agent("lee", house.clock.now()).phone == "lee"


async def test_a_new_plan_keeps_states_and_places(house: House) -> None:
    await house.agent("kim", "break", "lunch")
    ticket = await house.join()
    agents = {"kim": {"phone": "kim", "queues": ["sales"]}, "choi": {"phone": "choi", "queues": ["sales", "care"]}}
    await house.queues.use(Rules(plan(agents=agents, queues={"sales": {}, "care": {}}), "voiceedge"))
    assert (await house.state("kim"), (await house.view(ticket)).position) == ("break", 1)
    await house.agent("choi")
    assert await offered_to(house, ticket) == ["choi"]
    await house.result(ticket, "choi")
    gone = await house.join()
    await house.queues.use(Rules(plan(agents={}, queues={}), "voiceedge"))
    assert (await house.view(ticket)).state == "talking"
    assert (await house.view(gone)).state == "closed"
    await house.over(ticket, "choi")
    await house.queues.use(Rules(plan(agents=agents, queues={"sales": {}, "care": {}}), "voiceedge"))
    assert await house.state("choi") == "available"


async def test_the_expected_wait_is_learnt(house: House) -> None:
    await house.agent("kim")
    await house.agent("lee")
    for _ in range(2):
        await house.result(await house.join(), (await house.state("kim") == "available" and "kim") or "lee")
    guess = (await house.view(await house.join())).expected_wait_s
    assert guess == 90  # a guess of 180 s of an agent's time, and two at work
    for _ in range(30):
        ticket = await house.join()
        await house.leave(ticket)
    for _ in range(20):
        house.queues.pace.observe(await talked(house, waited_s=20))
    ticket = await house.join()
    assert (await house.view(ticket)).expected_wait_s == pytest.approx(2 * 20, rel=0.2)


async def talked(house: House, waited_s: float):
    """One who waited so long at the first place, with two agents at work."""
    from voiceedge.switch.queues.model import Ticket  # noqa: PLC0415

    return Ticket("t", "sales", "node-1", "c", "c", 0, 0, 0, place=1, staffed=2, answered_ms=round(waited_s * 1000))


async def call_back(house: House) -> str:
    ticket = await house.join()
    await house.queues.call_back(CallBack(ticket=ticket, number="+821012345678"))
    return ticket


async def test_a_call_back_keeps_its_place_and_is_dialled_when_an_agent_is_free(house: House) -> None:
    await house.agent("kim", "break")
    first = await call_back(house)
    second = await house.join()
    assert (await house.view(second)).position == 2
    await house.later(60)
    await house.view(second)
    await house.agent("kim")
    await house.settled()
    (order,) = house.dial.orders
    assert (order.ticket, order.number, order.agent.name, order.first) == (first, "+821012345678", "kim", "agent")
    assert await house.state("kim") == "ringing"
    assert await house.result(first, "kim") == "talking"
    assert await house.over(first, "kim") == "answered"
    assert (await house.queues._ticket(first)).number is None
    assert "1234" not in "".join(event.model_dump_json() for event in house.events)


async def test_a_customer_who_does_not_answer_is_called_again_and_then_no_more(sqlite: Callable[[], Database]) -> None:
    queue = {"call_back_attempts": 2, "call_back_retry_s": 60}
    async with House(sqlite(), plan(queues={"sales": queue})) as house:
        await house.agent("kim")
        await house.agent("kim", "break")
        ticket = await call_back(house)
        await house.agent("kim")
        await house.queues.customer_failed(CustomerResult(ticket=ticket, result="no_answer"))
        assert await house.state("kim") == "available"
        await house.later(59)
        assert len(house.dial.orders) == 1
        await house.later(1)
        assert [order.attempt for order in house.dial.orders] == [1, 2]
        await house.queues.customer_failed(CustomerResult(ticket=ticket, result="busy"))
        assert (await house.queues._ticket(ticket)).state == "not_reached"
        await house.settled()
        assert [event.state for event in house.told("queue.call_back")] == [
            "asked", "dialled", "dialled", "not_reached",
        ]  # fmt: skip


async def test_nobody_is_called_back_outside_the_hours(sqlite: Callable[[], Database]) -> None:
    hours = {"office": {"open": [{"from": "09:00", "to": "10:01"}, {"from": "10:03", "to": "12:00"}]}}
    async with House(sqlite(), plan(queues={"sales": {"hours": "office"}}, hours=hours)) as house:
        await house.agent("kim", "break")
        await call_back(house)
        await house.later(61)
        await house.agent("kim")
        await house.later(60)
        assert house.dial.orders == []
        await house.later(60)
        assert len(house.dial.orders) == 1


async def test_without_a_worker_a_call_back_waits_and_costs_nothing(house: House) -> None:
    await house.agent("kim", "break")
    house.dial.away = True
    await call_back(house)
    await house.agent("kim")
    await house.later(3)
    assert await house.state("kim") == "available"
    house.dial.away = False
    await house.later(6)
    (order,) = house.dial.orders
    assert order.attempt == 1


async def test_a_worker_that_dies_with_a_call_back_gives_it_back(house: House) -> None:
    await house.agent("kim", "break")
    ticket = await call_back(house)
    await house.agent("kim")
    await house.settled()
    assert len(house.dial.orders) == 1
    await house.later(46)
    assert len(house.dial.orders) == 2
    assert (await house.queues._ticket(ticket)).attempts == 0


async def test_a_queue_that_calls_nobody_back_says_so(sqlite: Callable[[], Database]) -> None:
    async with House(sqlite(), plan(queues={"sales": {"call_back": False}})) as house:
        await house.agent("kim", "break")
        ticket = await house.join()
        assert not (await house.view(ticket)).may_call_back
        with pytest.raises(QueueError, match="calls nobody back"):
            await house.queues.call_back(CallBack(ticket=ticket, number="01012345678"))


async def test_a_call_id_without_end_is_no_hindrance(house: House) -> None:
    await house.agent("kim", "break")
    first = await house.join(call="x" * 5000)
    assert await house.join(call="x" * 5000) == first


async def test_an_unknown_ticket_is_over(house: House) -> None:
    view = await house.queues.wait(Wait(ticket="nobody's", seen="x"))
    assert view.state == "lost"


async def test_a_store_that_is_away_is_no_reason_to_give_a_ticket_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for a ticket that is not known here yet is told that trying again helps."""

    async def away(*_: object) -> None:
        raise StoreError("the database is away")

    monkeypatch.setattr(store, "ticket_by_id", away)
    with pytest.raises(StoreError):
        await house.view("of-another-node")


async def test_all_who_wait_for_the_same_ticket_are_told(house: House) -> None:
    """A worker whose connection broke asks again before control has noticed."""
    await house.agent("kim", "break")
    ticket = await house.join()
    first, second = await house.news(ticket), await house.news(ticket)
    first.cancel()
    await asyncio.sleep(0)
    third = await house.news(ticket)
    await house.agent("kim")
    assert [(await asked).state for asked in (second, third)] == ["offered", "offered"]
