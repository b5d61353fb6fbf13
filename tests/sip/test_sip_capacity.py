"""Full lines, bursts, and hundreds of calls that leave nothing behind."""

import asyncio
import json
import sys
from collections.abc import Callable

import pytest
from peer import Peer, PeerCall
from served import SERVER, WAIT_S, Server, until
from sipp import sipp_uac

Servers = Callable[..., Server]


async def test_one_call_too_many_is_told_when_to_come_back(server: Server) -> None:
    async with Peer() as peer:
        calls = [await peer.invite(server.uri("tone")) for _ in range(server.capacity)]
        assert [(await call.final()).status for call in calls] == [200] * server.capacity
        refused = await (await peer.invite(server.uri("tone"))).final()
        assert (refused.status, refused["retry-after"]) == (503, "5")
        for call in calls:
            await until(call.rtp.sound_ns)  # those that are served are served
        await calls[0].bye()
        again = await peer.invite(server.uri("tone"))
        assert (await again.final()).status == 200
        for call in [again, *calls[1:]]:
            await call.bye()


async def test_the_setting_lowers_the_capacity(new_server: Servers) -> None:
    server = new_server(max_calls=1, retry_after_s=9)
    assert server.capacity == 1
    async with Peer() as peer:
        first = await peer.invite(server.uri("manual"))
        leg = (await server.event("Incoming"))["leg"]
        refused = await (await peer.invite(server.uri("manual"))).final()
        assert (refused.status, refused["retry-after"]) == (503, "9")
        with pytest.raises(RuntimeError, match="No line is free"):
            await server.do("call", "sip:x@127.0.0.1:9", {})
        await server.do("reject", 486, leg=leg)
        await first.final()


@pytest.mark.slow
async def test_a_burst_of_calls_is_served_one_after_another(server: Server) -> None:
    """PJSIP left to itself aborts above some sixty short calls a second."""
    async with Peer() as peer:
        for _ in range(100):
            call = await peer.invite(server.uri("answer"))
            assert (await call.final()).status == 200
            await call.bye()
            call.rtp.close()


@pytest.mark.slow
async def test_a_flood_of_cancelled_calls_leaves_every_line_free(server: Server) -> None:
    async with Peer() as peer:
        for _ in range(5):
            calls = [await peer.invite(server.uri("manual")) for _ in range(40)]
            responses = await asyncio.gather(*(call.cancel() for call in calls))
            assert {response.status for response in responses} <= {487, 503}
            for call in calls:
                call.rtp.close()
    await server.at_rest()


async def test_an_invite_that_crossed_its_200_makes_no_second_call(server: Server) -> None:
    """RFC 6026: until it can be repeated no more, whoever has accepted an INVITE lets its repetitions go by."""
    async with Peer() as peer:
        call = await peer.invite(server.uri("answer"))
        assert (await call.final()).status == 200
        leg = (await server.event("Incoming", id=call.id))["leg"]
        repeating = asyncio.create_task(call.repeat())
        await server.event("Answered", leg)
        await asyncio.sleep(1.2)  # it has come twice by then
        await call.bye()
        await server.event("Ended", leg)
        assert [told for told in server._told if told.get("event") == "Incoming"] == []
        repeating.cancel()
    await server.at_rest()


async def test_an_invite_that_crossed_its_refusal_makes_no_call(server: Server) -> None:
    """RFC 3261, 17.2.1: who refused an INVITE says the same to its repetitions, even when a line is free by then."""
    async with Peer() as peer:
        waiting: list[PeerCall] = []  # of a burst some are not let in at once: those wait, and hear nothing meanwhile
        while not waiting:
            await server.at_rest()
            calls = [await peer.invite(server.uri("manual")) for _ in range(server.capacity)]
            cancelled = await asyncio.gather(*(call.cancel() for call in calls))
            assert [response.status for response in cancelled] == [487] * len(calls)
            waiting = [call for call in calls if not call.provisional]
        await server.at_rest()
        for call in waiting:
            assert (await call.repeat()).status == 487
        calls = [await peer.invite(server.uri("manual")) for _ in range(server.capacity + 1)]
        refused = await calls[-1].final()
        assert refused.status == 503
        for call in calls[:-1]:
            await call.cancel()
        await server.at_rest()
        again = await calls[-1].repeat()
        assert (again.status, again["retry-after"]) == (503, "5")
    assert not (await server.do("use"))["active"]


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 4])
async def test_two_hundred_calls_by_sipp_do_not_fail(server: Server, at_once: int) -> None:
    result = await sipp_uac("127.0.0.1", server.port, calls=200, at_once=at_once, rate=25)
    assert (result.succeeded, result.failed) == (200, 0), result.output


@pytest.mark.slow
@pytest.mark.timeout(500)
async def test_hundreds_of_calls_leave_nothing_behind(new_server: Servers) -> None:
    server = new_server()

    async def run(count: int) -> None:
        async with Peer() as peer:
            for number in range(count):
                call = await peer.invite(server.uri("tone"))
                await call.final()
                if number % 3:
                    await call.press("1", 40)
                await call.bye()

    async def at_rest() -> dict[str, int]:
        await server.at_rest()
        await asyncio.sleep(10)  # PJSIP keeps a transaction for 8 s
        return await server.do("use")

    await run(250)  # until then PJSIP's and Python's pools still grow
    before = await at_rest()
    await run(300)
    after = await at_rest()
    handles = ("files", "sockets", "threads")
    async with asyncio.timeout(WAIT_S):
        while any(after[name] > before[name] for name in handles):  # of a machine that stood still some come later
            await asyncio.sleep(0.5)
            after = await server.do("use")
    assert all(after[name] <= before[name] for name in handles), (before, after)
    assert after["kilobytes"] < before["kilobytes"] + 300 * 3, (before, after)  # a leaked leg would be 30 kB


async def test_stopping_says_goodbye_to_all(new_server: Servers) -> None:
    server = new_server()
    async with Peer() as peer:
        calls = [await peer.invite(server.uri("tone")) for _ in range(3)]
        for call in calls:
            await call.final()
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        for call in calls:
            assert "shutting down" in (await call.ended())["reason"]
        assert await stopping == 0


async def test_a_port_in_use_is_named_with_a_remedy(server: Server) -> None:
    settings = json.dumps({"host": "127.0.0.1", "port": server.port})
    second = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), settings, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(second.communicate(), 60)
    assert second.returncode == 1  # an error, not a crash
    assert f"SipError: Cannot listen on 127.0.0.1:{server.port}/UDP" in said.decode()
    assert "set sip.host and sip.port" in said.decode()
