"""The control process: keeps the conversations, sends their events on, and issues the tickets of those that move."""

import asyncio
from collections.abc import Mapping
from typing import Any

from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.context.service import ContextService
from voiceedge.edge import paths
from voiceedge.edge.link import Head, LinkServer
from voiceedge.edge.supervisor import Facts, Reporter


async def main(config: Config, clock: Clock, reporter: Reporter, before: Facts) -> None:
    """`before` holds the embedded broker's port, kept over a restart so that subscribers find it again."""
    async with ContextService(config, clock, broker_port=before.get("mqtt_port")) as service:

        async def ingest(head: Head, _: bytes) -> Head:
            await service.ingest_json(head["events"])
            return {}

        async def issue(head: Head, _: bytes) -> Head:
            ticket = await service.issue_token(head["conversation"], head["channel"], head["expires_s"])
            return {"token": ticket.token, "expires_at": ticket.expires_at}

        async def redeem(head: Head, _: bytes) -> Head:
            return {"conversation": await service.redeem_token(head["token"], head["channel"])}

        async def health(_head: Head, _payload: bytes) -> Head:
            return dict(await service.health())

        handlers = {"ingest": ingest, "issue_token": issue, "redeem_token": redeem, "health": health}
        async with LinkServer(paths.control_socket(config), handlers):
            reporter.ready({"mqtt_url": service.broker_url})
            await asyncio.Event().wait()
