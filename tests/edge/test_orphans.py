"""Calls whose worker was killed end for all who follow them, once."""

import asyncio
import subprocess

import pytest

from voiceedge.clock import VirtualClock
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import CallAnswered, CallEnded, CallStarted, LegEnded
from voiceedge.context.storage.legs import summary
from voiceedge.edge.rooms.orphans import LOOK_S, Orphans
from voiceedge.errors import StoreError

CLOCK = VirtualClock()
PICTURE = {"direction": "in", "caller": "***5678", "trunk": "carrier", "answered": True}


def started(call):
    return _event(
        CallStarted(call_id=call, direction="in", caller="***", customer=None, called="1000", flow="f", trunk=None)
    )


def ended(call):
    return _event(CallEnded(call_id=call, cause="caller", sip_code=200, reason="", duration_ms=1, talk_ms=1))


def _event(data):
    return StampedEvent(
        id=new_id(CLOCK), time=CLOCK.now(), conversation=f"of-{data.call_id}", type=data.type, data=data
    )


class Store:
    def __init__(self):
        self.events, self.failures = [], 0

    async def ingest(self, events):
        if self.failures:
            self.failures -= 1
            raise StoreError("full")
        self.events += events

    @property
    def told(self):
        of = [event for event in self.events if isinstance(event.data, CallEnded)]
        return [(event.conversation, event.data.cause, event.data.duration_ms) for event in of]

    @property
    def legs(self):
        return {event.conversation: event.data for event in self.events if isinstance(event.data, LegEnded)}


@pytest.fixture
def worker():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
async def watched():
    store = Store()
    orphans = Orphans(store.ingest, CLOCK)
    watching = asyncio.create_task(orphans.watch_forever())
    yield orphans, store
    watching.cancel()


def kill(worker):
    worker.kill()
    worker.wait()


async def test_a_killed_workers_calls_are_ended_once_and_those_it_had_ended_are_not(watched, worker):
    orphans, store = watched
    orphans.note(worker.pid, [], [started("one"), started("two"), ended("one")])
    await CLOCK.advance(10)
    assert store.told == []
    kill(worker)
    store.failures = 1  # tried again
    await CLOCK.advance(3 * LOOK_S)
    assert [told[:2] for told in store.told] == [("of-two", "failed")]
    assert store.told[0][2] >= 10_000


async def test_a_control_that_was_restarted_learns_of_calls_that_began_before(watched, worker):
    orphans, store = watched
    up = [{"conversation": "of-old", "call_id": "old", "seconds": 60.0, **PICTURE}]
    orphans.note(worker.pid, up, [started("new")])
    orphans.note(worker.pid, up, [ended("old")])
    kill(worker)
    await CLOCK.advance(2 * LOOK_S)
    assert [told[0] for told in store.told] == ["of-new"]


async def test_the_leg_of_a_killed_workers_call_has_a_record_that_counts(watched, worker):
    orphans, store = watched
    up = [{"conversation": "of-old", "call_id": "old", "seconds": 60.0, **PICTURE}]
    began = CLOCK.now()
    orphans.note(worker.pid, up, [started("rang"), started("talked"), started("over")])
    await CLOCK.advance(5)
    orphans.note(worker.pid, up, [_event(CallAnswered(call_id="talked", set_up_ms=1))])
    await CLOCK.advance(10)
    kill(worker)
    await CLOCK.advance(2 * LOOK_S)
    rang, talked, old = (store.legs[name] for name in ("of-rang", "of-talked", "of-old"))
    assert (rang.role, rang.direction, rang.cause, rang.sip_code, rang.far_end) == (
        "caller",
        "in",
        "failed",
        500,
        "***",
    )
    assert (rang.began_at, rang.answered_at, rang.talk_ms) == (began.isoformat(), None, 0)
    assert 10_000 <= talked.talk_ms < 15_000
    assert (old.trunk, old.far_end, old.talk_ms >= 70_000) == ("carrier", "***5678", True)
    told = summary(store.legs.values())
    assert (told.legs, told.answered) == (4, 2)


async def test_a_leg_whose_record_was_sent_in_time_has_no_second_one(watched, worker):
    orphans, store = watched
    orphans.note(worker.pid, [], [started("one")])
    kill(worker)
    await CLOCK.advance(2 * LOOK_S)
    orphans.note(1 << 30, [], [started("two"), _event(store.legs["of-one"].model_copy(update={"call_id": "two"}))])
    await CLOCK.advance(2 * LOOK_S)
    assert (sorted(store.legs), [told[0] for told in store.told]) == (["of-one"], ["of-one", "of-two"])
