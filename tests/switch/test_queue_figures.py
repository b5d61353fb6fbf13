"""Service level, abandoned and occupancy, from what happened."""

from collections.abc import AsyncIterator, Callable

import pytest
from queueing import House, plan

from voiceedge.context.storage.database import Database
from voiceedge.switch.queues.messages import CallBack
from voiceedge.switch.queues.watching import Watching


@pytest.fixture(params=["sqlite", "shared"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    new: Callable[..., Database] = request.getfixturevalue(request.param)
    database = new() if request.param == "sqlite" else new("node-1")
    async with House(database, plan(queues={"sales": {"service_level_s": 20, "most_waiting": 2}, "care": {}})) as house:
        yield house


async def test_a_morning_in_figures(house: House) -> None:
    watching = Watching(house.queues, house.database, house.clock)
    await house.agent("kim", "break", "early")
    await house.later(10)
    quick, slow = await house.join(), await house.join()
    full = await house.join()
    assert (await house.queues._ticket(full)).state == "full"
    await house.agent("kim")
    await house.result(quick, "kim")
    await house.later(30)
    await house.view(slow)
    await house.over(quick, "kim")
    await house.later(15)  # after-call work
    await house.result(slow, "kim")
    await house.later(20)
    await house.over(slow, "kim")
    await house.agent("kim")
    impatient = await house.join()
    await house.result(impatient, "kim", "no_answer")
    await house.leave(impatient)
    (sales, care) = await watching.queues()
    today = sales.today
    assert (today.handled, today.abandoned, today.overflowed, today.service_level) == (2, 1, 1, 1 / 3)
    assert (today.wait_s, today.longest_wait_s, today.talk_s) == (22.5, 45, 25)
    assert (sales.waiting, sales.talking, care.today.handled, care.today.service_level) == (0, 0, 0, None)
    kim, lee = await watching.agents()
    assert (kim.handled, kim.missed, kim.talk_s, kim.after_call_s, kim.logged_in_s) == (2, 1, 50, 15, 75)
    assert kim.occupancy == 1.0
    await house.later(5)
    kim, lee = await watching.agents()
    assert kim.occupancy == pytest.approx(65 / 70)
    assert (lee.state, lee.occupancy, lee.handled) == ("logged_out", None, 0)
    await house.clock.advance(16 * 60)
    (sales, _) = await watching.queues()
    assert (sales.last_15_min.handled, sales.last_hour.handled, sales.today.handled) == (0, 2, 2)
    await house.clock.advance(14 * 3600)  # past midnight in Seoul
    (sales, _) = await watching.queues()
    assert sales.today.handled == 0
    (kim, _) = await watching.agents()
    assert kim.handled == 0


async def test_who_waits_and_who_rings_is_seen_live(house: House) -> None:
    watching = Watching(house.queues, house.database, house.clock)
    await house.agent("kim", "break")
    first, second = await house.join(), await house.join()
    await house.queues.call_back(CallBack(ticket=second, number="01012345678"))
    await house.later(7)
    await house.agent("kim")
    details = await watching.show("sales")
    assert (details.queue.waiting, details.queue.call_backs, details.queue.longest_wait_s) == (1, 1, 7)
    assert [(place.ticket, place.state, place.agents) for place in details.places] == [
        (first, "offered", ("kim",)),
        (second, "waiting", ()),
    ]
    assert details.queue.agents == {"ringing": 1, "logged_out": 1}
    assert details.agents[0].queue == "sales"
    assert "1234" not in details.model_dump_json()
