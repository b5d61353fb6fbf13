"""What the API and the pages work with: the services of the control process."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from voiceedge.channels.chats import ChatService
from voiceedge.channels.desks import Desks
from voiceedge.channels.file import ChannelsFile
from voiceedge.channels.senders.service import Senders
from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.connectors.service import Connectors
from voiceedge.context.service import ContextService
from voiceedge.switch.outbound.service import OutboundService
from voiceedge.switch.queues.service import QueueService
from voiceedge.web.keys import Keys
from voiceedge.web.webhooks.sending import Sender

# What each worker of this node answers to a request, by its name; one that is away has no answer.
AskWorkers = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Mapping[str, Any]]]]


@dataclass(frozen=True, kw_only=True)
class Services:
    config: Config
    clock: Clock
    context: ContextService
    queues: QueueService
    outbound: OutboundService
    keys: Keys
    webhooks: Sender
    connectors: Connectors
    chats: ChatService
    desks: Desks
    channels: ChannelsFile
    senders: Senders
    ask_workers: AskWorkers


async def _of(connection: HTTPConnection) -> Services:  # a plain function would be called in a thread
    services: Services = connection.app.state.services
    return services


Wanted = Annotated[Services, Depends(_of)]
