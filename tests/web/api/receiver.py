"""A receiver of webhooks that behaves as a test tells it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)


class Receiver:
    """`answer` gives the status of each, None for no answer at all; `location` makes it a redirect."""

    def __init__(self) -> None:
        self.got: list[Received] = []
        self.answer: Callable[[Received], int | None] = lambda _: 200
        self.location = ""
        self._some = asyncio.Event()

    async def until(self, count: int, within_s: float = 60) -> list[Received]:
        async with asyncio.timeout(within_s):
            while len(self.got) < count:
                self._some.clear()
                await self._some.wait()
        return self.got

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name}
            received = Received(head[0].split()[1], headers, await reader.readexactly(int(headers["content-length"])))
            status = self.answer(received)
            self.got.append(received)
            self._some.set()
            if status is None:
                await reader.read()  # until the sender has had enough
            location = f"Location: {self.location}\r\n" if self.location else ""
            writer.write(f"HTTP/1.1 {status} x\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[Receiver, str]]:
    """And its origin."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    async with server:
        yield receiver, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
