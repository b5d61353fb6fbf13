"""A front, its workers and as many callers as they take: what dies or is renewed takes along no more than it must.

CALLS=48 in the environment tries it with so many instead of twelve.
"""

import asyncio
import os
import re
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from commands import voiceedge
from peer import Peer, PeerCall
from service import Events, RunningService
from talk import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/usr/sbin/kamailio").exists() and not shutil.which("kamailio"), reason="no Kamailio"),
]

EACH = 4
WORKERS = int(os.environ.get("CALLS", "12")) // EACH
CALLS = EACH * WORKERS


@pytest.fixture(scope="module")
def switch(light) -> Iterator[RunningService]:
    with light(
        sip={"max_calls": CALLS},
        workers={"media_priority": "normal"},
        front={"enabled": True, "flood_per_s": 1000},
    ) as running:
        yield running


@pytest.fixture
async def service(switch: RunningService) -> AsyncIterator[RunningService]:
    """As it was at first, whatever the test before did to it."""
    yield switch
    await asyncio.to_thread(switch.until, lambda status: status["ready"])
    await asyncio.to_thread(switch.until, lambda _: not any(worker["draining"] for worker in every(switch)))


@asynccontextmanager
async def callers(service: RunningService, number: int = CALLS) -> AsyncIterator[list[PeerCall]]:
    """So many callers, each answered and hearing the question."""
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(Peer(user=f"0101234{index:04}")) for index in range(number)]
        calls = await asyncio.gather(*(answered(service, peer) for peer in peers))
        for call in calls:
            await until(call.rtp.sound_ns)
        yield calls
        for call in calls:
            if not over(call):
                await call.bye()


async def answered(service: RunningService, peer: Peer) -> PeerCall:
    """Called again after a 503: the front learns of a worker that is ready a moment after the status file says so."""
    async with asyncio.timeout(60):
        while True:
            call = await peer.invite(service.uri("9000"))
            response = await call.final()
            if response.status == 200:
                return call
            assert response.status == 503, response.first
            await asyncio.sleep(0.1)


def every(service: RunningService) -> list[dict]:
    return [facts for name, facts in service.status["processes"].items() if name.startswith("worker-")]


def over(call: PeerCall) -> bool:
    return any(request.method == "BYE" for request in call.requests)


def pids(service: RunningService) -> set[int]:
    return {worker["pid"] for worker in service.workers.values()}


async def all_go(calls: list[PeerCall]) -> None:
    """Each is still understood, says goodbye and is hung up on."""
    for call in calls:
        call.rtp.press("1")
    for call in calls:
        await call.ended()


async def told(events: Events, kind: str, calls: Iterable[PeerCall]) -> list[dict[str, Any]]:
    """What was published of each of these calls."""

    async def of(conversation: str) -> dict[str, Any]:
        return await events.until(kind, lambda data: data in events.of(kind, conversation))

    return [await of((await call.final())["x-conversation-id"]) for call in calls]


async def test_a_killed_worker_ends_its_own_calls_at_once_and_is_replaced(service, record_property):
    async with service.events() as events, callers(service) as calls:
        await told(events, "call.started", calls)  # what a worker has not sent yet dies with it
        name, worker = next(iter(service.workers.items()))
        killed = time.monotonic()
        os.kill(worker["pid"], signal.SIGKILL)
        await until(lambda: sum(map(over, calls)) == EACH)
        record_property("bye_after_s", round(time.monotonic() - killed, 2))
        await asyncio.to_thread(service.replaced, name, worker["pid"])
        async with callers(service, EACH):
            record_property("slots_back_after_s", round(time.monotonic() - killed, 2))
            assert sum(map(over, calls)) == EACH, "nobody else lost a call"
        for ended in await told(events, "call.ended", filter(over, calls)):
            assert (ended["cause"], ended["reason"]) == ("failed", "the worker of this call is gone")
        await all_go([call for call in calls if not over(call)])


async def test_a_hung_worker_ends_its_own_calls_and_others_answer_meanwhile(service):
    async with callers(service, CALLS - 1) as calls:
        name, worker = next(
            (name, worker) for name, worker in service.workers.items() if worker["pid"] == busiest(service, calls)
        )
        os.kill(worker["pid"], signal.SIGSTOP)
        async with callers(service, 1):
            await until(lambda: sum(map(over, calls)) == EACH)
            await asyncio.to_thread(service.replaced, name, worker["pid"])
        await all_go([call for call in calls if not over(call)])


