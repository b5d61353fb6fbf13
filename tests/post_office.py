"""Servers that take messages, well or badly: HTTP and SMTP over loopback, and a certificate for them."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Gateway:
    """Answers each request by the next of `plan`, the last again and again: a status, or None to say nothing."""

    plan: list[int | None] = field(default_factory=lambda: [200])
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/send"

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.requests) < count:
                self.came.clear()
                await self.came.wait()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append(Request(first.split()[1], headers, body))
        self.came.set()
        status = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        if status is None:
            await reader.read()  # until the client has had enough
        else:
            location = "Location: http://127.0.0.1:1/\r\n" if 300 <= status < 400 else ""
            writer.write(
                f"HTTP/1.1 {status} Said\r\n{location}Content-Length: 2\r\nConnection: close\r\n\r\nok".encode()
            )


@asynccontextmanager
async def serving(answer: Callable, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """On a free port; each connection is closed when it was answered."""
    tasks: set[asyncio.Task] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await answer(reader, writer)
                await writer.drain()
        finally:
            tasks.discard(asyncio.current_task())
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def gateway(*plan: int | None) -> AsyncIterator[Gateway]:
    one = Gateway(list(plan) or [200])
    async with serving(one.answer) as one.port:
        yield one


@dataclass
class MailServer:
    """`refusals` are answers to RCPT in turn, then all are welcome; `starttls` is its context where it can.

    `hurries` unset: the next RCPT is answered when it is set.
    """

    refusals: list[str] = field(default_factory=list)
    starttls: ssl.SSLContext | None = None
    mails: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    encrypted: bool = False
    port: int = 0
    asked: int = 0  # RCPTs
    hurries: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.hurries.set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())
            await writer.drain()

        await say("220 mail.example")
        while line := (await reader.readline()).decode().strip():
            match line.split()[0].upper():
                case "EHLO":
                    await say("250-mail.example")
                    await say("250-AUTH PLAIN" if not self.starttls or self.encrypted else "250-STARTTLS")
                    await say("250 SIZE 1000000")
                case "STARTTLS":
                    await say("220 go on")
                    await writer.start_tls(self.starttls)
                    self.encrypted = True
                case "AUTH":
                    self.logins.append(line)
                    await say("235 welcome")
                case "RCPT":
                    self.asked += 1
                    await self.hurries.wait()
                    refusal = self.refusals.pop(0) if self.refusals else ""
                    if not refusal:
                        self.recipients.append(line)
                    await say(refusal or "250 fine")
                case "DATA":
                    await say("354 go on")
                    self.mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                    await say("250 taken")
                case "QUIT":
                    await say("221 bye")
                    return
                case _:
                    await say("250 fine")


@asynccontextmanager
async def mail_server(tls: ssl.SSLContext | None = None, **options) -> AsyncIterator[MailServer]:
    one = MailServer(**options)
    async with serving(one.answer, tls) as one.port:
        yield one


def certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """Of localhost, for a day: the file that vouches for it, and the server's context."""
    file, key = directory / "mail.pem", directory / "mail.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", file],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, key)
    return file, context
