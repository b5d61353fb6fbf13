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
from voiceedge.context.storage import calls_up, tables
from voiceedge.context.storage.database import FILE, Database
from voiceedge.context.storage.lease import Lease
from voiceedge.context.storage.postgres import Postgres
from voiceedge.context.storage.sqlite import Sqlite
from voiceedge.context.storage.store import Store
from voiceedge.edge.rooms.orphans import LOOK_S, NODES_LOOK_S, Orphans
from voiceedge.errors import StoreError

CLOCK = VirtualClock()
NOBODY = 1 << 30  # no process has this number


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


def _event(data):
    return StampedEvent(
        id=new_id(CLOCK), time=CLOCK.now(), conversation=f"of-{data.call_id}", type=data.type, data=data
    )


class Control:
    """One after another on the same database, as after a restart."""

    def __init__(self, database):
        self.store = Store(database, "seoul")
        self.orphans = Orphans(database, self._ingest, CLOCK)
        self.told = []  # what it told itself
        self.failures = 0

    async def _ingest(self, events):
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
    await control.orphans.ingest(worker.pid, [started("one"), started("two"), ended("one")])
    await control.look(5)
    assert control.ends == []
    kill(worker)
    control.failures = 1  # tried again
    await control.has_told(1)
    await control.look()
    assert control.ends == [("of-two", "the worker of this call is gone")]
    assert control.told[0].data.duration_ms >= 10_000
    assert await calls_up.of_this_node(control.store._database) == []


async def test_a_control_that_was_restarted_knows_of_calls_that_began_before(control, new_control, worker):
    await control.orphans.ingest(worker.pid, [started("old"), started("over"), answered("old")])
    again = new_control()
    await again.look()
    await again.orphans.ingest(worker.pid, [ended("over")])
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
    assert again.ends == [("of-cut", "the service was stopped during this call")]
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
    await control.orphans.ingest(worker.pid, [started("rang"), started("talked", "carrier")])
    await CLOCK.advance(5)
    await control.orphans.ingest(worker.pid, [answered("talked")])
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
    await control.orphans.ingest(worker.pid, [started("one"), started("two")])
    await control.orphans.ingest(worker.pid, [leg_ended("one")])
    kill(worker)
    await control.has_told(2)
    assert sorted(name for name, _ in control.ends) == ["of-one", "of-two"]
    legs = await legs_of(database)
    assert {name: leg.cause for name, leg in legs.items()} == {"of-one": "caller", "of-two": "failed"}


async def test_of_a_node_that_is_gone_another_tells_once(postgres):
    name = postgres.new_database()
    here, there, third = (
        Database(Postgres(postgres.url(name), postgres.password_file, node)) for node in ("here", "there", "third")
    )
    for database in (here, there, third):
        await database.open()
        await Lease(database, CLOCK, machine=database.node, keys=str).renew()
    await Control(there).orphans.ingest(os.getpid(), [started("far")])
    others = [Control(here), Control(third)]
    watching = [asyncio.create_task(other.orphans.watch_nodes_forever()) for other in others]
    await others[0].look(2, NODES_LOOK_S)
    assert [other.ends for other in others] == [[], []]  # it is at work
    async with here.begin() as connection:
        silent = update(tables.nodes).where(tables.nodes.c.name == "there")
        await connection.execute(silent.values(seen_at_ms=tables.nodes.c.seen_at_ms - int(calls_up.LOST_S * 1000)))
    async with asyncio.timeout(20):
        while not others[0].told + others[1].told:
            await others[0].look(1, NODES_LOOK_S)
    await others[1].look(2, NODES_LOOK_S)
    async with here.begin() as connection:
        of_far = tables.outbox.c.conversation_id == "of-far"
        events = (await connection.execute(select(func.count()).select_from(tables.outbox).where(of_far))).scalar_one()
    assert events == len(["call.started", "leg.ended", "call.ended"])
    assert ("of-far", "the node of this call is gone") in others[0].ends + others[1].ends
    for task in watching:
        task.cancel()
    for database in (here, there, third):
        await database.close()
