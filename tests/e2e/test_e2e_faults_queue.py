"""A queue behind the front while something fails: the disk is full, the broker dead, control away, Kamailio killed.

The agent's phone is registered at the front, calls are recorded, and the service's data lies on a disk of its own.
"""

import asyncio
import os
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import switching
from disk import small_disk
from mosquitto import Mosquitto
from peer import Peer, PeerCall
from registering import register
from rtp import RATE
from service import RunningService
from switching import in_talk
from talk import now_ns, talk, until

from voiceedge.edge.between.link import LinkClient
from voiceedge.errors import LinkError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not Path("/usr/sbin/kamailio").exists() and not shutil.which("kamailio"), reason="no Kamailio"),
    pytest.mark.skipif(
        not Path("/usr/sbin/mosquitto").exists() and not shutil.which("mosquitto"), reason="no Mosquitto"
    ),
]

PASSWORD = "a-phone-of-the-test"
PLAN = """
[agents.kim]
phone = "101"
password_file = "secret"
code = "1"
after_call_s = 0.0
ring_s = 90.0
queues = ["sales"]
[agents.lee]
phone = "102"
[queues.sales]
record = true
announce_every_s = 5.0
"""
AWAY_S = 10.0
RINGS_S = 2.5  # a phone that says nothing is given up after five
LEASE_S = 6.0  # after which a ticket that no worker asks about is lost


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """Fills the disk of site.data_dir for as long as it is entered."""
    directory = tmp_path_factory.mktemp("disk")
    with small_disk(directory, 16) as full:
        yield SimpleNamespace(directory=directory, full=full)


@pytest.fixture(scope="module")
def service(tmp_path_factory, broker, disk):
    directory = tmp_path_factory.mktemp("queue")
    flows = directory / "flows"
    flows.mkdir()
    switching.write_flows(flows)
    for flow in ("waiting", "recorded"):
        shutil.copy(Path(__file__).parent / "flows" / f"{flow}.yaml", flows)
    (directory / "secret").write_text(PASSWORD)
    (directory / "switch.toml").write_text(PLAN)
    tables = {
        "site": {"data_dir": str(disk.directory)},
        "sip": {"max_calls": 6},
        "workers": {"media_priority": "normal"},
        "front": {"enabled": True, "flood_per_s": 1000},
        "switch": {"plan": str(directory / "switch.toml")},
        "flows.routes": {"2001": "f2001", "8000": "recorded", "9000": "waiting"},
        "mqtt": {"url": broker.url},
        "recording": {"enabled": True},
        "speech": {"enabled": False},
    }
    with RunningService(directory, flows, tables) as running:
        yield running


class Desk:
    """Control as kim's page asks it."""

    def __init__(self, service: RunningService) -> None:
        self._link = LinkClient(service.directory / "run" / "control.sock")

    async def ask(self, request: str, **body: object) -> dict:
        """Again where control is away, or cannot write, for a while."""
        async with asyncio.timeout(60):
            while True:
                try:
                    return await self._link.request(request, body, timeout_s=10)
                except LinkError as error:
                    if not error.can_retry:
                        raise
                    await asyncio.sleep(0.1)

    async def state(self) -> str:
        return (await self.ask("agents"))["agents"][0]["state"]

    async def becomes(self, state: str) -> None:
        async with asyncio.timeout(60):
            while await self.state() != state:  # noqa: ASYNC110 - it changes in another process
                await asyncio.sleep(0.05)

    async def takes(self, **change: object) -> None:
        await self.ask("agent_state", agent="kim", **change)


@pytest.fixture
async def desk(service) -> AsyncIterator[Desk]:
    desk = Desk(service)
    await desk.ask("agent_login", code="1")
    yield desk
    await desk.takes(state="logged_out")
    await desk._link.close()


@pytest.fixture
async def kim(service) -> AsyncIterator[Peer]:
    """Their phone, registered."""
    async with Peer(user="101") as peer:
        port = service.status["processes"]["front"]["sip_port"]
        assert (await register(peer, port, PASSWORD)).status == 200
        yield peer
        assert (await register(peer, port, PASSWORD, expires=0)).status == 200


async def waits(call) -> None:
    """Music, for as long as it takes to be sure."""
    began = now_ns()
    await until(lambda: len(call.rtp.heard(began)) > RATE and np.abs(call.rtp.heard(began)[-RATE:]).max() > 300)


@asynccontextmanager
async def waiting(service, desk):
    """A caller in the queue, whose only agent is on a break."""
    await desk.takes(state="break", reason="lunch")
    async with talk(service, "2001") as call:
        await waits(call)
        yield call


async def rung(kim) -> PeerCall:
    """Whoever was on the phone when nothing could be written counts as busy until that lease is over (30 s)."""
    for _ in range(4):
        with suppress(TimeoutError):
            return await kim.incoming()
    return await kim.incoming()


