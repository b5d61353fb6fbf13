"""Calls whose worker, machine or node is gone end for all who follow them, once."""

import asyncio
import os
import subprocess
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from voiceedge.clock import VirtualClock
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import CallAnswered, CallEnded, CallStarted, LegEnded, StepEntered
from voiceedge.context.events.digital import NoteAdded
from voiceedge.context.storage import calls_up, tables
from voiceedge.context.storage.database import FILE, Database
from voiceedge.context.storage.lease import LEASE_S, Lease
from voiceedge.context.storage.postgres import Postgres
from voiceedge.context.storage.sqlite import Sqlite
from voiceedge.context.storage.store import Store
from voiceedge.edge.between.process_name import process_name
from voiceedge.edge.rooms.orphans import GONE, LOOK_S, LOST_S, NODES_LOOK_S, Orphans
from voiceedge.errors import StoreError

CLOCK = VirtualClock()
NOBODY = process_name(1 << 30)  # no process has this number


def started(call, trunk=None):
    return _event(
        CallStarted(call_id=call, direction="in", caller="***5678", customer=None, called="1", flow="f", trunk=trunk)
    )


def answered(call):
    return _event(CallAnswered(call_id=call, set_up_ms=1))


def asked(call):
    return _event(StepEntered(call_id=call, flow="f", step="ask", kind="ask", says="?"))


def ended(call):
    return _event(CallEnded(call_id=call, cause="caller", sip_code=200, reason="", duration_ms=1, talk_ms=1))


def leg_ended(call):
    now = CLOCK.now().isoformat()
    facts = {"role": "caller", "direction": "in", "trunk": None, "agent": None, "far_end": "***"}
    facts |= {"began_at": now, "answered_at": None, "ended_at": now, "request_delay_ms": None, "talk_ms": 0}
    facts |= {"disconnect_delay_ms": None, "cause": "caller", "sip_code": 200, "q850": None}
    return _event(LegEnded(call_id=call, **facts))


def _event(data, conversation=None):
    conversation = conversation or f"of-{data.call_id}"
    return StampedEvent(id=new_id(CLOCK), time=CLOCK.now(), conversation=conversation, type=data.type, data=data)


class Control:
    """One after another on the same database, as after a restart."""

    def __init__(self, database, lease=None):
        self.database, self.lease = database, lease
        self.store = Store(database, "seoul")
        self.orphans = Orphans(self, CLOCK)
        self.told = []  # what it told itself
        self.failures = 0

    async def silent_nodes(self, for_s):
        return await self.lease.silent(for_s)

    def check_node(self):
        if self.lease:
            self.lease.check()

    async def ingest(self, events):
        if self.failures:
            self.failures -= 1
            raise StoreError("full")
        await self.store.ingest(events)
        self.told += [
            event for event in events if event.type == "voiceedge.call.ended" and event.data.cause == "failed"
        ]

    @property
    def ends(self):
        return [(event.conversation, event.data.reason) for event in self.told]

    async def look(self, times=2, every_s=LOOK_S):
        """Time passes, and the database's thread comes to what it was asked meanwhile."""
        for _ in range(times):
            await CLOCK.advance(every_s)
            for _ in range(4):
                await self.store.conversation("none")

    async def has_told(self, count, every_s=LOOK_S):
        async with asyncio.timeout(20):
            while len(self.told) < count:
                await self.look(1)
                await asyncio.sleep(0)


@pytest.fixture
def worker():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
async def database(tmp_path):
    database = Database(Sqlite(tmp_path / FILE))
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def new_control(database):
    tasks = []

    def new():
        control = Control(database)
        tasks.append(asyncio.create_task(control.orphans.watch_forever()))
        return control

    yield new
    for task in tasks:
        task.cancel()


@pytest.fixture
async def control(new_control):
    return new_control()


async def legs_of(database):
    async with database.begin() as connection:
        rows = await connection.execute(select(tables.legs.c.conversation_id, tables.legs.c.record))
        return {name: LegEnded.model_validate_json(record) for name, record in rows}


