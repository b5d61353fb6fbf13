"""What the API and the pages work with: the services of the control process."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.connectors.service import Connectors
from voiceedge.context.service import ContextService
from voiceedge.switch.outbound.service import OutboundService
from voiceedge.switch.queues.service import QueueService
from voiceedge.web.keys import Keys
from voiceedge.web.webhooks.sending import Sender


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


def _of(connection: HTTPConnection) -> Services:
    services: Services = connection.app.state.services
    return services


Wanted = Annotated[Services, Depends(_of)]
