"""The chats in the control process: their flows, their channels, and the calls beside them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from voiceedge import tls
from voiceedge.channels.chat_runs import FlowRuns
from voiceedge.channels.chats import ChatService
from voiceedge.channels.desks import Desks
from voiceedge.channels.file import load_channels
from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.connectors.service import Connectors
from voiceedge.context.privacy.pii import pseudonym_key
from voiceedge.context.service import ContextService
from voiceedge.edge.rooms.typing_room import WorkerCalls
from voiceedge.flow.look_up import SiteLookUps
from voiceedge.switch.outbound.service import OutboundService


@asynccontextmanager
async def opened(  # noqa: PLR0917 - all of them are always given
    config: Config,
    context: ContextService,
    connectors: Connectors,
    outbound: OutboundService,
    desks: Desks,
    clock: Clock,
) -> AsyncIterator[tuple[ChatService, FlowRuns]]:
    """The service, and what must be told of a SIGHUP. Raises ConfigError."""
    chats = load_channels(config.channels.file).chats
    async with httpx.AsyncClient(verify=tls.client_context()) as http:
        runs = FlowRuns(config, context, SiteLookUps(http, clock, connectors), desks, clock)
        async with ChatService(
            context,
            chats,
            runs,
            WorkerCalls(config),
            outbound,
            clock,
            kept_days=config.retention.transcripts_days,
            key=pseudonym_key(config.site.data_dir),
        ) as service:
            yield service, runs