def kill(worker):
    worker.kill()
    worker.wait()


async def test_a_killed_workers_calls_are_ended_once_and_those_it_had_ended_are_not(control, worker):
    await control.orphans.ingest(process_name(worker.pid), [started("one"), started("two"), ended("one")])
    await control.look(5)
    assert control.ends == []
    kill(worker)
    control.failures = 1  # tried again
    await control.has_told(1)
    await control.look()
    assert control.ends == [("of-two", GONE)]
    assert control.told[0].data.duration_ms >= 10_000
    assert await calls_up.of_this_node(control.database) == []


async def test_a_control_that_was_restarted_knows_of_calls_that_began_before(control, new_control, worker):
    await control.orphans.ingest(process_name(worker.pid), [started("old"), started("over"), answered("old")])
    again = new_control()
    await again.look()
    await again.orphans.ingest(process_name(worker.pid), [ended("over")])
    kill(worker)
    await again.has_told(1)
    assert [name for name, _ in again.ends] == ["of-old"]


async def test_after_a_power_cut_the_calls_have_ended_when_last_was_heard_of_them(database, new_control):
    began, before = CLOCK.now(), Control(database)
    await before.orphans.ingest(NOBODY, [started("cut"), answered("cut")])
    await CLOCK.advance(30)
    await before.orphans.ingest(NOBODY, [asked("cut")])
    await CLOCK.advance(7200)
    again = new_control()
    await again.has_told(1)
    assert again.ends == [("of-cut", GONE)]
    assert again.told[0].time == pytest.approx(began + timedelta(seconds=30), abs=timedelta(milliseconds=1))
    assert again.told[0].data.talk_ms == pytest.approx(30_000, abs=1)
    record = await again.store.conversation("of-cut")
    assert record.ended_at == again.told[0].time


async def test_a_start_that_cannot_read_what_was_up_tries_again(database, new_control):
    await Control(database).orphans.ingest(NOBODY, [started("cut")])
    control = new_control()
    control.failures = 2
    await control.has_told(1)
    assert [name for name, _ in control.ends] == ["of-cut"]


async def test_the_leg_of_a_killed_workers_call_has_a_record(control, database, worker):
    began = CLOCK.now()
    await control.orphans.ingest(process_name(worker.pid), [started("rang"), started("talked", "carrier")])
    await CLOCK.advance(5)
    await control.orphans.ingest(process_name(worker.pid), [answered("talked")])
    await control.look(5)
    kill(worker)
    await control.has_told(2)
    legs = await legs_of(database)
    rang, talked = legs["of-rang"], legs["of-talked"]
    assert (rang.role, rang.direction, rang.cause, rang.sip_code) == ("caller", "in", "failed", 500)
    assert (rang.began_at, rang.answered_at, rang.talk_ms) == (began.isoformat(), None, 0)
    assert (talked.trunk, talked.far_end) == ("carrier", "***5678")
    assert 10_000 <= talked.talk_ms < 15_000


async def test_a_leg_whose_record_was_sent_in_time_has_no_second_one(control, database, worker):
    await control.orphans.ingest(process_name(worker.pid), [started("one"), started("two")])
    await control.orphans.ingest(process_name(worker.pid), [leg_ended("one")])
    kill(worker)
    await control.has_told(2)
    assert sorted(name for name, _ in control.ends) == ["of-one", "of-two"]
    legs = await legs_of(database)
    assert {name: leg.cause for name, leg in legs.items()} == {"of-one": "caller", "of-two": "failed"}


async def test_a_call_that_went_on_with_an_earlier_conversation_ended_when_that_was_last_heard_of(
    database, new_control
):
    before = Control(database)
    await before.orphans.ingest(NOBODY, [started("cut"), _event(NoteAdded(by="kim", text="", to=None), "earlier")])
    await before.store.join(visit="of-cut", into="earlier")
    await CLOCK.advance(5)
    await before.orphans.ingest(NOBODY, [answered("cut")])
    await CLOCK.advance(30)
    await before.orphans.ingest(NOBODY, [asked("cut")])
    control = new_control()
    await control.has_told(1)
    assert control.told[0].data.talk_ms == pytest.approx(30_000, abs=1)


