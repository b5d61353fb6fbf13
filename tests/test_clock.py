"""Time that moves by itself, and time that moves when told."""

import asyncio
from datetime import timedelta

import pytest

from voiceedge.clock import RealClock, VirtualClock, sleep, timeout


async def test_virtual_time_stands_still_until_it_is_advanced():
    clock = VirtualClock()
    before = clock.now()
    await asyncio.sleep(0)
    assert clock.now() == before
    await clock.advance(3600)
    assert clock.now() - before == timedelta(hours=1)
    assert clock.monotonic() == 3600


async def test_sleepers_wake_in_order_each_at_its_own_time():
    clock, woken = VirtualClock(), []

    async def sleeper(delay_s: float) -> None:
        await sleep(clock, delay_s)
        woken.append((delay_s, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for delay_s in (3, 1, 2):
            group.create_task(sleeper(delay_s))
        await clock.advance(10)
    assert woken == [(1, 1), (2, 2), (3, 3)]


async def test_a_sleeper_that_sleeps_again_is_woken_within_the_same_advance():
    clock = VirtualClock()

    async def beat() -> list[float]:
        times = []
        for _ in range(3):
            await sleep(clock, 1)
            times.append(clock.monotonic())
        return times

    async with asyncio.TaskGroup() as group:
        beats = group.create_task(beat())
        await clock.advance(5)
    assert beats.result() == [1, 2, 3]


async def test_a_deadline_passes_with_the_clock():
    clock = VirtualClock()

    async def wait() -> None:
        async with timeout(clock, 2.0):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await clock.advance(1.9)
    assert not task.done()
    await clock.advance(0.2)
    with pytest.raises(TimeoutError):
        await task


async def test_what_is_done_in_time_meets_no_deadline():
    clock = VirtualClock()
    async with timeout(clock, 2.0):
        pass
    await clock.advance(5)


async def test_no_deadline_never_passes():
    clock = VirtualClock()

    async def wait(event: asyncio.Event) -> str:
        async with timeout(clock, None):
            await event.wait()
            return "done"

    event = asyncio.Event()
    task = asyncio.create_task(wait(event))
    await clock.advance(1e6)
    event.set()
    assert await task == "done"


async def test_a_cancelled_timer_does_not_fire():
    clock, fired = VirtualClock(), []
    clock.call_later(1, lambda: fired.append(1)).cancel()
    await clock.advance(2)
    assert not fired


async def test_real_time_moves_by_itself():
    clock = RealClock()
    before = clock.monotonic()
    await sleep(clock, 0.01)
    assert clock.monotonic() > before
    assert clock.now().tzinfo is not None
