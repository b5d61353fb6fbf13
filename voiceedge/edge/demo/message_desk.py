"""The demo's gateway of text messages, on loopback: what it is given to send can be read."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HEAD_LIMIT = 8192  # bytes
REQUEST_S = 5.0
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d{1,5})\r\n")

Messages = asyncio.Queue[str]


@asynccontextmanager
async def message_desk() -> AsyncIterator[tuple[str, Messages]]:
    """Yield its URL, and the texts as they come: each the member `text` of what was posted."""
    messages: Messages = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1]) if length else 0)
            messages.put_nowait(str(json.loads(body)["text"]))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, KeyError):
            pass  # whoever that was, it was not our service
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=HEAD_LIMIT)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/messages", messages