async def test_what_was_kept_of_a_worker_that_died_before_it_was_answered_is_ended_too(control, worker):
    ingest = control.ingest

    async def cut_off(events):
        await ingest(events)
        raise asyncio.CancelledError

    control.ingest = cut_off
    with pytest.raises(asyncio.CancelledError):
        await control.orphans.ingest(process_name(worker.pid), [started("one")])
    control.ingest = ingest
    kill(worker)
    await control.has_told(1)
    assert control.ends == [("of-one", GONE)]


async def test_a_call_has_ended_when_its_worker_died_however_late_it_can_be_told(control, worker):
    await control.orphans.ingest(process_name(worker.pid), [started("one")])
    await control.look()
    kill(worker)
    died = CLOCK.now()
    control.failures = 50
    await control.has_told(1)
    assert CLOCK.now() > died + timedelta(seconds=50 * LOOK_S)
    assert control.told[0].time <= died + timedelta(seconds=2 * LOOK_S)


@pytest.fixture
async def nodes(postgres):
    """Each is its database and its lease."""
    name = postgres.new_database()
    opened = []

    async def new(node, machine=""):
        database = Database(Postgres(postgres.url(name), postgres.password_file, node))
        await database.open()
        opened.append(database)
        return database, Lease(database, CLOCK, machine=machine or node, keys=str)

    yield new
    for database in opened:
        await database.close()


async def test_of_a_node_that_is_gone_another_tells_once_when_all_had_the_time_to_come_back(nodes):
    here, there, third = [await nodes(name) for name in ("here", "there", "third")]
    for _, lease in (here, there, third):
        await lease.renew()
    living = process_name(os.getpid())
    await Control(*there).orphans.ingest(NOBODY, [started("far")])
    await Control(*there).orphans.ingest(living, [started("renamed")])  # of this machine, under another name
    others = [Control(*here), Control(*third)]
    watching = [asyncio.create_task(other.orphans.watch_nodes_forever()) for other in others]
    async with here[0].begin() as connection:
        silent = update(tables.nodes).where(tables.nodes.c.name == "there")
        await connection.execute(silent.values(seen_at_ms=tables.nodes.c.seen_at_ms - int(LOST_S * 1000)))
    await others[0].look(2, NODES_LOOK_S)
    assert [other.ends for other in others] == [[], []]  # as after a minute without the database
    for _ in range(int(LOST_S / LEASE_S) + 10):
        await CLOCK.advance(LEASE_S - 1)
        for _, lease in (here, third):
            await lease.renew()
    async with asyncio.timeout(20):
        while not others[0].told + others[1].told:
            await others[0].look(1, LEASE_S / 2)
            for _, lease in (here, third):
                await lease.renew()
    await others[1].look(2, LEASE_S / 2)
    async with here[0].begin() as connection:
        of_far = tables.outbox.c.conversation_id == "of-far"
        events = (await connection.execute(select(func.count()).select_from(tables.outbox).where(of_far))).scalar_one()
    assert events == len(["call.started", "leg.ended", "call.ended"])
    assert set(others[0].ends + others[1].ends) == {("of-far", "the node of this call is gone")}
    for task in watching:
        task.cancel()


async def test_a_machine_that_took_anothers_name_ends_none_of_its_calls(nodes):
    first, second = await nodes("node-1", "one"), await nodes("node-1", "two")
    await first[1].renew()
    with pytest.raises(StoreError, match="another machine"):
        await second[1].renew()
    await Control(*first).orphans.ingest(NOBODY, [started("elsewhere")])
    intruder = Control(*second)
    watching = asyncio.create_task(intruder.orphans.watch_forever())
    await intruder.look(4)
    assert intruder.ends == []
    watching.cancel()
