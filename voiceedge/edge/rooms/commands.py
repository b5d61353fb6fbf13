"""Orders for calls out that come by MQTT: taken one after the other, and answered by events."""

from collections.abc import Callable
from typing import NoReturn

import structlog

from voiceedge.bus.backoff import backoff
from voiceedge.bus.client import Message
from voiceedge.bus.commands import REMEDY, follow, wish_of
from voiceedge.clock import Clock, sleep
from voiceedge.config import Config
from voiceedge.edge.rooms.outbound_room import read_order
from voiceedge.errors import StoreError
from voiceedge.switch.outbound.messages import Added, OrderRequest
from voiceedge.switch.outbound.service import OutboundService

log = structlog.get_logger()


def commands_topic(site: str) -> str:
    return f"voiceedge/{site}/v1/commands/outbound/add"


async def obey(config: Config, outbound: OutboundService, url: Callable[[], str | None], clock: Clock) -> NoReturn:
    """`url` is where the broker is, once there is one."""

    async def done(message: Message) -> None:
        await take(message, outbound, clock)

    await follow(config, "commands", [commands_topic(config.site.name)], done, url, clock)


async def take(message: Message, outbound: OutboundService, clock: Clock) -> None:
    """One command. While the store is away it waits, and the others behind it."""
    order = _read(message)
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


def _read(message: Message) -> OrderRequest | Added:
    """Whatever comes."""
    wish = wish_of(message)
    return Added(id="", state="refused", why=REMEDY) if wish is None else read_order(wish)
