import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress

from making import one_of_each
from structlog.testing import capture_logs

from voiceedge.clock import VirtualClock
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.call import StepEntered
from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.context.publishing.journal import BATCH, Outgoing, QueueJournal
from voiceedge.context.record import Slot
from voiceedge.errors import LinkError, StoreError


def step(number: int) -> StepEntered:
    return StepEntered(call_id="c", flow="f", step=str(number), kind="say")


class Control:
    """The other end of the link: it keeps events by id, and fails as it is told."""

    def __init__(self) -> None:
        self.kept: dict[str, StampedEvent] = {}
        self.fails: Callable[[Sequence[StampedEvent]], Exception | None] = lambda _batch: None
        self.crashes_after_keeping = False

    async def __call__(self, batch: Sequence[StampedEvent]) -> None:
        await asyncio.sleep(0)
        trouble = self.fails(batch)
        if trouble is None or self.crashes_after_keeping:
            for event in batch:
                copy = StampedEvent.model_validate_json(event.model_dump_json())  # over the link
                self.kept.setdefault(copy.id, copy)
        if trouble:
            raise trouble

    @property
    def steps(self) -> list[str]:
        return [event.data.step for event in self.kept.values() if isinstance(event.data, StepEntered)]


@asynccontextmanager
async def draining(outgoing: Outgoing, send: Callable[..., Coroutine[None, None, None]]) -> AsyncIterator[None]:
    task = asyncio.create_task(outgoing.drain(send))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_events_arrive_as_they_were_recorded() -> None:
    clock, control = VirtualClock(), Control()
    outgoing = Outgoing(clock)
    journal = QueueJournal(outgoing, "conversation-1", clock)
    async with draining(outgoing, control):
        for data in one_of_each():
            journal.record(data, {"slots": {"order": Slot(value="7", personal_data=PersonalDataClass.PERSONAL)}})
        assert await outgoing.flushed(1)
    assert [event.data for event in control.kept.values()] == one_of_each()
    assert {event.time for event in control.kept.values()} == {clock.now()}
    assert {event.changes.slots["order"].value for event in control.kept.values()} == {"7"}


async def test_what_is_not_acknowledged_comes_again_in_order_and_by_the_same_id() -> None:
    clock, control = VirtualClock(), Control()
    outgoing = Outgoing(clock)
    journal = QueueJournal(outgoing, "c", clock)
    chance = random.Random(7)
    control.fails = lambda _batch: chance.choice([None, LinkError("away"), StoreError("full"), TimeoutError()])
    control.crashes_after_keeping = True  # control dies between its commit and its answer
    async with draining(outgoing, control):
        for number in range(3 * BATCH):
            journal.record(step(number))
            if number % 100 == 0:
                await clock.advance(1)
        for _ in range(60):
            await clock.advance(5)
    assert len(outgoing) == 0
    assert control.steps == [str(number) for number in range(3 * BATCH)]
    assert outgoing.lost == 0


async def test_a_control_process_that_hangs_is_asked_again() -> None:
    clock, control = VirtualClock(), Control()
    outgoing = Outgoing(clock)
    QueueJournal(outgoing, "c", clock).record(step(1))
    hung = True

    async def send(batch: Sequence[StampedEvent]) -> None:
        if hung:
            await asyncio.get_running_loop().create_future()
        await control(batch)

    async with draining(outgoing, send):
        await clock.advance(20)
        assert control.steps == []
        hung = False
        await clock.advance(60)
    assert control.steps == ["1"]


async def test_one_event_that_is_refused_for_good_does_not_hold_up_the_others() -> None:
    class RefusedError(LinkError):
        can_retry = False

    clock, control = VirtualClock(), Control()
    outgoing = Outgoing(clock)
    journal = QueueJournal(outgoing, "c", clock)
    for trouble in (RefusedError("no"), ValueError("cannot be written")):
        control.kept.clear()
        control.fails = lambda batch, trouble=trouble: trouble if any(e.data == step(5) for e in batch) else None
        for number in range(10):
            journal.record(step(number))
        async with draining(outgoing, control):
            await clock.advance(10)
        assert control.steps == [str(number) for number in range(10) if number != 5]
    assert outgoing.lost == 2


async def test_full_memory_keeps_what_came_first_and_counts_the_rest() -> None:
    clock, control = VirtualClock(), Control()
    outgoing = Outgoing(clock, limit=10)
    journal = QueueJournal(outgoing, "c", clock)
    for number in range(15):
        journal.record(step(number))
    assert outgoing.lost == 5
    async with draining(outgoing, control):
        assert await outgoing.flushed(1)
    assert control.steps == [str(number) for number in range(10)]


async def test_wrong_changes_are_left_out_and_the_event_is_kept() -> None:
    clock, control = VirtualClock(), Control()
    outgoing = Outgoing(clock)
    journal = QueueJournal(outgoing, "c", clock)
    journal.record(step(1), {"no such field": 1})
    journal.record(step(2), {"slots": {"a": object()}})
    async with draining(outgoing, control):
        assert await outgoing.flushed(1)
    assert control.steps == ["1", "2"]


async def test_a_flush_gives_up_at_its_deadline() -> None:
    clock = VirtualClock()
    outgoing = Outgoing(clock)
    QueueJournal(outgoing, "c", clock).record(step(1))
    flushing = asyncio.create_task(outgoing.flushed(2))
    await clock.advance(2)
    assert await flushing is False


def test_the_log_tells_a_calls_story_and_not_each_step() -> None:
    clock = VirtualClock()
    journal = QueueJournal(Outgoing(clock), "conversation-1", clock)
    with capture_logs() as lines:
        for data in one_of_each():
            journal.record(data)
    told = [line["event"] for line in lines]
    assert told == [event for event in told if event.startswith(("call.", "bridge.", "voicemail."))]
    assert {"call.started", "call.answered", "call.ended"} <= set(told)
    assert all(line["conversation"] == "conversation-1" for line in lines)
