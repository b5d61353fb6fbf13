"""What of a control process serves the queues, on its socket, and a client of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from voiceedge.clock import RealClock
from voiceedge.config import Config
from voiceedge.context.service import ContextService
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import LinkClient, LinkServer
from voiceedge.edge.rooms import queue_room


@asynccontextmanager
async def control(config: Config, reloaded: Callable[[], object] = lambda: None) -> AsyncIterator[LinkClient]:
    """`reloaded` is told once a SIGHUP has been dealt with."""
    clock = RealClock()
    async with (
        ContextService(config, clock) as context,
        queue_room.opened(config, context, clock, reloaded=reloaded) as (_, handlers),
        LinkServer(paths.control_socket(config), handlers),
    ):
        client = LinkClient(paths.control_socket(config))
        yield client
        await client.close()