async def they_talk(desk, kim, call) -> None:
    """To the end, with an agent who is free from now on."""
    await desk.takes(state="available")
    agent = await rung(kim)
    await agent.answer()
    await in_talk(call, agent)
    await agent.bye()
    assert (await call.over())["outcome"] == "talked"


@pytest.mark.parametrize("says", ["ringing", "nothing"])
async def test_a_phone_may_ring_for_a_while_and_say_so_or_not(service, desk, kim, says):
    async with talk(service, "2001") as call:
        agent = await kim.incoming()
        if says == "ringing":
            await agent.answer(180)
        await asyncio.sleep(RINGS_S)
        assert await desk.state() == "ringing"
        assert not agent.requests
        await agent.answer()
        await in_talk(call, agent)
        await agent.bye()
        await call.over()
    states = [data["state"] for data in call.of("agent.state")]
    assert states == [state for state in states if state in {"ringing", "talking", "available"}]


async def test_kamailio_killed_while_an_agents_phone_rings_costs_nobody_anything(service, desk, kim):
    async with talk(service, "2001") as call:
        agent = await kim.incoming()
        await agent.answer(180)
        before = service.log.read_text().count('"kamailio_up"')
        kill_kamailio(service)
        await until(lambda: service.log.read_text().count('"kamailio_up"') > before)
        await agent.answer()
        await in_talk(call, agent)
        await desk.becomes("talking")
        await agent.bye()
        assert (await call.over())["outcome"] == "talked"
    await desk.becomes("available")


def kill_kamailio(service) -> None:
    pid = service.pid("front")
    (kamailio,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(kamailio), signal.SIGKILL)


async def test_control_away_for_longer_than_ten_seconds_costs_no_place(service, desk, kim):
    async with waiting(service, desk) as call:
        pid = service.pid("control")
        service.kill("control", signal.SIGSTOP)
        away = asyncio.get_running_loop().time()
        await asyncio.to_thread(service.replaced, "control", pid)
        assert asyncio.get_running_loop().time() - away >= AWAY_S
        await waits(call)
        await they_talk(desk, kim, call)
        assert len(call.of("queue.joined")) == 1


async def test_a_broker_killed_in_calls_of_several_workers_loses_nothing_and_brings_nothing_twice(
    service, broker, desk, kim
):
    async with service.events(identifier="faults", clean_session=False) as events, AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(talk(service, "9000", events=events)) for _ in range(4)]
        calls.append(await stack.enter_async_context(talk(service, "2001", events=events)))
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(calls[-1], agent)
        broker.kill()
        await agent.bye()
        for call in calls[:-1]:
            call.rtp.press("1")
        for call in calls:
            await call.call.ended()
        broker.start()
        for call in calls:
            await call.over()  # which finds its events whole and in order
    told = Counter((event["subject"], event["type"], event.get("sequence")) for event in events.all)
    assert max(told.values()) == 1


async def test_a_full_disk_ends_no_call_and_when_there_is_room_all_is_told(service, disk, desk, kim):
    async with service.events() as events, AsyncExitStack() as stack:

        async def calls(number):
            return await stack.enter_async_context(talk(service, number, events=events))

        recorded, simple, rung = [await calls(number) for number in ("8000", "9000", "2001")]
        agent = await kim.incoming()
        await agent.answer(180)
        queued = await calls("2001")
        await waits(queued)
        await recorded.press("1")
        await recorded.until("recording.started")
        with disk.full():
            problem = await refused(desk)
            assert "disk is full: make room" in problem
            await agent.answer()
            await in_talk(rung, agent)
            await agent.bye()
            await rung.call.ended()
            simple.rtp.press("1")
            await simple.call.ended()
            async with Peer() as peer:
                late = await peer.invite(service.uri("9000"))
                assert (await late.final()).status == 200
                await until(late.rtp.sound_ns)
                late.rtp.press("1")
                await late.ended()
            await until(lambda: service.log.read_text().count('"recording_failed"') == 2)
            await asyncio.sleep(LEASE_S)
            await waits(queued)
        await they_talk(desk, kim, queued)
        await recorded.hang_up()
        for call in (recorded, simple, rung, queued):
            await call.over()
        await events.until("call.ended", lambda data: data["call_id"] == late.id)
    for call, problem in ((recorded, "No space left"), (rung, "No space left"), (queued, "None")):
        assert problem in str((await call.until("recording.ended"))["error"])
    for call in (rung, queued):
        assert [left["reason"] for left in call.of("queue.left")] == ["answered"]


async def refused(desk: Desk) -> str:
    """What is said when a wish cannot be kept, which takes a while: the database has a little room in its own files."""
    while True:
        try:
            await desk._link.request("agent_state", {"agent": "lee", "state": "break", "reason": "full"}, timeout_s=60)
            await desk._link.request("agent_state", {"agent": "lee", "state": "available"}, timeout_s=60)
        except LinkError as error:
            return str(error)
