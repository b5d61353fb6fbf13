import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from making import CLOCK, one_of_each, stamped, step, until
from ports import held_tcp_port

from voiceedge.bus.client import Broker, connect
from voiceedge.config import Config, Mqtt, Site
from voiceedge.context.cloudevents import CloudEvent, StampedEvent
from voiceedge.context.events.call import HandedOver
from voiceedge.context.events.digital import ConversationContinued
from voiceedge.context.publishing.follow import follow
from voiceedge.context.publishing.journal import Outgoing, QueueJournal
from voiceedge.context.record import Slot
from voiceedge.context.resuming.tokens import Refusal, TokenRefusedError
from voiceedge.context.service import ContextService, broker_url_file
from voiceedge.context.storage.database import FILE, Database
from voiceedge.context.storage.store import Store
from voiceedge.errors import ConfigError, StoreError

LONGER_S = 8.0  # than subscribers are given to be back: on some machines all stands still just then


@pytest.fixture
def config(tmp_path: Path) -> Config:
    site = Site(name="seoul", data_dir=tmp_path / "data", run_dir=tmp_path / "run")
    return Config(site=site, mqtt=Mqtt(embedded_port=0))


async def broker_of(service: ContextService) -> Broker:
    await until(lambda: service.outbox.connected)
    return Broker.from_url(str(service.broker_url), Mqtt())


@asynccontextmanager
async def following(broker: Broker) -> AsyncIterator[list[CloudEvent]]:
    events: list[CloudEvent] = []
    ready = asyncio.Event()

    async def run() -> None:
        async for event in follow(broker, CLOCK, lambda report: ready.set() if "connected" in report else None):
            events.append(event)  # noqa: PERF401 - they are looked at while they come

    task = asyncio.create_task(run())
    await ready.wait()
    try:
        yield events
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_call_is_remembered_published_and_resumed(config: Config) -> None:
    async with ContextService(config, CLOCK) as service, following(await broker_of(service)) as events:
        outgoing = Outgoing(CLOCK)
        draining = asyncio.create_task(outgoing.drain(service.ingest))
        journal = QueueJournal(outgoing, "conversation-1", CLOCK)
        started, *others = one_of_each()
        journal.record(started, {"slots": {"order": Slot(value="12345678")}, "intent": "delivery"})
        token = (await service.continuing.issue("conversation-1", "web-chat")).token
        for data in others:
            journal.record(data)
        await until(lambda: len(events) >= len(others) + 1)
        assert await outgoing.flushed(60)
        draining.cancel()
        with pytest.raises(TokenRefusedError) as caught:
            await service.redeem_token(token, "sms")
        assert caught.value.reason is Refusal.FOREIGN_CHANNEL
        record = await service.redeem_token(token, "web-chat")
        await until(lambda: len(events) >= len(others) + 2)
        assert await service._outbox.flushed(60)
        health = await service.health()
    assert record.slots["order"].value == "12345678"
    assert [event.type for event in events] == [*(data.type for data in one_of_each()), ConversationContinued.type]
    assert (health.pending, health.problem, health.published) == (0, None, len(events))


async def test_a_caller_whom_the_network_vouches_for_is_a_customer(config: Config) -> None:
    async with ContextService(config, CLOCK) as service:
        call = one_of_each()[0]
        batch = [stamped(call, "a", number="010-1234-5678"), stamped(call, "b"), stamped(call, "c", number="anonymous")]
        await service.ingest(batch)
        await service.ingest(batch)  # as after an answer that was lost
        known = [await service.conversation(name) for name in "abc"]
        assert [one.customer_id is not None for one in known if one] == [True, False, False]
        (customer,) = await service.customers.find("main", "phone", "01012345678")
        assert customer.identities[0].source == "network"


