"""The front before workers: who gets a call, who is refused, and what happens when a worker is gone."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from front_rig import Rig, from_worker, invite_by, needs_kamailio, until
from peer import Peer, PeerCall

from voiceedge.edge.front import refusals

pytestmark = needs_kamailio

ATTEMPTS = 5
PASSED_OVER = {
    "first": [200] * 2,
    "in time": True,
    "hung was asked": True,
    "second": [200] * 2,
    "hung was asked again": False,
    "taken by the good one": 4,
}


def serve(worker: Peer) -> list[PeerCall]:
    """Let it answer all calls; the list grows with them."""
    calls: list[PeerCall] = []

    def answer(call: PeerCall) -> None:
        calls.append(call)
        worker.spawn(call.answer())

    worker.on_invite = answer
    return calls


async def call_and_hear(rig: Rig, caller: Peer, number: str = "1000") -> PeerCall:
    call = await caller.invite(rig.uri(number))
    assert (await call.final()).status == 200
    return call


async def statuses(rig: Rig, caller: Peer, count: int) -> list[int]:
    """Of so many calls at once."""
    calls = [await caller.invite(rig.uri("1000")) for _ in range(count)]
    return sorted([(await call.final()).status for call in calls])


async def test_a_call_reaches_a_worker_and_both_sides_can_end_it(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer() as caller:
        served = serve(await rig.worker())
        call = await call_and_hear(rig, caller)
        assert served[0].invitation["x-voiceedge-source"] == "127.0.0.1"
        assert served[0].invitation["x-voiceedge-hops"] == "69"
        assert (await call.reinvite("sendonly")).status == 200
        assert (await call.bye()).status == 200
        await served[0].ended()
        call = await call_and_hear(rig, caller)
        assert (await served[1].bye()).status == 200
        await call.ended()
        await until(lambda: no_calls(rig))


async def no_calls(rig: Rig) -> bool:
    stats = await rig.ask("stats")
    return stats["calls"] == 0 and not any(stats["workers"].values())


async def test_past_the_cap_exactly_the_rest_is_refused_and_the_places_come_back(tmp_path: Path) -> None:
    async with Rig(tmp_path, sip={"max_calls": 5, "retry_after_s": 7}) as rig, rig.peer() as caller:
        workers = [await rig.worker(calls_each=4), await rig.worker(calls_each=4)]
        served = [serve(worker) for worker in workers]
        calls = [await caller.invite(rig.uri("1000")) for _ in range(12)]
        finals = [await call.final() for call in calls]
        assert sorted(final.status for final in finals) == [200] * 5 + [503] * 7
        assert {final["retry-after"] for final in finals if final.status == 503} == {"7"}
        assert {len(served[0]), len(served[1])} == {2, 3}
        stats = await rig.ask("stats")
        assert (stats["calls"], stats["incoming"], stats["refused"]) == (5, 5, {"full": 7})
        for call, final in zip(calls, finals, strict=True):
            if final.status == 200:
                await call.bye()
        await until(lambda: no_calls(rig))
        assert await statuses(rig, caller, 5) == [200] * 5


async def test_callers_who_found_no_place_are_told_of_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "TELL_S", 0.5)
    async with Rig(tmp_path, sip={"max_calls": 1}) as rig, rig.peer() as caller:
        serve(await rig.worker(calls_each=4))

        def told() -> list[int]:
            return [line["calls"] for line in rig.log if line["event"] == "calls_refused_full"]

        assert sorted(await statuses(rig, caller, 6)) == [200] + [503] * 5
        await until(lambda: sum(told()) == 5)
        lines = len(told())
        await asyncio.sleep(3 * refusals.TELL_S)  # in which nobody is refused
        assert len(told()) == lines < 5


async def test_no_worker_gets_more_than_its_share_of_calls(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer() as caller:
        served = [serve(await rig.worker(calls_each=each)) for each in (1, 3)]
        assert await statuses(rig, caller, 6) == [200] * 4 + [503] * 2
        assert [len(calls) for calls in served] == [1, 3]


async def test_no_worker_gets_more_new_calls_a_second_than_its_stack_bears(tmp_path: Path) -> None:
    async with Rig(tmp_path, front={"calls_per_s_worker": 2}) as rig, rig.peer() as caller:
        serve(await rig.worker(calls_each=100))
        await until(lambda: time.time() % 1 < 0.3)
        began = time.monotonic()
        taken = (await statuses(rig, caller, 8)).count(200)
        assert 2 <= taken <= 2 * seconds_since(began)


async def test_calls_past_the_rate_are_refused_with_retry_after(tmp_path: Path) -> None:
    async with Rig(tmp_path, front={"calls_per_s": 3}) as rig, rig.peer() as caller:
        serve(await rig.worker(calls_each=100))
        began = time.monotonic()
        taken = (await statuses(rig, caller, 12)).count(200)
        assert 3 <= taken <= 3 * seconds_since(began)
        assert (await rig.ask("stats"))["refused"].get("rate", 0) == 12 - taken


def seconds_since(began: float) -> int:
    """Of the clock's, counting those that have but begun."""
    return int(time.monotonic() - began) + 2


