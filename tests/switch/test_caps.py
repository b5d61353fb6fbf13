"""Caps on calls out: they outlive restarts, hold over nodes, and free what the dead have left behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from plans import plan
from sqlalchemy import select

from voiceedge.clock import VirtualClock
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.tables import calls_out
from voiceedge.switch.caps import (
    CALLER,
    LEASE_S,
    RENEW_S,
    SITE,
    TRUNK_DAY,
    TRUNK_UP,
    Caps,
    LocalCaps,
    StoreCaps,
    call_out,
)

KEY = b"k" * 32
BEFORE_MIDNIGHT = datetime(2026, 11, 22, 14, 50, tzinfo=UTC)  # 23:50 in Seoul


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(BEFORE_MIDNIGHT)


@pytest.fixture(params=["store", "alone"])
async def caps(request: pytest.FixtureRequest, clock: VirtualClock) -> AsyncIterator[Caps]:
    if request.param == "alone":
        yield LocalCaps(clock)
        return
    async with opened(request.getfixturevalue("sqlite")) as database:
        yield StoreCaps(database, KEY, clock)


@asynccontextmanager
async def opened(new: Callable[..., Database], *node: str) -> AsyncIterator[Database]:
    database = new(*node)
    await database.open()
    yield database
    await database.close()


def call(clock, number, *, caller="", trunk="carrier", **guard):
    """The carrier carries 2 at once and 5 a day, the cheap one has no caps."""
    return call_out(f"call-{number}", caller, trunk, plan(**guard), clock)


async def test_a_trunk_carries_so_many_at_once(caps, clock):
    assert [await caps.admit(call(clock, number)) for number in range(3)] == [None, None, TRUNK_UP]
    assert await caps.admit(call(clock, 3, trunk="cheap")) is None
    await caps.over("call-0", "carrier")
    assert await caps.admit(call(clock, 2)) is None


async def test_a_trunk_carries_so_many_a_day_and_as_many_the_next(caps, clock):
    for number in range(5):
        assert await caps.admit(call(clock, number)) is None
        await caps.over(f"call-{number}", "carrier")
    assert await caps.admit(call(clock, 5)) == TRUNK_DAY
    await clock.advance(600)  # to midnight in Seoul
    assert await caps.admit(call(clock, 5)) is None


async def test_a_caller_has_so_many_a_day_however_the_number_is_written(caps, clock):
    def by(caller, number):
        return caps.admit(call(clock, number, caller=caller, trunk="cheap", calls_per_caller_per_day=2))

    assert [await by("01012345678", 1), await by("01012345678", 2), await by("01012345678", 3)] == [None, None, CALLER]
    assert await by("kim", 4) is None
    await clock.advance(600)
    assert await by("01012345678", 5) is None


async def test_a_site_makes_so_many_a_day_and_a_refused_one_counts_nowhere(caps, clock):
    def more(number, trunk="cheap"):
        return caps.admit(call(clock, number, trunk=trunk, calls_per_day=3))

    assert [await more(number, "carrier") for number in range(3)] == [None, None, TRUNK_UP]
    assert [await more(3), await more(4)] == [None, SITE]
    await clock.advance(600)
    assert await more(5) is None


async def test_the_next_trunk_of_the_same_call_counts_for_that_trunk_only(caps, clock):
    first, second = call(clock, 1, calls_per_day=1), call(clock, 1, trunk="cheap", calls_per_day=1)
    assert await caps.admit(first) is None
    assert await caps.admit(second) is None
    await caps.over("call-1", "carrier")  # the first leg's end is told late
    assert await caps.admit(call(clock, 2, calls_per_day=1)) == SITE


async def test_a_call_that_nobody_speaks_for_any_more_frees_its_trunk(caps, clock):
    await caps.admit(call(clock, 0))
    await caps.admit(call(clock, 1))
    for _ in range(int(LEASE_S / RENEW_S)):
        await clock.advance(RENEW_S)
        await caps.go_on(["call-1"])
    assert await caps.admit(call(clock, 2)) is None  # in place of call-0, whose worker has died
    assert await caps.admit(call(clock, 3)) == TRUNK_UP


async def test_caps_outlive_a_restart(sqlite, clock):
    async with opened(sqlite) as database:
        caps = StoreCaps(database, KEY, clock)
        assert [await caps.admit(call(clock, number)) for number in range(2)] == [None, None]
    async with opened(sqlite) as database:
        assert await StoreCaps(database, KEY, clock).admit(call(clock, 2)) == TRUNK_UP


async def test_no_number_is_kept_and_nothing_longer_than_its_day(sqlite, clock):
    async with opened(sqlite) as database:
        caps = StoreCaps(database, KEY, clock)
        await caps.admit(call(clock, 1, caller="01012345678"))
        await clock.advance(LEASE_S)
        await caps.admit(call(clock, 2, caller="01012345678"))
        await clock.advance(600 - LEASE_S)
        await caps.go_on(["call-2"])
        await caps.admit(call(clock, 3))
        async with database.begin() as connection:
            rows = (await connection.execute(select(calls_out))).all()
    assert {row.id for row in rows} == {"call-2", "call-3"}  # the second of yesterday is still up
    assert not any("12345678" in str(row) for row in rows)


async def test_two_nodes_at_once_never_admit_one_too_many(shared):
    clock = VirtualClock(BEFORE_MIDNIGHT)
    async with opened(shared, "node-1") as first, opened(shared, "node-2") as second:
        nodes = [StoreCaps(database, KEY, clock) for database in (first, second)]
        found = await asyncio.gather(
            *(nodes[number % 2].admit(call(clock, number, trunk="cheap", calls_per_day=7)) for number in range(20))
        )
    assert sorted(found, key=str) == [None] * 7 + [SITE] * 13
