"""A worker's caps: asked of control, and kept up alone while control is away."""

import asyncio
from contextlib import suppress

import pytest

from voiceedge.clock import VirtualClock
from voiceedge.edge.between.link import LinkClient, LinkServer
from voiceedge.edge.call import counting
from voiceedge.edge.call.counting import LinkCaps, handlers
from voiceedge.switch.caps import LEASE_S, RENEW_S, TRUNK_UP, LocalCaps, call_out
from voiceedge.switch.plan import Plan, Trunk

PLAN = Plan(trunks={"carrier": Trunk(host="192.0.2.1", max_calls=2)})


@pytest.fixture
def clock():
    return VirtualClock()


def call(clock, number):
    return call_out(f"call-{number}", "kim", "carrier", PLAN, clock)


@pytest.fixture
async def workers(tmp_path, clock, monkeypatch):
    """Two of them, and what control counts for both."""
    monkeypatch.setattr(counting, "ANSWER_S", 30)  # else they count alone while the machine stands still
    control = LocalCaps(clock)
    async with LinkServer(tmp_path / "control.sock", handlers(control)):
        clients = [LinkClient(tmp_path / "control.sock") for _ in range(2)]
        yield [LinkCaps(client, clock) for client in clients]
        for client in clients:
            await client.close()


async def test_workers_share_the_caps(workers, clock):
    one, other = workers
    assert [await one.admit(call(clock, 0)), await other.admit(call(clock, 1))] == [None, None]
    assert await one.admit(call(clock, 2)) == TRUNK_UP
    await other.over("call-1", "carrier")
    assert await one.admit(call(clock, 2)) is None


async def test_a_worker_speaks_for_its_calls_as_long_as_they_last(workers, clock):
    one, other = workers
    for number in range(2):
        await one.admit(call(clock, number))
    renewing = asyncio.create_task(one.run())
    for _ in range(int(2 * LEASE_S / RENEW_S)):
        await clock.advance(RENEW_S)
        await one.go_on([])  # over the same socket: what was told before it has been heard
    assert await other.admit(call(clock, 2)) == TRUNK_UP
    renewing.cancel()
    with suppress(asyncio.CancelledError):
        await renewing


async def test_without_control_the_worker_counts_alone(tmp_path, clock):
    alone = LinkCaps(LinkClient(tmp_path / "control.sock"), clock)
    assert [await alone.admit(call(clock, number)) for number in range(3)] == [None, None, TRUNK_UP]
    await alone.over("call-0", "carrier")
    assert await alone.admit(call(clock, 2)) is None