async def test_without_a_worker_the_caller_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer() as caller:
        final = await (await caller.invite(rig.uri("1000"))).final()
        assert (final.status, final["retry-after"]) == (503, "5")


async def test_a_hung_worker_is_passed_over_within_two_seconds_and_gets_no_more_calls(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Tried again, as a machine that stands still for so long makes a hung worker of the good one, too."""
    found: dict[str, Any] = {}
    for _ in range(ATTEMPTS):
        if (found := await pass_over_a_hung_worker(tmp_path_factory.mktemp("rig"))) == PASSED_OVER:
            break
    assert found == PASSED_OVER


async def pass_over_a_hung_worker(directory: Path) -> dict[str, Any]:
    async with Rig(directory, hurried=True) as rig, rig.peer() as caller:
        good = await rig.worker()
        served = serve(good)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hung:
            hung.setblocking(False)
            hung.bind(("127.0.0.1", 0))
            rig.list_worker("worker-2", hung.getsockname()[1], calls_each=4)
            await rig.told({good.port: "ready", hung.getsockname()[1]: "ready"})
            began = time.monotonic()
            first = await statuses(rig, caller, 2)
            took_s = time.monotonic() - began
            asked = invitations(hung) > 0
            second = await statuses(rig, caller, 2)
            return {
                "first": first,
                "in time": 1 < took_s < 15,  # SIP itself would wait for 32
                "hung was asked": asked,
                "second": second,
                "hung was asked again": invitations(hung) > 0,  # it is known to be hung by now
                "taken by the good one": len(served),
            }


def invitations(heard_by: socket.socket) -> int:
    """Since this was last asked."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while data := heard_by.recv(65536):
            count += data.startswith(b"INVITE")
    return count


async def test_a_full_worker_is_passed_over_and_a_flows_refusal_is_not(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer() as caller:
        workers = [await rig.worker(), await rig.worker()]
        full = {"Retry-After": "5"}
        workers[0].on_invite = lambda call: workers[0].spawn(call.answer(503, headers=full))
        served = serve(workers[1])
        assert await statuses(rig, caller, 2) == [200, 200]
        assert len(served) == 2
        for refusal in (486, 503):
            workers[1].on_invite = lambda call, code=refusal: workers[1].spawn(call.answer(code))
            assert await statuses(rig, caller, 2) == [refusal] * 2
        await until(lambda: only(rig, 2))


async def only(rig: Rig, count: int) -> bool:
    return (await rig.ask("stats"))["calls"] == count


async def test_a_call_that_replaces_another_goes_to_the_worker_that_has_it(tmp_path: Path) -> None:
    async with Rig(tmp_path, sip={"max_calls": 20}) as rig, rig.peer() as caller, rig.peer() as agent:
        workers = [await rig.worker(calls_each=1) for _ in range(6)]
        served = [serve(worker) for worker in workers]
        call = await call_and_hear(rig, caller)
        has = next(number for number, calls in enumerate(served) if calls)
        final = await call.final()
        shown = final["contact"].partition("<")[2].partition(">")[0]
        replaces = {"Replaces": f"{call.id};to-tag=a;from-tag=b"}
        other = invite_by(agent, shown, rig.facts["sip_port"], replaces)
        assert (await other.final()).status == 200
        assert len(served[has]) == 2
        third = await from_worker(rig, workers[has - 1], shown, **replaces)
        assert (await third.final()).status == 200
        assert len(served[has]) == 3
        assert sum(map(len, served)) == 3
        assert (await third.bye()).status == (await other.bye()).status == (await call.bye()).status == 200


async def test_a_draining_worker_keeps_its_calls_and_gets_no_new_one(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer() as caller:
        old = await rig.worker()
        before = serve(old)
        call = await call_and_hear(rig, caller)
        served = serve(await rig.worker())
        rig.change_worker(old, draining=True)
        await rig.told({old.port: "draining"})
        assert await statuses(rig, caller, 3) == [200] * 3
        assert (len(before), len(served)) == (1, 3)
        assert (await call.reinvite("sendonly")).status == 200
        assert (await before[0].bye()).status == 200
        await call.ended()


async def test_the_calls_of_a_dead_worker_end_at_once_and_its_places_are_free(tmp_path: Path) -> None:
    async with Rig(tmp_path, hurried=True, sip={"max_calls": 4}) as rig, rig.peer() as caller:
        dead = await rig.worker()
        serve(dead)
        calls = [await call_and_hear(rig, caller) for _ in range(3)]
        served = serve(await rig.worker())
        other = await call_and_hear(rig, caller)
        dead._transport.close()
        began = time.monotonic()
        rig.change_worker(dead, ready=False, pid=0)
        byes = await asyncio.gather(*(call.ended() for call in calls))
        assert "Worker lost" in byes[0]["reason"]
        await until(lambda: only(rig, 1))
        freed_s = time.monotonic() - began
        assert freed_s < 20  # and not when somebody asks after them, in half a minute
        assert not other._ended.done()
        assert await statuses(rig, caller, 3) == [200] * 3
        assert len(served) == 4


async def test_who_waits_for_a_dead_worker_to_answer_is_told_to_try_again(tmp_path: Path) -> None:
    async with Rig(tmp_path, hurried=True) as rig, rig.peer() as caller:
        dead = await rig.worker()
        dead.on_invite = lambda call: dead.spawn(call.answer(180))
        call = await caller.invite(rig.uri("1000"))
        await until(lambda: any(message.status == 180 for message in call.provisional))
        serve(await rig.worker())
        dead._transport.close()
        rig.change_worker(dead, ready=False, pid=0)
        final = await call.final()
        assert (final.status, final["retry-after"]) == (503, "1")
        await until(lambda: no_calls(rig))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_kamailio_comes_back_and_calls_that_were_up_go_on(tmp_path: Path, number: int) -> None:
    async with Rig(tmp_path) as rig, rig.peer() as caller:
        served = serve(await rig.worker())
        call = await call_and_hear(rig, caller)
        killed = rig.kamailio
        os.kill(killed, number)
        await until(lambda: len(rig.said("kamailio_up")) == 2)
        assert rig.kamailio != killed
        assert (await call.reinvite("sendonly")).status == 200
        assert (await served[0].reinvite()).status == 200
        assert (await call.bye()).status == 200
        await served[0].ended()
        await call_and_hear(rig, caller)


async def test_a_front_that_starts_anew_takes_the_same_ports_though_kamailio_was_left_behind(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer() as caller:
        served = serve(await rig.worker())
        facts = rig.facts
        call = await call_and_hear(rig, caller)
        await rig.stop()
        await rig.start()
        assert rig.facts == facts
        assert (await served[0].bye()).status == 200
        await call.ended()
