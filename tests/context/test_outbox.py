import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import pytest
from making import CLOCK, step, until
from mosquitto import Mosquitto

from voiceedge.bus.client import Broker, Connection, connect
from voiceedge.config import Mqtt
from voiceedge.context.cloudevents import CloudEvent
from voiceedge.context.publishing.follow import Seen, follow
from voiceedge.context.publishing.outbox import SETTLE_S, Outbox
from voiceedge.context.storage.store import Store
from voiceedge.errors import StoreError

LONGER_S = 6.0  # than SETTLE_S: on some machines a broker stands still just as its subscribers come back


class Subscriber:
    """Follows the events as any channel would, and keeps what comes."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.events: list[CloudEvent] = []
        self.reports: list[str] = []
        self._seen = Seen()

    async def run(self) -> None:
        async for event in follow(self._broker, CLOCK, self.reports.append, seen=self._seen):
            self.events.append(event)

    async def has(self, condition: Callable[["Subscriber"], bool]) -> None:
        await until(lambda: condition(self))


@asynccontextmanager
async def running(*coroutines: object) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def outbox_to(store: Store, broker: Broker, settle_s: float = SETTLE_S) -> Outbox:
    def dial() -> AbstractAsyncContextManager[Connection]:
        return connect(broker, client_id="voiceedge-seoul")

    return Outbox(store, dial, CLOCK, site="seoul", keep=1_000_000, settle_s=settle_s)


async def test_events_reach_a_subscriber_and_leave_on_their_acknowledgement(mosquitto: Mosquitto, store: Store) -> None:
    broker = Broker.from_url(mosquitto.url, Mqtt())
    outbox, subscriber = outbox_to(store, broker), Subscriber(broker)
    async with running(subscriber.run()):
        await subscriber.has(lambda it: bool(it.reports))
        await store.ingest([step(number) for number in range(600)])
        async with running(outbox.run()):
            await subscriber.has(lambda it: len(it.events) == 600)
            assert await outbox.flushed(60)
    assert [int(event.sequence) for event in subscriber.events] == list(range(1, 601))
    assert await store.count_pending() == 0


@pytest.mark.slow
async def test_a_broker_killed_in_mid_stream_costs_no_event_no_order_and_no_second_copy(
    new_mosquitto: Callable[..., Mosquitto], store: Store
) -> None:
    mosquitto = new_mosquitto("allow_anonymous true\nmax_queued_messages 0")  # as docs/events.md says
    broker = Broker.from_url(mosquitto.url, Mqtt())
    outbox, subscriber = outbox_to(store, broker, LONGER_S), Subscriber(broker)
    total = 3_000

    async def calls() -> None:
        for first in range(0, total, 20):
            await store.ingest([step(number, f"c{number % 5}") for number in range(first, first + 20)])
            outbox.wake()
            await asyncio.sleep(0)

    async with running(subscriber.run(), outbox.run()):
        await subscriber.has(lambda it: bool(it.reports))
        writing = asyncio.create_task(calls())
        for times in (1, 2):  # twice, and once more while what was missed is still on its way
            await subscriber.has(lambda it, times=times: len(it.events) > times * 500)
            mosquitto.kill()
            await asyncio.sleep(0.5)
            mosquitto.start()
        await writing
        await subscriber.has(lambda it: len(it.events) >= total)
        assert await outbox.flushed(60)
    keys = [(event.source, event.id) for event in subscriber.events]
    assert len(keys) == len(set(keys)) == total
    for conversation in range(5):
        sequences = [int(event.sequence) for event in subscriber.events if event.subject == f"c{conversation}"]
        assert sequences == list(range(1, total // 5 + 1))
    assert outbox.state.problem is None


async def test_a_broker_that_remembers_us_but_not_the_latest_events_gets_them_again(
    new_mosquitto: Callable[..., Mosquitto], store: Store, tmp_path: Path
) -> None:
    mosquitto = new_mosquitto(f"allow_anonymous true\npersistence true\npersistence_location {tmp_path}/")
    broker = Broker.from_url(mosquitto.url, Mqtt())
    outbox, subscriber = outbox_to(store, broker, LONGER_S), Subscriber(broker)
    async with running(outbox.run()):
        async with running(subscriber.run()):
            await subscriber.has(lambda it: bool(it.reports))
            await store.ingest([step(number) for number in range(100)])
            outbox.wake()
            await subscriber.has(lambda it: len(it.events) == 100)
            mosquitto.signal(signal.SIGUSR1)  # it writes down what it knows, our session too
            await until((tmp_path / "mosquitto.db").exists)
        mosquitto.kill()
        await store.ingest([step(number) for number in range(100, 200)])
        outbox.wake()
        mosquitto.start()
        await asyncio.sleep(1)  # that is how long a subscriber may take to be back
        async with running(subscriber.run()):
            await subscriber.has(lambda it: len(it.events) == 200)
    assert [int(event.sequence) for event in subscriber.events] == list(range(1, 201))


async def test_a_broker_that_was_only_out_of_reach_gets_nothing_twice(mosquitto: Mosquitto, store: Store) -> None:
    broker = Broker.from_url(mosquitto.url, Mqtt())
    subscriber = Subscriber(broker)
    raw, counting = 0, asyncio.Event()

    async def count() -> None:
        nonlocal raw
        async with connect(broker) as connection:
            await connection.subscribe("voiceedge/seoul/v1/events/#")
            counting.set()
            async for _ in connection.messages():
                raw += 1

    async with running(subscriber.run(), count()):
        await subscriber.has(lambda it: bool(it.reports) and counting.is_set())
        for round_ in range(3):
            outbox = outbox_to(store, broker)  # as after a restart of control
            await store.ingest([step(number) for number in range(round_ * 100, round_ * 100 + 100)])
            async with running(outbox.run()):
                await subscriber.has(lambda it, round_=round_: len(it.events) == 100 * (round_ + 1))
                assert await outbox.flushed(60)
        await until(lambda: raw >= 300)
    assert [int(event.sequence) for event in subscriber.events] == list(range(1, 301))
    assert raw == 300


async def test_a_broker_that_stands_still_holds_events_and_then_gets_them(mosquitto: Mosquitto, store: Store) -> None:
    broker = Broker.from_url(mosquitto.url, Mqtt())
    outbox, subscriber = outbox_to(store, broker), Subscriber(broker)
    async with running(subscriber.run(), outbox.run()):
        await subscriber.has(lambda it: bool(it.reports))
        mosquitto.signal(signal.SIGSTOP)
        await store.ingest([step(number) for number in range(50)])
        outbox.wake()
        assert not await outbox.flushed(0.3)
        assert await store.count_pending() == 50
        mosquitto.signal(signal.SIGCONT)
        await subscriber.has(lambda it: len(it.events) == 50)
        assert await outbox.flushed(60)


async def test_a_disk_that_refuses_the_mark_does_not_make_events_go_out_twice(
    mosquitto: Mosquitto, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Broker.from_url(mosquitto.url, Mqtt())
    outbox, subscriber = outbox_to(store, broker), Subscriber(broker)
    mark, refusals = store.mark_published, iter([True, True, True])

    async def refuse_three_times(*arguments: object) -> None:
        if next(refusals, False):
            raise StoreError("the disk is full")
        await mark(*arguments)

    monkeypatch.setattr(store, "mark_published", refuse_three_times)
    await store.ingest([step(number) for number in range(50)])
    async with running(subscriber.run()):
        await subscriber.has(lambda it: bool(it.reports))
        async with running(outbox.run()):
            await subscriber.has(lambda it: len(it.events) == 50)
            assert await outbox.flushed(60)
            assert outbox.state.published == 50
            assert outbox.state.problem is None


@pytest.fixture
def wrong_password(new_mosquitto: Callable[..., Mosquitto], tmp_path: Path) -> Iterator[Mqtt]:
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    mosquitto = new_mosquitto(f"allow_anonymous false\npassword_file {passwords}")
    (tmp_path / "password").write_text("wrong-battery")
    return Mqtt(url=mosquitto.url, username="edge", password_file=tmp_path / "password")


async def test_a_wrong_password_makes_events_wait_and_says_why(wrong_password: Mqtt, store: Store) -> None:
    outbox = outbox_to(store, Broker.from_url(str(wrong_password.url), wrong_password))
    await store.ingest([step(1)])
    async with running(outbox.run()):
        await until(lambda: "mqtt.password_file" in str(outbox.state.problem))
    assert not outbox.state.connected
    assert await store.count_pending() == 1
