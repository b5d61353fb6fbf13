"""The demo's order system: what a retailer's own would answer to `GET /orders/{number}`, on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

ORDERS = {
    "20261122": {"status": "shipped", "arrives": "2026-11-24", "carrier": "한빛택배"},
    "20261120": {"status": "delivered", "arrives": "2026-11-21", "carrier": "한빛택배"},
    "20261121": {"status": "preparing", "arrives": "2026-11-25", "carrier": "한빛택배"},
}
HEAD_LIMIT = 4096  # bytes
HEAD_S = 5.0


@asynccontextmanager
async def order_desk() -> AsyncIterator[str]:
    """Yield the base URL."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, limit=HEAD_LIMIT)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(HEAD_S):
            head = await reader.readuntil(b"\r\n\r\n")
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        writer.close()
        return
    target = head.split(b" ", 2)[1].decode("ascii", "replace")
    order = ORDERS.get(target.rpartition("/")[2].partition("?")[0])
    body = json.dumps(order or {"error": "no such order"}, ensure_ascii=False).encode()
    status = "200 OK" if order else "404 Not Found"
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
    writer.close()