def busiest(service: RunningService, calls: list[PeerCall]) -> int:
    """The process of a worker that carries as many calls as it can: its audio comes from its own share of ports."""
    by_seat = [(call.media.port - 30000) // 16 for call in calls]
    seat = max(by_seat, key=by_seat.count)
    return service.pid(f"worker-{seat + 1}")


async def test_kamailio_killed_in_mid_call_costs_no_call(service):
    async with callers(service) as calls:
        before = service.log.read_text().count('"kamailio_up"')
        os.kill(child_of(service.pid("front")), signal.SIGKILL)
        await until(lambda: service.log.read_text().count('"kamailio_up"') > before)
        assert not any(map(over, calls))
        await calls[0].bye()
        await all_go(calls[1:])
        async with callers(service, 1):
            pass


def child_of(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


async def test_front_killed_in_mid_call_costs_no_call(service):
    async with callers(service, 3) as calls:
        pid = service.pid("front")
        service.kill("front")
        await asyncio.to_thread(service.replaced, "front", pid)
        await calls[0].bye()
        await all_go(calls[1:])


async def test_control_killed_in_mid_call_costs_no_event_of_any_worker(service):
    async with service.events() as events, callers(service) as calls:
        pid = service.pid("control")
        service.kill("control")
        await all_go(calls)
        await asyncio.to_thread(service.replaced, "control", pid)
        for call in calls:
            await events.until("call.ended", lambda data, call=call: data["call_id"] == call.id)


@pytest.mark.parametrize(
    "change", [("log", {"level": "info"}), ("speech", {"vosk_model": "/another/model"})], ids=["settings", "models"]
)
async def test_a_reload_replaces_every_process_and_ends_no_call(service, change):
    """With other models the supervisor runs itself anew, as for new code."""
    before, supervisor = pids(service), service.status["supervisor"]
    async with service.events() as events, callers(service, CALLS - EACH) as calls:
        service.change(change[0], **change[1])
        async with voiceedge("reload", "--config", service.config) as command:
            output, errors = await command.communicate()
        assert command.returncode == 0, errors
        assert f"{WORKERS} old workers finish" in output.decode()
        assert service.status["supervisor"] == supervisor
        assert len(pids(service)) == WORKERS
        assert not pids(service) & before
        assert {facts["pid"] for facts in every(service) if facts["draining"]} == before
        async with callers(service, EACH) as more:  # with those that go on, as many as may be
            assert not any(map(over, calls)), "the new workers have calls of their own beside them"
            await all_go(more)
        await all_go(calls)
        for call in calls:
            ended = await has_ended(events, call)
            assert (ended["cause"], ended["outcome"]) == ("flow", "waited")
        await until(lambda: not any(facts["draining"] for facts in every(service)))


async def has_ended(events: Events, call: PeerCall) -> dict:
    return await events.until("call.ended", lambda data: data["call_id"] == call.id)


async def test_more_calls_wanted_grow_the_pool_and_fewer_shrink_it_without_ending_one(service):
    before = pids(service)
    async with callers(service) as calls:
        service.change("sip", max_calls=CALLS + 2 * EACH)
        assert (await asyncio.to_thread(service.reload))["state"] == "done"
        assert len(pids(service)) == WORKERS + 2
        assert before < pids(service), "those that were there are still what they should be"
        async with callers(service, 2 * EACH) as more:
            await all_go(more)
        service.change("sip", max_calls=CALLS)
        assert (await asyncio.to_thread(service.reload))["state"] == "done"
        assert len(pids(service)) == WORKERS
        assert not any(map(over, calls))
        await all_go(calls)


async def test_a_wrong_configuration_is_refused_with_its_place_and_changes_nothing(service):
    before = pids(service), service.pid("front"), service.pid("control")
    good = service.config.read_text()
    service.config.write_text(good.replace("max_calls", "max_cals"))
    try:
        async with voiceedge("reload", "--config", service.config) as command:
            _, errors = await command.communicate()
        refused = await asyncio.to_thread(service.reload)
    finally:
        service.config.write_text(good)
    assert command.returncode == 1
    for problem in (errors.decode(), refused["problem"]):
        assert re.search(r"voiceedge\.toml:\d+: sip\.max_cals: unknown key; did you mean max_calls\?", problem)
    assert (pids(service), service.pid("front"), service.pid("control")) == before
    async with callers(service, 1):
        pass


async def test_what_only_a_restart_can_change_is_refused(service):
    good = service.config.read_text()
    service.config.write_text(good.replace("enabled = true", "enabled = false"))
    try:
        refused = await asyncio.to_thread(service.reload)
    finally:
        service.config.write_text(good)
    assert refused["state"] == "refused"
    assert "front.enabled" in refused["problem"]
