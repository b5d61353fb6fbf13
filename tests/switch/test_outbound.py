"""Orders from the moment they are given to their end, on both databases."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from outbound_house import House, plan
from sqlalchemy import select, text

from voiceedge.context.storage.database import FILE, Database
from voiceedge.context.storage.sqlite import Sqlite
from voiceedge.context.storage.tables import do_not_call, outbound_orders
from voiceedge.switch.outbound.intake import OutboundError
from voiceedge.switch.outbound.messages import LEASE_S, OrderRequest
from voiceedge.switch.outbound.service import Places

Open = Callable[..., Any]


@pytest.fixture(params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    if request.param == "sqlite":
        return lambda: Database(Sqlite(tmp_path / FILE))
    shared = request.getfixturevalue("shared")
    return lambda: shared("node-1")


@pytest.fixture
async def house(new_database: Callable[[], Database]) -> AsyncIterator[House]:
    async with House(new_database(), plan()) as house:
        yield house


async def test_an_order_is_called_and_done(house: House) -> None:
    order = await house.add(values={"name": "Kim"}, caller_id="02-1234-5678")
    assert await house.beat() == ["+821012345678"]
    (call,) = house.workers.orders
    assert (call.order, call.flow, call.slots, call.caller_id) == (order, "remind", {"name": "Kim"}, "02-1234-5678")
    assert await house.state(order) == "calling"
    await house.said("done", answered_by="person", outcome="confirmed")
    kept = await house.outbound.show(order)
    assert (kept.state.value, kept.outcome, kept.tries) == ("done", "confirmed", 1)
    assert await house.beat() == []


async def test_of_an_order_that_is_over_nothing_personal_is_kept(house: House) -> None:
    await house.add(values={"name": "Kim"})
    await house.beat()
    await house.said("done")
    async with house.database.begin() as connection:
        (row,) = (await connection.execute(select(outbound_orders))).all()
    assert "12345678" not in str(row)
    assert "Kim" not in str(row)
    assert not any("12345678" in event.model_dump_json() for event in house.events)


async def test_an_order_given_twice_is_one_order(house: House) -> None:
    await house.add(order_id="a")
    request = OrderRequest(id="a", number="010-9999-9999", campaign="remind")
    answers = await house.outbound.add([request, request], "mqtt")
    assert [answer.state for answer in answers] == ["known", "known"]
    assert await house.beat() == ["+821012345678"]
    await house.said("done")
    (again,) = await house.outbound.add([request], "mqtt")
    assert again.state == "known"
    assert await house.beat() == []


@pytest.mark.parametrize("number", ["112", "119", "02-112", "+82 119"])
async def test_emergency_numbers_are_never_called_even_where_the_guard_lets_phones(house: House, number: str) -> None:
    assert await house.refused(number)


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"campaign": "nothing"}, "no campaign"),
        ({"flow": "nothing"}, "no flow"),
        ({"values": {"street": "x"}}, 'no slot "street"'),
        ({"until": "2026-11-20T10:00:00+09:00"}, "past"),
        ({"number": "060-700-1234"}, "premium"),
        ({"number": "+81 3 1234 5678"}, "international"),
        ({"number": "abc"}, "no telephone number"),
        ({"number": "02-1234-5678"}, "leads back"),
    ],
)
async def test_what_cannot_be_done_is_refused_at_once_and_told(house: House, wish: dict[str, Any], why: str) -> None:
    assert why in await house.refused(**wish)
    await house.settled()
    assert why in house.told("refused")[0].why


async def test_the_busy_are_called_again_after_their_delay_and_then_given_up(house: House) -> None:
    order = await house.add()
    for attempt in range(1, 4):
        assert await house.beat() == ["+821012345678"]
        await house.said("busy")
        assert await house.beat() == []
        assert (await house.outbound.show(order)).tries == attempt
        await house.later(300)
    assert await house.state(order) == "failed"
    results = house.told("result")
    assert [one.result for one in results] == ["busy"] * 3
    assert [bool(one.again_at) for one in results] == [True, True, False]
    assert [(one.state, one.attempts) for one in house.told("over")] == [("failed", 3)]


async def test_an_order_has_its_own_retries_where_it_says_so(house: House) -> None:
    order = await house.add(retry={"busy": {"after_s": 7, "attempts": 2}})
    await house.beat()
    await house.said("busy")
    await house.later(7)
    assert await house.beat()
    await house.said("busy")
    assert await house.state(order) == "failed"


async def test_the_first_of_priority_is_called_first(new_database: Callable[[], Database]) -> None:
    async with House(new_database(), plan({"at_once": 1})) as house:
        await house.outbound.pause("remind", True)
        await house.add("010-1111-1111", priority=5)
        await house.add("010-2222-2222", priority=1)
        await house.outbound.pause("remind", False)
        assert await house.beat() == ["+821022222222"]
        assert await house.beat() == []
        await house.said("done")
        await house.later(1)
        assert await house.beat() == ["+821011111111"]


async def test_nobody_is_called_while_the_campaign_or_all_of_them_rest(house: House) -> None:
    await house.outbound.pause("", True)
    await house.add()
    assert await house.beat() == []
    await house.outbound.pause("remind", True)
    await house.outbound.pause("", False)
    assert await house.beat() == []
    await house.outbound.pause("remind", False)
    assert await house.beat()
    with pytest.raises(OutboundError):
        await house.outbound.pause("nothing", True)


async def test_incoming_calls_keep_their_share_of_the_places(house: House) -> None:
    house.workers.now = Places(10, 3)
    await house.outbound.pause("", True)
    for number in range(8):
        await house.add(f"010-0000-{number:04}")
    await house.outbound.pause("", False)
    assert len(await house.beat()) == 2
    assert await house.beat() == [], "what was just given counts before the workers say so"
    house.workers.now = Places(10, 5)
    await house.later(3)
    assert len(house.workers.orders) == 2


async def test_outside_the_hours_of_the_called_person_nobody_is_called(new_database: Callable[[], Database]) -> None:
    async with House(new_database(), plan({"hours": "day"})) as house:
        await house.add("+1 212 555 1234", "far")  # 20:00 on Sunday there
        near = await house.add()
        assert await house.beat() == ["+821012345678"]
        await house.said("busy")
        await house.later(13.5 * 3600)
        assert await house.beat() == ["+12125551234"]
        assert await house.state(near) == "waiting", "18:00 is past in Seoul"


async def test_an_order_waits_for_its_time_and_ends_with_it(house: House) -> None:
    late = await house.add(not_before="2026-11-23T10:10:00+09:00")
    short = await house.add("010-1111-1111", not_before="2026-11-23T10:05:00+09:00", until="2026-11-23T10:06:00+09:00")
    assert await house.beat() == []
    await house.outbound.pause("", True)
    await house.later(601)
    await house.beat()
    assert await house.state(short) == "expired"
    await house.outbound.pause("", False)
    await house.beat()
    assert await house.state(late) == "calling"


async def test_who_is_put_on_the_list_while_waiting_is_not_called(house: House) -> None:
    await house.outbound.pause("", True)
    order = await house.add("010-1234-5678")
    assert await house.outbound.forbid(["+82 10 1234 5678", "02-555-1234"], "a letter") == 2
    assert await house.outbound.forbid(["01012345678"], "again") == 0
    await house.outbound.pause("", False)
    assert await house.beat() == []
    assert await house.state(order) == "refused"
    assert "do-not-call" in await house.refused("0082 10 1234 5678")
    async with house.database.begin() as connection:
        rows = (await connection.execute(select(do_not_call))).all()
    assert "12345678" not in str(rows)
    assert await house.outbound.allow("010 1234 5678")
    assert not await house.outbound.allow("010 1234 5678")
    assert await house.add()


async def test_who_asks_for_it_in_the_flow_is_on_the_list(house: House) -> None:
    await house.add()
    await house.beat()
    await house.said("done", answered_by="person", outcome="do_not_call")
    assert "do-not-call" in await house.refused()


async def test_a_cancelled_order_is_not_called_and_a_call_that_is_up_goes_on(house: House) -> None:
    order = await house.add()
    await house.beat()
    await house.outbound.cancel(order)
    await house.said("busy")
    assert await house.state(order) == "cancelled"
    with pytest.raises(OutboundError):
        await house.outbound.cancel(order)
    with pytest.raises(OutboundError):
        await house.outbound.cancel("nobody")


async def test_where_no_worker_takes_it_it_is_no_attempt(house: House) -> None:
    house.workers.away = True
    order = await house.add()
    await house.beat()
    kept = await house.outbound.show(order)
    assert (kept.state.value, kept.tries) == ("waiting", 0)
    house.workers.away = False
    await house.later(6)
    assert len(house.workers.orders) == 1


async def test_a_dead_workers_order_is_called_again_but_not_within_its_talk(house: House) -> None:
    order = await house.add()
    await house.beat()
    call = house.workers.orders[0]
    for _ in range(10):
        await house.later(LEASE_S / 3)
        await house.outbound.go_on([call.call])
        assert await house.beat() == []
    assert await house.state(order) == "calling"
    await house.later(LEASE_S + 1)
    await house.beat()
    assert [one.result for one in house.told("result")] == ["lost"]
    await house.later(121)
    assert [one.order for one in house.workers.orders] == [order, order]
    await house.said("done", call=call, outcome="late")
    assert await house.state(order) == "calling", "what is said of an earlier call is no news"


async def test_a_restart_of_control_calls_nobody_twice(new_database: Callable[[], Database]) -> None:
    async with House(new_database(), plan()) as house:
        order = await house.add()
        await house.beat()
        call, clock = house.workers.orders[0], house.clock
    await clock.advance(LEASE_S * 2)
    async with House(new_database(), plan(), clock=clock) as house:
        assert await house.beat() == []
        await house.later(5)
        assert await house.state(order) == "calling"
        await house.outbound.go_on([call.call])
        await house.later(LEASE_S - 6)
        assert await house.beat() == []
        await house.said("done", call=call, outcome="talked")
        assert await house.state(order) == "done"


async def test_two_nodes_never_call_the_same_order(shared: Callable[[str], Database]) -> None:
    async with (
        House(shared("a"), plan(), node="a") as one,
        House(shared("b"), plan(), node="b", clock=one.clock) as other,
    ):
        await one.outbound.pause("", True)
        for number in range(40):
            await one.add(f"010-0000-{number:04}")
        await one.outbound.pause("", False)
        for _ in range(60):
            await one.clock.advance(0.5)
            await one.settled()
            await other.settled()
            if len(one.workers.orders) + len(other.workers.orders) >= 40:
                break
        called = [order.number for house in (one, other) for order in house.workers.orders]
        assert len(called) == len(set(called)) == 40


async def test_the_claim_is_by_rows_that_others_leave_out(shared: Callable[[str], Database]) -> None:
    async with House(shared("a"), plan(), node="a") as house:
        await house.outbound.pause("", True)
        await house.add()
        async with house.database.begin() as connection:
            await connection.execute(text("SELECT * FROM outbound_orders FOR UPDATE"))
            await house.outbound.pause("", False)
            await house.outbound.beat()
            assert house.workers.orders == []
        assert await house.beat()
