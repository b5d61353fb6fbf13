"""Orders for calls out that come by MQTT: read from the broker for as long as the service runs, answered by events."""

import json
from collections.abc import Callable
from typing import NoReturn

import structlog

from voiceedge.bus.backoff import backoff
from voiceedge.bus.client import Broker, Message, connect
from voiceedge.clock import Clock, sleep
from voiceedge.config import Config, Mqtt
from voiceedge.edge.outbound_room import read_order
from voiceedge.errors import BusError, StoreError
from voiceedge.switch.outbound.messages import Added, OrderRequest
from voiceedge.switch.outbound.service import OutboundService

LARGEST = 64 * 1024  # bytes of a command

log = structlog.get_logger()


def commands_topic(site: str) -> str:
    return f"voiceedge/{site}/v1/commands/outbound/add"


async def follow(config: Config, outbound: OutboundService, url: Callable[[], str | None], clock: Clock) -> NoReturn:
    """`url` is where the broker is, once there is one. A broker of one's own keeps commands while we are away."""
    delays = backoff()
    while True:
        try:
            if where := url():
                settings = config.mqtt if config.mqtt.url else Mqtt()
                name = f"voiceedge-{config.site.name}-{config.switch.node}-commands" if config.mqtt.url else None
                async with connect(Broker.from_url(where, settings), client_id=name) as connection:
                    await connection.subscribe(commands_topic(config.site.name))
                    delays = backoff()
                    async for message in connection.messages():
                        await take(message, outbound, clock)
        except BusError as error:
            log.warning("commands_wait", problem=str(error))
        await sleep(clock, next(delays))


async def take(message: Message, outbound: OutboundService, clock: Clock) -> None:
    """One command. While the store is away it waits, and the others behind it."""
    order = _read(message.payload)
    if isinstance(order, Added):
        log.warning("command_refused", why=order.why)
        outbound.refuse(order.id, order.why)
        return
    delays = backoff()
    while True:
        try:
            await outbound.add([order], "mqtt")
        except StoreError as error:
            if not error.can_retry:
                log.warning("command_refused", why=str(error))
                outbound.refuse(order.id or "", "the store does not take it")
                return
            log.warning("command_waits", problem=str(error))
        else:
            return
        await sleep(clock, next(delays))


def _read(payload: bytes) -> OrderRequest | Added:
    """Whatever comes."""
    if len(payload) > LARGEST:
        return Added(id="", state="refused", why=f"a command has at most {LARGEST} bytes")
    try:
        return read_order(json.loads(payload))
    except (ValueError, RecursionError):
        return Added(id="", state="refused", why="a command is a JSON object in UTF-8")
