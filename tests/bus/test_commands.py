"""Commands by MQTT: read in order over losses of the broker, and answered."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiomqtt
import pytest
from mosquitto import Mosquitto

from voiceedge.bus import commands
from voiceedge.bus.client import Message
from voiceedge.bus.commands import LARGEST, follow, wish_of
from voiceedge.clock import RealClock, VirtualClock
from voiceedge.config import Config
from voiceedge.errors import BusError

TOPIC, ANSWER = "commands/add", "answers"


class Sums:
    """Adds what it is given, and answers with the sum and the question's number, where it has one."""

    def __init__(self) -> None:
        self.total = 0

    async def done(self, message: Message) -> Message | None:
        wish = wish_of(message)
        if wish is None:
            return None
        self.total += wish["add"]
        return Message(ANSWER, json.dumps([wish.get("number"), self.total]).encode())


@asynccontextmanager
async def followed(directory: Path, broker: Mosquitto, sums: Sums) -> AsyncIterator[None]:
    config = Config.model_validate({"site": {"name": "test", "data_dir": directory}, "mqtt": {"url": broker.url}})
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(150):
        following = tasks.create_task(
            follow(config, "sums", ["elsewhere", TOPIC], sums.done, lambda: broker.url, RealClock())
        )
        yield
        following.cancel()


async def told(answers: aiomqtt.Client, add: int, again: bool = True) -> int:
    """The answer to this, asked until somebody reads; whatever was asked before has been answered, or never will be."""
    number = 0
    while True:
        number += 1
        await answers.publish(TOPIC, json.dumps({"add": add, "number": number}), qos=1)
        with suppress(TimeoutError):
            async with asyncio.timeout(1 if again else 60):
                async for message in answers.messages:
                    answered, total = json.loads(bytes(message.payload))
                    if answered == number:
                        return total
        assert again, "nobody answered"


async def test_a_command_is_answered_and_rubbish_is_not(mosquitto: Mosquitto, tmp_path: Path) -> None:
    sums = Sums()
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client, followed(tmp_path, mosquitto, sums):
        await client.subscribe(ANSWER, qos=1)
        before = await told(client, 1)
        for rubbish in (b"", b"[1]", b"\xff", b"[" * 5_000, b'{"add": 5}'.ljust(LARGEST + 1)):
            await client.publish(TOPIC, rubbish, qos=1)
        assert await told(client, 2, again=False) == before + 2
    assert sums.total == before + 2


async def test_what_comes_while_we_are_away_is_done_when_we_are_back(mosquitto: Mosquitto, tmp_path: Path) -> None:
    sums = Sums()
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await client.subscribe(ANSWER, qos=1)
        async with followed(tmp_path, mosquitto, sums):
            before = await told(client, 1)
        for _ in range(3):
            await client.publish(TOPIC, b'{"add": 10}', qos=1)
        async with followed(tmp_path, mosquitto, sums), asyncio.timeout(60):
            answers = [json.loads(bytes(message.payload))[1] async for _, message in _first(client, 3)]
    assert answers == [before + 10, before + 20, before + 30]


async def test_a_broker_that_goes_and_comes_is_read_on(mosquitto: Mosquitto, tmp_path: Path) -> None:
    sums = Sums()
    async with followed(tmp_path, mosquitto, sums):
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.subscribe(ANSWER, qos=1)
            await told(client, 1)
            mosquitto.kill()
        mosquitto.start()
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.subscribe(ANSWER, qos=1)
            assert await told(client, 1) > 1


class GoneAfterTwo:
    """A connection that is lost when two commands have been received, and acknowledged."""

    async def subscribe(self, topic: str) -> None:
        """Granted."""

    async def messages(self) -> AsyncIterator[Message]:
        yield Message(TOPIC, b'{"add": 1}')
        yield Message(TOPIC, b'{"add": 10}')
        raise BusError("the connection was lost")

    async def publish(self, *_: object) -> None:
        raise BusError("the connection was lost")


async def test_what_was_received_is_done_though_nobody_can_be_answered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @asynccontextmanager
    async def connect(*_: object, **__: object) -> AsyncIterator[GoneAfterTwo]:
        yield GoneAfterTwo()

    monkeypatch.setattr(commands, "connect", connect)
    sums, clock = Sums(), VirtualClock()
    config = Config.model_validate({"site": {"name": "test", "data_dir": tmp_path}, "mqtt": {"url": "mqtt://there"}})
    following = asyncio.ensure_future(follow(config, "sums", [TOPIC], sums.done, lambda: "mqtt://there", clock))
    await clock.advance(0)
    assert sums.total == 11
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def _first(client: aiomqtt.Client, count: int) -> AsyncIterator[tuple[int, aiomqtt.Message]]:
    for number in range(count):
        yield number, await anext(client.messages)
