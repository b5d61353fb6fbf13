"""The page that Prometheus fetches: GET /metrics, and nothing else; who is slow or asks for more is sent away."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from voiceedge.clock import Clock, sleep
from voiceedge.config import Config
from voiceedge.edge.between.link import Handler
from voiceedge.edge.between.member import Facts
from voiceedge.edge.metrics.families import Figures
from voiceedge.edge.metrics.gathering import Gathering, Snapshot

PATH = "/metrics"
REQUEST_S = 5.0  # for the request, our answer, and the other side to take it
LONGEST_REQUEST = 8192
MOST_AT_ONCE = 8
AGAIN_S = 10.0  # for a port that is in use

_REQUEST = re.compile(rb"(?P<method>[A-Z]+) (?P<path>[^ ?]+)(?:\?[^ ]*)? HTTP/1\.[01]\r\n")
_ACCEPT = re.compile(rb"\r\naccept:[ \t]*([^\r\n]*)", re.IGNORECASE)

log = structlog.get_logger()


@asynccontextmanager
async def served(
    config: Config, handlers: Mapping[str, Handler], clock: Clock, tell: Callable[[Facts], None], before: Facts
) -> AsyncIterator[None]:
    """For as long as the block lasts, where `metrics.port` is set; a port in use is tried again and stops nothing.

    `handlers` are control's own; `before` holds the port of a predecessor. The port is told when it is open.
    """
    if config.metrics.port is None:
        yield
        return
    gathering = Gathering(config, handlers, clock)
    page = Page(config, gathering.snapshot)
    serving = asyncio.create_task(_serve(page, config, clock, tell, before))
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await page.close()
        await gathering.close()


async def _serve(page: "Page", config: Config, clock: Clock, tell: Callable[[Facts], None], before: Facts) -> None:
    host, port = config.metrics.host, config.metrics.port or before.get("metrics_port", 0)
    problem = ""
    while True:
        try:
            server = await asyncio.start_server(page.take, host, port, limit=LONGEST_REQUEST)
        except OSError as error:
            if problem != (problem := error.strerror or str(error)):
                remedy = "give metrics.port a port, and metrics.host an address, that is free on this machine"
                log.error("metrics_not_served", host=host, port=port, problem=problem, remedy=remedy)  # noqa: TRY400
            await sleep(clock, AGAIN_S)
        else:
            break
    async with server:
        port = server.sockets[0].getsockname()[1]
        log.info("metrics_served", host=host, port=port)
        tell({"metrics_port": port})
        await server.serve_forever()


class Page:
    """HTTP/1.1 (RFC 9112), one request a connection."""

    def __init__(self, config: Config, snapshot: Callable[[], Awaitable[Snapshot]]) -> None:
        self._config, self._snapshot = config, snapshot
        self._connections: set[asyncio.Task[None]] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task  # noqa: S101 - asyncio runs this callback in a task
        if len(self._connections) >= MOST_AT_ONCE:
            writer.transport.abort()
            return
        self._connections.add(task)
        try:
            with suppress(TimeoutError, OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
                async with asyncio.timeout(REQUEST_S):
                    writer.write(await self._answer(await reader.readuntil(b"\r\n\r\n")))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def close(self) -> None:
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _answer(self, request: bytes) -> bytes:
        asked = _REQUEST.match(request)
        if asked is None:
            return _response("400 Bad Request", "This is no HTTP request.\n")
        if asked["path"].decode("ascii", "replace") != PATH:
            return _response("404 Not Found", f"Figures are at {PATH}.\n")
        if asked["method"] not in {b"GET", b"HEAD"}:
            return _response("405 Method Not Allowed", "Figures can be read only.\n", "Allow: GET, HEAD\r\n")
        registry = CollectorRegistry()
        registry.register(Figures(self._config, await self._snapshot()))
        accept = _ACCEPT.search(request)
        encode, content_type = choose_encoder(accept[1].decode("ascii", "replace") if accept else "")
        page = await asyncio.to_thread(encode, registry)
        return _response("200 OK", page, kind=content_type, bodiless=asked["method"] == b"HEAD")


def _response(
    status: str,
    body: str | bytes,
    headers: str = "",
    *,
    kind: str = "text/plain; charset=utf-8",
    bodiless: bool = False,
) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n{headers}\r\n"
    )
    return head.encode() + (b"" if bodiless else raw)
