"""Commands by MQTT: read as long as the service runs, one after the other, and answered where they have an answer."""

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import structlog

from voiceedge.bus.backoff import backoff
from voiceedge.bus.client import Broker, Message, connect
from voiceedge.clock import Clock, sleep
from voiceedge.config import Config, Mqtt
from voiceedge.errors import BusError

LARGEST = 64 * 1024  # bytes of a command
REMEDY = f"a command is a JSON object in UTF-8 of at most {LARGEST} bytes"

log = structlog.get_logger()


async def follow(  # noqa: PLR0917 - all of them are always given
    config: Config,
    name: str,
    topics: Sequence[str],
    done: Callable[[Message], Awaitable[Message | None]],
    url: Callable[[], str | None],
    clock: Clock,
) -> NoReturn:
    """`done` does a command, and returns its answer if there is one; `url` is where the broker is, once there is one.

    A broker of one's own keeps commands while we are away, for the reader of this `name`.
    """
    delays = backoff()
    while True:
        try:
            if where := url():
                settings = config.mqtt if config.mqtt.url else Mqtt()
                reader = f"voiceedge-{config.site.name}-{config.switch.node}-{name}" if config.mqtt.url else None
                async with connect(Broker.from_url(where, settings), client_id=reader) as connection:
                    for topic in topics:
                        await connection.subscribe(topic)
                    delays = backoff()
                    async for message in connection.messages():
                        if answer := await done(message):
                            with suppress(BusError):  # what the broker has our word for is done before an end is told
                                await connection.publish([answer], lambda _: None)
        except BusError as error:
            log.warning("commands_wait", reader=name, problem=str(error))
        await sleep(clock, next(delays))


def wish_of(message: Message) -> dict[str, Any] | None:
    """What the command asks for; None where its payload is not as `REMEDY` says."""
    try:
        wish = json.loads(message.payload) if len(message.payload) <= LARGEST else None
    except (ValueError, RecursionError):
        return None
    return wish if isinstance(wish, dict) else None
