"""The control process: keeps the conversations, sends their events on, and issues the tickets of those that move."""

import asyncio
import functools
from contextlib import AsyncExitStack
from dataclasses import asdict
from urllib.parse import urlsplit

from voiceedge.channels.desks import Desks
from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.connectors.service import Connectors
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.call import MADE_BY_US
from voiceedge.context.privacy.pii import pseudonym_key
from voiceedge.context.service import ContextService
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import Handler, Head, LinkServer
from voiceedge.edge.between.member import Facts, Reporter
from voiceedge.edge.call import counting
from voiceedge.edge.call.live_view import ask_workers
from voiceedge.edge.metrics import serving
from voiceedge.edge.rooms import (
    chat_room,
    commands,
    continuing_room,
    customer_room,
    keeping,
    key_room,
    outbound_room,
    queue_room,
)
from voiceedge.edge.rooms.orphans import Orphans
from voiceedge.switch.caps import StoreCaps
from voiceedge.web import commanding
from voiceedge.web import serving as web
from voiceedge.web.api.once import Answers
from voiceedge.web.desk import room as desk_room
from voiceedge.web.keys import Keys
from voiceedge.web.services import Services
from voiceedge.web.webhooks.sending import Sender, sending


async def main(config: Config, clock: Clock, reporter: Reporter, before: Facts) -> None:
    """`before` holds the ports of the embedded broker, metrics and web, kept over a restart so that all find them."""
    mqtt = config.mqtt.model_copy(update={"embedded_port": config.mqtt.embedded_port or before.get("mqtt_port", 0)})
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(ContextService(config.model_copy(update={"mqtt": mqtt}), clock))
        outbound = await stack.enter_async_context(outbound_room.opened(config, service, clock))
        reloads = [outbound.reload]

        def reload() -> None:
            for one in reloads:
                one()

        queues, queue_handlers = await stack.enter_async_context(
            queue_room.opened(config, service, clock, reloaded=reload)
        )

        connectors = await stack.enter_async_context(Connectors.load(config.connectors.file, clock))
        continuing = await stack.enter_async_context(continuing_room.opened(config, service, clock))
        desks = Desks(queues, clock)
        chats, runs = await stack.enter_async_context(
            chat_room.opened(config, service, connectors, outbound.service, desks, clock)
        )
        reloads.append(runs.reload)
        orphans = Orphans(service, clock)
        watching = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(watching.create_task(orphans.watch_forever()).cancel)
        if service.database.shared:
            stack.callback(watching.create_task(orphans.watch_nodes_forever()).cancel)

        async def ingest(head: Head, _: bytes) -> Head:
            events = [StampedEvent.model_validate(event, context=MADE_BY_US) for event in head["events"]]
            await orphans.ingest(head["holder"], events)
            return {}

        async def health(_head: Head, _payload: bytes) -> Head:
            return asdict(await service.health())

        async def look_ups(_head: Head, _payload: bytes) -> Head:
            return {"connectors": [asdict(state) for state in connectors.state()]}

        handlers: dict[str, Handler] = {
            "ingest": ingest,
            "health": health,
            "connectors": look_ups,
        }
        caps = StoreCaps(service.database, pseudonym_key(config.site.data_dir), clock)
        keys = Keys(service.database, clock)
        handlers |= {
            **counting.handlers(caps),
            **outbound.handlers(),
            **queue_handlers,
            **key_room.handlers(keys),
            **customer_room.handlers(service),
        }
        handlers |= continuing.handlers()
        await stack.enter_async_context(LinkServer(paths.control_socket(config), handlers))
        if config.outbound.mqtt_commands:
            listening = await stack.enter_async_context(asyncio.TaskGroup())
            following = commands.obey(config, outbound.service, lambda: service.broker_url, clock)
            stack.callback(listening.create_task(following).cancel)
        sender = Sender(config.web.webhook_targets, pseudonym_key(config.site.data_dir), clock)
        stack.push_async_callback(sender.close)
        service.listeners.append(await stack.enter_async_context(sending(service.database, sender, clock)))
        services = Services(
            config=config,
            clock=clock,
            context=service,
            queues=queues,
            outbound=outbound.service,
            keys=keys,
            webhooks=sender,
            connectors=connectors,
            chats=chats,
            desks=desks,
            channels=continuing.senders.file,
            senders=continuing.senders,
            ask_workers=functools.partial(ask_workers, config),
        )
        web_room = await stack.enter_async_context(desk_room.opened(services)) if config.web.port is not None else None
        if config.context.mqtt_commands:
            obeying = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(obeying.create_task(commanding.obey(services, lambda: service.broker_url)).cancel)
        reloads.append(await stack.enter_async_context(web.served(services, clock, reporter.tell, before, web_room)))
        reporter.ready(_facts(service.broker_url))
        await stack.enter_async_context(serving.served(config, handlers, clock, reporter.tell, before))
        old = service.retention.sweep, Answers(service.database, clock).prune
        await keeping.sweep_forever(config, clock, service.database, service.ingest, *old)


def _facts(broker_url: str | None) -> Facts:
    return {"mqtt_url": broker_url, "mqtt_port": urlsplit(broker_url).port} if broker_url else {}
