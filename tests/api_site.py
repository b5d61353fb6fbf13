"""A site of tests' own: the API served over loopback, on a real database, with switch and workers that only note."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx

from voiceedge.channels.file import ChannelsFile
from voiceedge.clock import Clock, RealClock
from voiceedge.config import Config
from voiceedge.context.privacy.pii import pseudonym_key
from voiceedge.context.service import ContextService
from voiceedge.errors import LinkError
from voiceedge.switch.outbound.messages import CallOrder
from voiceedge.switch.outbound.service import OutboundService, Places
from voiceedge.switch.plan import Plan
from voiceedge.web import serving
from voiceedge.web.keys import Keys, Scope
from voiceedge.web.services import Services
from voiceedge.web.webhooks.sending import Sender, sending

FLOWS = {"remind": frozenset({"name", "order"})}
PLAN = {
    "trunks": {"carrier": {"host": "192.0.2.1", "own_numbers": ["02-1234-5678"]}},
    "campaigns": {"remind": {"flow": "remind"}},
}
CHANNELS = ChannelsFile.model_validate({"channels": {name: {"kind": "api"} for name in ("kakao", "line")}})
ALL = tuple(Scope)


class NoWorkers:
    def places(self) -> Places:
        return Places(0, 0)

    async def place(self, order: CallOrder) -> None:
        raise LinkError("no worker is there")


class Site:
    """`tenants` is added to the names of tenants, so that tests who share a service see nothing of each other."""

    def __init__(self, services: Services, url: str, tenants: str = "") -> None:
        self.services, self.url, self._tenants = services, url, tenants
        self._stack = AsyncExitStack()

    async def key(self, *scopes: str, tenant: str = "main", days: float | None = None) -> str:
        """How a new key is written; with all scopes unless some are named."""
        wanted = [Scope(scope) for scope in scopes] or ALL
        return (await self.services.keys.add("channel", tenant + self._tenants, wanted, days))[1]

    async def client(self, *scopes: str, tenant: str = "main", **options: Any) -> httpx.AsyncClient:
        """As a new key's owner."""
        headers = {"Authorization": f"Bearer {await self.key(*scopes, tenant=tenant)}"}
        client = httpx.AsyncClient(base_url=f"{self.url}/v1", headers=headers, timeout=30, **options)
        return await self._stack.enter_async_context(client)

    async def close(self) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def opened(directory: Path, clock: Clock | None = None, **tables: Any) -> AsyncIterator[Site]:
    """`tables` are those of the configuration."""
    clock = clock or RealClock()
    web = {"port": 0, "requests_per_min": 1_000_000, **tables.pop("web", {})}
    config = Config.model_validate(
        {
            "site": {"name": "test", "data_dir": directory / "data", "run_dir": directory / "run"},
            "mqtt": {"embedded_port": 0},
            "web": web,
            **tables,
        }
    )
    config.site.data_dir.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        context = await stack.enter_async_context(ContextService(config, clock))
        key = pseudonym_key(config.site.data_dir)
        outbound = await stack.enter_async_context(
            OutboundService(
                context.database,
                Plan.model_validate(PLAN),
                FLOWS,
                NoWorkers(),
                context.ingest,
                clock,
                key=key,
                node="n",
            )
        )
        sender = Sender(config.web.webhook_targets, key, clock)
        stack.push_async_callback(sender.close)
        context.listeners.append(await stack.enter_async_context(sending(context.database, sender, clock)))
        ours = {
            "config": config, "clock": clock, "context": context, "outbound": outbound,
            "keys": Keys(context.database, clock), "webhooks": sender, "channels": CHANNELS,
        }  # fmt: skip
        services = Services(**{field.name: ours.get(field.name) for field in fields(Services)})
        await stack.enter_async_context(serving.served(services, clock, facts.update, {}))
        while "web_port" not in facts:  # noqa: ASYNC110 - told to a plain dictionary
            await asyncio.sleep(0.01)
        site = Site(services, f"http://127.0.0.1:{facts['web_port']}")
        stack.push_async_callback(site.close)
        yield site


def holding(directory: Path, text: str) -> list[Path]:
    """Files in which this stands."""
    return [path for path in directory.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]
