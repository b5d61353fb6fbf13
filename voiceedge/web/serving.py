"""The web server inside the control process: uvicorn on a socket of ours, for as long as the process serves."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvicorn

from voiceedge import tls
from voiceedge.clock import Clock, sleep
from voiceedge.config_digital import Web
from voiceedge.errors import ConfigError
from voiceedge.web.app import create_app
from voiceedge.web.desk.room import DeskRoom
from voiceedge.web.listening import Punctual, listen
from voiceedge.web.services import Services

AGAIN_S = 10.0  # for a port that is in use
GOODBYE_S = 2
LARGEST_MESSAGE = 64 * 1024  # bytes, over a WebSocket

log = structlog.get_logger()


@asynccontextmanager
async def served(
    services: Services,
    clock: Clock,
    tell: Callable[[dict[str, Any]], None],
    before: Mapping[str, Any],
    desks: DeskRoom | None = None,
) -> AsyncIterator[Callable[[], None]]:
    """Where `web.port` is set. A port in use is tried again and stops nothing; `tell` gets {"web_port"} when open.

    `before` holds the port of a predecessor. What comes reads the certificate again. Raises ConfigError.
    """
    web = services.config.web
    if web.port is None:
        yield lambda: None
        return
    secure = (
        tls.server_context("web", web.certificate, web.private_key) if web.certificate and web.private_key else None
    )
    server = _Server(_settings(services, desks, secure))
    serving = asyncio.create_task(_serve(server, services, clock, tell, before))
    try:
        yield lambda: _read_again(web, secure)
    finally:
        server.should_exit = True
        if not server.started:
            serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def _read_again(web: Web, secure: ssl.SSLContext | None) -> None:
    if secure and web.certificate and web.private_key:
        try:
            tls.load(secure, "web", web.certificate, web.private_key)
        except ConfigError as error:
            log.error("certificate_not_read", problem=str(error), effect="the one before is shown on")  # noqa: TRY400


class _Server(uvicorn.Server):
    """Signals are the control process's own affair."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _settings(services: Services, desks: DeskRoom | None, secure: ssl.SSLContext | None) -> uvicorn.Config:
    web = services.config.web
    return uvicorn.Config(
        create_app(services, desks),
        http=Punctual,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(web.trusted_proxies),
        forwarded_allow_ips=list(web.trusted_proxies),
        ssl_context_factory=(lambda *_: secure) if secure else None,
        limit_concurrency=web.most_connections,
        timeout_graceful_shutdown=GOODBYE_S,
        ws_max_size=LARGEST_MESSAGE,
    )


async def _serve(
    server: _Server,
    services: Services,
    clock: Clock,
    tell: Callable[[dict[str, Any]], None],
    before: Mapping[str, Any],
) -> None:
    web = services.config.web
    port, problem = web.port or before.get("web_port", 0), ""
    while True:
        try:
            listening = listen(web.host, port, web)
        except OSError as error:
            if problem != (problem := error.strerror or str(error)):
                remedy = "give web.port a port, and web.host an address, that is free on this machine"
                log.error("web_not_served", host=web.host, port=port, problem=problem, remedy=remedy)  # noqa: TRY400
            await sleep(clock, AGAIN_S)
        else:
            break
    port = listening.getsockname()[1]
    log.info("web_served", host=web.host, port=port)
    tell({"web_port": port})
    await server.serve([listening])
