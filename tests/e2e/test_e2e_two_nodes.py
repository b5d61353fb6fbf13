"""Two nodes on two address ranges of this machine: one PostgreSQL, one broker, the first one's Kamailio before both.

The tests follow one another: the last kills a node.
"""

import asyncio
import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from shutil import which

import pytest
import switching
from mosquitto import Mosquitto
from peer import Peer
from ports import free_tcp_port
from service import RunningService
from switching import in_talk
from talk import until

from voiceedge.edge.between.link import LinkClient

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(
        not (which("kamailio") or Path("/usr/sbin/kamailio").exists()), reason="kamailio is not installed"
    ),
    pytest.mark.skipif(
        not (which("mosquitto") or Path("/usr/sbin/mosquitto").exists()), reason="mosquitto is not installed"
    ),
]

HOSTS = {"one": "127.0.1.1", "two": "127.0.2.1"}
PLAN = """
[agents.kim]
phone = "sip:kim@127.0.0.1:{kim}"
code = "1"
after_call_s = 0.0
queues = ["sales"]
[queues.sales]
"""


class Node(RunningService):
    def __init__(self, name, directory, flows, address, tables):
        directory.mkdir()
        self.name, self.address = name, address
        super().__init__(directory, flows, tables)
        self._link = LinkClient(directory / "run" / "control.sock")

    def uri(self, number="1000"):
        return f"sip:{number}@{self.address}"

    async def ask(self, request, **body):
        return await self._link.request(request, body, timeout_s=20)


@pytest.fixture(scope="module")
def database(postgres):
    return postgres.new_database()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory, postgres, database, ports):
    directory = tmp_path_factory.mktemp("nodes")
    flows, plan = directory / "flows", directory / "switch.toml"
    flows.mkdir()
    switching.write_flows(flows)
    (flows / "hold.yaml").write_text(HOLD, encoding="utf-8")
    plan.write_text(PLAN.format(**ports), encoding="utf-8")
    broker = Mosquitto(directory)
    addresses = {name: f"{host}:{free_tcp_port(host)}" for name, host in HOSTS.items()}
    made = {}
    for name, host in HOSTS.items():
        made[name] = Node(name, directory / name, flows, addresses[name], {
            "sip": {"host": host, "port": int(addresses[name].rpartition(":")[2]), "max_calls": 4},
            "front": {"enabled": True, "nodes": [other for other in addresses.values() if other != addresses[name]]},
            "switch": {"plan": str(plan), "node": name},
            "store": {"url": postgres.url(database), "password_file": str(postgres.password_file)},
            "mqtt": {"url": broker.url},
            "flows": {"default": "hold"},
            "flows.routes": {"2001": "f2001"},
            "speech": {"enabled": False},
        })  # fmt: skip
    broker.start()
    try:
        with made["one"], made["two"]:
            for node in made.values():
                node.until(lambda _, node=node: node.knows_its_workers)
            yield made
    finally:
        broker.kill()


LONG = "Please hold the line. " * 60
HOLD = f"flow: hold\nlanguage: en\nstart: a\nsteps:\n  a: {{say: {LONG}, next: b}}\n  b: {{hang_up: }}\n"


@pytest.fixture
def served_by(postgres, database):
    """How many calls that have begun since are whose: by the events that each node keeps."""
    count = "SELECT node, count(*) FROM outbox WHERE body LIKE '%voiceedge.call.started%' GROUP BY node ORDER BY node"

    def look():
        rows = postgres.execute(count, database).splitlines()
        return {name: int(calls) for name, _, calls in (row.partition("|") for row in rows)}

    before = look()
    return lambda: {name: calls - before.get(name, 0) for name, calls in look().items()}


@asynccontextmanager
async def callers(node, count, number="1000"):
    """Calls that are answered, and hung up at the end."""
    async with AsyncExitStack() as stack:
        calls = []
        for _ in range(count):
            peer = await stack.enter_async_context(Peer())
            call = await answered(peer, node.uri(number))
            stack.push_async_callback(hang_up, call)
            calls.append(call)
        yield calls


async def answered(peer, uri):
    """Called again after a 503: nodes look for each other every two seconds."""
    async with asyncio.timeout(60):
        while True:
            call = await peer.invite(uri)
            response = await call.final()
            if response.status == 200:
                return call
            assert response.status == 503, response.first
            await asyncio.sleep(0.1)


async def hang_up(call):
    if not any(request.method == "BYE" for request in call.requests):
        await call.bye()


async def test_calls_that_one_node_has_no_place_for_are_served_by_the_other(nodes, served_by):
    async with callers(nodes["one"], 6) as calls:
        for call in calls:
            await until(call.rtp.sound_ns)
        assert await until(lambda: sum(served_by().values()) == 6)
        assert served_by() == {"one": 4, "two": 2}


async def test_both_nodes_have_one_queue(nodes, ports):
    one, two = nodes["one"], nodes["two"]
    await one.ask("agent_login", code="1")
    await one.ask("agent_state", agent="kim", state="break", reason="lunch")
    async with AsyncExitStack() as stack:
        kim = await stack.enter_async_context(Peer(user="kim", port=ports["kim"]))
        [first] = await stack.enter_async_context(callers(one, 1, "2001"))
        await until_waiting(two, 1)
        [second] = await stack.enter_async_context(callers(two, 1, "2001"))
        await until_waiting(one, 2)
        await two.ask("agent_state", agent="kim", state="available")
        for caller in (first, second):  # in the order in which they came, whichever node they are at
            agent = await kim.incoming()
            await agent.answer()
            await in_talk(caller, agent)
            await agent.bye()
        for node in (one, two):
            await until_waiting(node, 0)


async def until_waiting(node, count):
    for _ in range(300):
        (queue,) = (await node.ask("queues"))["queues"]
        if queue["waiting"] == count:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{queue['waiting']} wait at {node.name}, not {count}")


async def test_the_callers_of_workers_that_hang_reach_the_other_node(nodes, served_by):
    hung = [nodes["one"].pid(name) for name in nodes["one"].workers]
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    async with callers(nodes["one"], 2) as calls:
        for call in calls:
            await until(call.rtp.sound_ns)
        assert await until(lambda: served_by().get("two") == 2)
    await asyncio.to_thread(nodes["one"].until, lambda status: status["ready"] and not set(hung) & pids(status))
    await asyncio.to_thread(nodes["one"].until, lambda _: nodes["one"].knows_its_workers)


def pids(status):
    return {process["pid"] for process in status["processes"].values()}


async def test_the_callers_of_a_dead_node_reach_the_other(nodes, served_by):
    one, two = nodes["one"], nodes["two"]
    async with callers(one, 4), Peer() as peer:
        lost = await peer.invite(one.uri())
        assert (await lost.final()).status == 200  # by the other node
        await until(lost.rtp.sound_ns)
        assert await until(lambda: served_by() == {"one": 4, "two": 1})
        two.end_suddenly()
        assert (await (await peer.invite(one.uri())).final()).status == 503
    async with callers(one, 4) as calls:
        for call in calls:
            await until(call.rtp.sound_ns)
    assert await until(lambda: served_by() == {"one": 8, "two": 1})
