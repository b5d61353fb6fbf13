"""One front before two nodes, each a machine with an address range of its own: one PostgreSQL, one broker, one queue.

The tests follow one another: the last takes the power from a node.
"""

import asyncio
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from shutil import which

import pytest
import switching
from mosquitto import Mosquitto
from networks import Wire
from peer import Peer
from ports import free_port
from postgres import PostgresServer
from registering import authorization, register
from service import RunningService
from switching import in_talk
from talk import until

from voiceedge.edge.between.link import LinkClient

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not (which("kamailio") or Path("/usr/sbin/kamailio").exists()), reason="kamailio is not installed"
    ),
    pytest.mark.skipif(
        not (which("mosquitto") or Path("/usr/sbin/mosquitto").exists()), reason="mosquitto is not installed"
    ),
]

NODES = ("one", "two")
CALLS = 4  # of each node
PORT = 5060
PASSWORD = "kims-password"
PLAN = """
[agents.kim]
phone = "201"
password_file = "{password}"
code = "1"
after_call_s = 0.0
queues = ["sales"]
[queues.sales]
[trunks.carrier]
addresses = ["{carrier}"]
host = "{carrier}"
port = {port}
caller_id = "0270001234"
"""
LONG = "Please hold the line. " * 60
HOLD = f"flow: hold\nlanguage: en\nstart: a\nsteps:\n  a: {{say: {LONG}, next: b}}\n  b: {{hang_up: }}\n"


class Site:
    """Three machines, and what is outside of them: a carrier, an office with a phone, the database and the broker."""

    def __init__(self, directory, wire, postgres, broker):
        self.wire = wire
        self.office, self.carrier = wire.here
        self.carrier_port = free_port(self.carrier)
        flows, plan, password = directory / "flows", directory / "switch.toml", directory / "kim"
        flows.mkdir()
        switching.write_flows(flows)
        (flows / "hold.yaml").write_text(HOLD, encoding="utf-8")
        password.write_text(PASSWORD)
        plan.write_text(PLAN.format(password=password, carrier=self.carrier, port=self.carrier_port), encoding="utf-8")
        database = postgres.new_database()

        def machine(name, front, **more):
            (directory / name).mkdir()
            tables = {
                "sip": {"host": wire[name].address, "port": PORT, "max_calls": CALLS},
                "front": {"inner_port": 5070, **front},
                "switch": {"plan": str(plan), "node": name},
                **more,
            }
            return RunningService(directory / name, flows, tables, wire[name].inside)

        self.front = machine("front", {"alone": True, "nodes": [f"{wire[name].address}:{PORT}" for name in NODES]})
        self.nodes = {
            name: machine(
                name,
                {"through": f"{wire['front'].address}:{PORT}"},
                store={"url": postgres.url(database), "password_file": str(postgres.password_file)},
                mqtt={"url": broker.url},
                flows={"default": "hold"},
                speech={"enabled": False},
                **{"flows.routes": {"1006": "f1006", "2001": "f2001"}},
            )
            for name in NODES
        }

    def uri(self, number="1000"):
        return f"sip:{number}@{self.wire['front'].address}:{PORT}"

    def at(self, call):
        """Which node's sound a call has."""
        return next(name for name in NODES if self.wire[name].address == call.media.host)

    @asynccontextmanager
    async def calling(self, number="1000", **options):
        """A call by the carrier; it is answered, and hung up at the end unless it is over."""
        async with Peer(self.carrier) as peer:
            call = await peer.invite(self.uri(number), **options)
            response = await call.final()
            assert response.status == 200, response.first
            yield call
            if not any(request.method == "BYE" for request in call.requests):
                await call.bye()

    async def kim_dials(self, phone, number):
        """The phone shows its password, as the front asks for it."""
        challenge = await (await phone.invite(self.uri(number))).final()
        assert challenge.status == 407
        headers = authorization(challenge, "INVITE", self.uri(number), phone.user, PASSWORD)
        call = await phone.invite(self.uri(number), headers=headers)
        assert (await call.final()).status == 200
        return call

    async def whole(self):
        """Until the front knows that its nodes answer, which it may have asked before they did."""
        async with asyncio.timeout(60):
            while any(node["state"] != "up" for node in (await ask(self.front, "nodes", "front"))["nodes"]):  # noqa: ASYNC110 - it asks them now and then
                await asyncio.sleep(0.1)

    async def waiting(self, name, count):
        """Until so many wait, as a node sees it."""
        async with asyncio.timeout(60):
            while (await ask(self.nodes[name], "queues"))["queues"][0]["waiting"] != count:  # noqa: ASYNC110 - it changes in another process
                await asyncio.sleep(0.1)


async def ask(service, request, socket="control", **body):
    link = LinkClient(service.directory / "run" / f"{socket}.sock")
    try:
        return await link.request(request, body, timeout_s=20)
    finally:
        await link.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    with ExitStack() as stack:
        wire = stack.enter_context(Wire("front", *NODES))
        postgres = stack.enter_context(PostgresServer(wire.here[0]))
        broker = Mosquitto(directory, host=wire.here[0])
        stack.callback(broker.kill)
        broker.start()
        site = Site(directory, wire, postgres, broker)
        machines = [site.front, *site.nodes.values()]
        with ThreadPoolExecutor() as starting:
            starts = [starting.submit(machine.start) for machine in machines]
        for machine, start in zip(machines, starts, strict=True):
            if not start.exception():
                stack.callback(machine.stop)
        for start in starts:
            start.result()
        for node in site.nodes.values():
            node.until(lambda _, node=node: node.knows_its_workers)
        yield site