async def test_what_was_kept_for_somebody_who_did_not_wait_is_published(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ContextService(config, CLOCK) as service, following(await broker_of(service)) as events:
        monkeypatch.setattr(service._store, "listeners", [])

        async def kept_and_left(batch: Sequence[StampedEvent]) -> int:
            await type(service._store).ingest(service._store, batch)
            raise asyncio.CancelledError

        monkeypatch.setattr(service._store, "ingest", kept_and_left)
        with pytest.raises(asyncio.CancelledError):
            await service._keep([step(0)])
        await until(lambda: len(events) == 1)


async def test_what_a_killed_process_left_unpublished_waits_for_subscribers(config: Config) -> None:
    database = Database.of(config)
    await database.open()
    await Store(database, config.site.name).ingest([step(number) for number in range(3)])
    await database.close()
    service = ContextService(config, CLOCK)
    service._outbox._settle_s = LONGER_S
    async with service:
        broker = await broker_of(service)
        with suppress(TimeoutError):  # subscribers take their time to come back
            await until(lambda: service.outbox.published, 1)
        async with following(broker) as events:
            await until(lambda: len(events) == 3)


async def test_a_stop_lets_the_last_events_out(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voiceedge.context.service.FLUSH_S", 60)  # on a machine as slow as it likes
    monkeypatch.setattr("voiceedge.bus.broker.DELIVER_S", 60)
    service = ContextService(config, CLOCK)
    await service.start()
    async with following(await broker_of(service)) as events:
        await service.ingest([step(number) for number in range(300)])
        await service.stop()
        assert not broker_url_file(config).exists()
        await until(lambda: len(events) == 300)  # they are on their way already, no process brings them any more


CONTROL = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from making import CLOCK
from voiceedge.config import Config, Mqtt, Site
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.service import ContextService

async def main():
    site = Site(name="seoul", data_dir=Path(sys.argv[2]) / "data", run_dir=Path(sys.argv[2]) / "run")
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    service = ContextService(Config(site=site, mqtt=Mqtt(embedded_port=int(sys.argv[3]))), CLOCK)
    service._outbox._settle_s = float(sys.argv[4])
    async with service:
        while line := await reader.readline():
            await service.ingest([StampedEvent.model_validate_json(item) for item in line.split(b"\\t")])
            print("kept", flush=True)

asyncio.run(main())
"""


class ControlProcess:
    """A control process in its own right, which can be killed between its commit and its answer."""

    def __init__(self, directory: Path, port: int) -> None:
        self._directory, self._port = directory, port

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CONTROL, str(Path(__file__).parent), str(self._directory), str(self._port),
            str(LONGER_S),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def send(self, batch: Sequence[StampedEvent]) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(b"\t".join(event.model_dump_json().encode() for event in batch) + b"\n")
        try:
            await self.process.stdin.drain()
            while (line := await self.process.stdout.readline()) and line != b"kept\n":
                pass  # its log
        except ConnectionError:
            line = b""
        if not line:
            raise StoreError("control is gone")

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@pytest.mark.slow
async def test_a_control_process_killed_with_its_broker_costs_no_event_and_no_order(tmp_path: Path) -> None:
    port = held_tcp_port()
    broker = Broker.from_url(f"mqtt://127.0.0.1:{port}", Mqtt())
    control = ControlProcess(tmp_path, port)
    await control.start()
    outgoing = Outgoing(CLOCK)
    journal = QueueJournal(outgoing, "c", CLOCK)

    async def send(batch: Sequence[StampedEvent]) -> None:
        await control.send(batch)

    async with following(broker) as events:
        draining = asyncio.create_task(outgoing.drain(send))
        for number in range(300):
            journal.record(one_of_each()[number % 12])
        await until(lambda: len(events) >= 100)
        for number in range(300, 600):
            journal.record(one_of_each()[number % 12])
        await control.kill()  # wherever it is just now: before, in or after its commit
        await control.start()
        await until(lambda: len(events) >= 600)
        assert await outgoing.flushed(60)
        draining.cancel()
        await control.kill()
    assert [int(event.sequence) for event in events] == list(range(1, 601))
    with sqlite3.connect(tmp_path / "data" / FILE) as database:
        assert database.execute("SELECT count(*), count(DISTINCT event_id) FROM outbox").fetchone() == (600, 600)


async def test_an_acknowledgement_that_was_lost_makes_no_second_event(config: Config) -> None:
    async with ContextService(config, CLOCK) as service, following(await broker_of(service)) as events:
        batch = [stamped(data) for data in one_of_each()]
        await service.ingest(batch)
        await service.ingest(batch)  # the worker never heard that the first was kept
        await service.ingest([step(1)])
        await until(lambda: len(events) >= len(batch) + 1)
        record = await service.conversation("conversation-1")
    assert [int(event.sequence) for event in events] == list(range(1, len(batch) + 2))
    assert record
    assert len(record.turns) == 3


async def test_the_embedded_broker_can_be_told_to_others_from_the_start(config: Config) -> None:
    async with ContextService(config, CLOCK) as service:
        assert service.broker_url
        assert broker_url_file(config).read_text() == service.broker_url


async def test_without_its_port_the_embedded_broker_is_tried_again(tmp_path: Path) -> None:
    other = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    site = Site(data_dir=tmp_path / "data", run_dir=tmp_path / "run")
    config = Config(site=site, mqtt=Mqtt(embedded_port=other.sockets[0].getsockname()[1]))
    async with ContextService(config, CLOCK) as service:
        await service.ingest([step(1)])  # a call goes on
        await until(lambda: "mqtt.embedded_port" in str(service.outbox.problem))
        assert (await service.health()).pending == 1
        other.close()
        await other.wait_closed()
        await until(lambda: service.outbox.connected)


async def test_a_database_that_cannot_be_used_is_told_at_the_start(config: Config) -> None:
    config.site.data_dir.mkdir(parents=True)
    (config.site.data_dir / FILE).write_bytes(b"x" * 4096)
    with pytest.raises(StoreError, match="backup"):
        await ContextService(config, CLOCK).start()


def test_a_wrong_broker_address_is_told_before_the_start(tmp_path: Path) -> None:
    with pytest.raises((ConfigError, ValueError), match="mqtt"):
        ContextService(Config(mqtt=Mqtt(url="http://broker")), CLOCK)


@pytest.mark.slow
async def test_status_tells_of_a_sudden_end(tmp_path: Path, unused_tcp_port: int, config: Config) -> None:
    from mosquitto import Mosquitto  # noqa: PLC0415 - only here beside the embedded one

    del unused_tcp_port
    mosquitto = Mosquitto(tmp_path)
    mosquitto.start()
    code = CONTROL.replace("Mqtt(embedded_port=int(sys.argv[3]))", "Mqtt(url=sys.argv[3])")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path), mosquitto.url, "0",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    states = []
    async with connect(Broker.from_url(mosquitto.url, Mqtt())) as connection:
        await connection.subscribe("voiceedge/seoul/v1/status")
        async with asyncio.timeout(100):
            async for message in connection.messages():
                states.append(json.loads(message.payload)["state"])
                if len(states) == 1:
                    process.kill()
                    await process.wait()
                else:
                    break
    mosquitto.kill()
    assert states == ["online", "offline"]


async def test_a_hand_over_carries_the_token_and_no_log_or_record_does(config: Config) -> None:
    async with ContextService(config, CLOCK) as service:
        token = (await service.continuing.issue("c", "web-chat", expires_s=60)).token
        handed = HandedOver(
            call_id="1", channel="web-chat", reason="r", token=token, expires_at="x", intent=None, slots={}
        )  # fmt: skip
        await service.ingest([stamped(handed, "c")])
        record = await service.conversation("c")
        assert record
        assert handed.token == token
        assert token not in record.model_dump_json()