@pytest.fixture
async def events(site):
    """Those of both nodes, to one subscriber: none came twice, those of a conversation in order and without a gap."""
    async with site.nodes["two"].events() as events:
        await site.whole()
        yield events
    assert events.again == []
    sequences = defaultdict(list)
    for event in events.all:
        sequences[event["subject"]].append(int(event["sequence"]))
    assert sequences
    for told in sequences.values():
        assert told == list(range(told[0], told[0] + len(told)))


@pytest.fixture
async def kim(site):
    async with Peer(site.office, user="201") as phone:
        answer = await register(phone, PORT, PASSWORD, host=site.wire["front"].address)
        assert answer.status == 200
        yield phone
        await register(phone, PORT, PASSWORD, host=site.wire["front"].address, expires=0)


async def told(events, calls, kind="call.ended"):
    """Until there is such an event of each call."""
    wanted = {call.id for call in calls}
    await until(lambda: wanted <= {data["call_id"] for data in events.of(kind)})


async def test_calls_are_spread_over_both_nodes_up_to_what_they_have_room_for(site, events):
    async with AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(site.calling()) for _ in range(2 * CALLS)]
        for call in calls:
            await until(call.rtp.sound_ns)
        assert Counter(map(site.at, calls)) == dict.fromkeys(NODES, CALLS)
        async with Peer(site.carrier) as peer:
            refused = await (await peer.invite(site.uri())).final()
            assert (refused.status, refused["retry-after"]) == (503, "5")
        nodes = (await ask(site.front, "nodes", "front"))["nodes"]
        assert [(node["state"], node["calls"]) for node in nodes] == [("up", CALLS)] * 2
    await told(events, calls)


async def test_nobody_but_the_front_is_let_in_by_a_node(site, events):
    """Not even the carrier, which it knows."""
    async with Peer(site.carrier) as stranger:
        for node in NODES:
            await stranger.invite(f"sip:1000@{site.wire[node].address}:{PORT}")
        async with site.calling() as call, site.calling() as other:
            await until(other.rtp.sound_ns)
        await told(events, [call, other])
        assert stranger.stray == []
        assert all(not call.provisional for call in stranger._calls.values())
    assert len(events.of("call.started")) == 2


async def test_a_caller_at_one_node_gets_the_agent_who_logged_in_at_the_other(site, kim, events):
    login = await site.kim_dials(kim, "*11")
    await until(lambda: [data for data in events.of("agent.state") if data["state"] == "available"])
    async with site.calling("2001") as caller:
        assert {site.at(login), site.at(caller)} == set(NODES)
        agent = await kim.incoming()
        assert agent.invitation.source == (site.wire["front"].address, PORT)
        await agent.answer()
        await in_talk(caller, agent)
        await agent.bye()
    await told(events, [caller])


async def test_a_call_out_goes_to_the_carrier_through_the_front(site, events):
    async with Peer(site.carrier, port=site.carrier_port) as carrier, site.calling("1006") as caller:
        called = await carrier.incoming()
        assert called.invitation.source == (site.wire["front"].address, PORT)
        assert not [name for name, _ in called.invitation.values if name.startswith("x-voiceedge")]
        await called.answer()
        await in_talk(caller, called)
        await caller.bye()
        await called.ended()
    await told(events, [caller])


async def test_the_callers_of_a_dead_node_are_told_and_reach_the_other_whose_queue_goes_on(site, kim, events):
    rung = []
    kim.on_invite = rung.append
    await ask(site.nodes["two"], "agent_state", agent="kim", state="break", reason="lunch")
    async with AsyncExitStack() as stack:
        waiting = defaultdict(list)
        for count in range(1, 4):  # at the nodes in turn: there is one behind a caller of the node that will die
            call = await stack.enter_async_context(site.calling("2001"))
            waiting[site.at(call)].append(call)
            await site.waiting("two", count)
        await told(events, [*waiting["one"], *waiting["two"]], "queue.joined")
        site.wire["one"].unplug()
        site.nodes["one"].end_suddenly()
        for _ in range(2):  # from the first moment on nobody is refused
            call = await stack.enter_async_context(site.calling())
            await until(call.rtp.sound_ns)
            assert site.at(call) == "two"
        await ask(site.nodes["two"], "agent_state", agent="kim", state="available")
        for number, caller in enumerate(waiting["two"]):
            await until(lambda number=number: len(rung) > number)
            await rung[number].answer()
            await in_talk(caller, rung[number])
            await rung[number].bye()
        for caller in waiting["one"]:
            bye = await until(lambda caller=caller: [said for said in caller.requests if said.method == "BYE"])
            assert "Node lost" in bye[0]["reason"]
        states = {node["address"]: node["state"] for node in (await ask(site.front, "nodes", "front"))["nodes"]}
        assert states == {f"{site.wire['one'].address}:{PORT}": "down", f"{site.wire['two'].address}:{PORT}": "up"}
