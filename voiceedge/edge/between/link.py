"""Requests and answers between VoiceEdge's processes over a unix socket: a JSON head and perhaps raw bytes.

A frame is two big-endian uint32 (bytes of head, bytes of payload), the head and the payload. Answers come in any order.
A request is recalled when nobody waits for its answer any more.
"""

import asyncio
import contextlib
import itertools
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self
from weakref import WeakValueDictionary

import structlog

from voiceedge.errors import LinkError, VoiceEdgeError

LIMIT = 16 * 1024 * 1024  # of one part: no utterance or batch of events comes near
_SIZES = struct.Struct("!II")

Head = dict[str, Any]
Handler = Callable[[Head, bytes], Awaitable[Head]]  # bytes go back under the key "payload"
log = structlog.get_logger()


async def _read(reader: asyncio.StreamReader) -> tuple[Head, bytes]:
    head_size, payload_size = _SIZES.unpack(await reader.readexactly(_SIZES.size))
    if max(head_size, payload_size) > LIMIT:
        raise LinkError(
            f"a frame of {head_size} + {payload_size} bytes came over the link; the limit is {LIMIT} a part"
        )
    head = json.loads(await reader.readexactly(head_size))
    return head, await reader.readexactly(payload_size)


def _frame(head: Head, payload: bytes) -> bytes:
    encoded = json.dumps(head, separators=(",", ":")).encode()  # ASCII: a lone surrogate in a text cannot break it
    return _SIZES.pack(len(encoded), len(payload)) + encoded + payload


class LinkServer:
    """Answers each request by the handler of its name; requests of one connection run side by side.

    Raises LinkError on entry where another process answers at `path` already, unless this one is to take its place.
    """

    def __init__(self, path: Path, handlers: Mapping[str, Handler], *, takes_over: bool = False) -> None:
        self._path, self._handlers, self._takes_over = path, handlers, takes_over

    async def __aenter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._takes_over and _is_answered(self._path):
            raise LinkError(f"{self._path}: another process answers there; is it of an older service that still ends?")
        self._path.unlink(missing_ok=True)  # what a killed predecessor left behind
        self._connections: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_unix_server(self._accept, self._path)
        self._path.chmod(0o600)
        self._inode = self._path.stat().st_ino
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:  # else it is a successor's
                self._path.unlink()
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task  # noqa: S101 - asyncio runs this callback in a task
        self._connections.add(task)
        try:
            async with asyncio.TaskGroup() as requests:
                running: WeakValueDictionary[int, asyncio.Task[None]] = WeakValueDictionary()
                while True:
                    head, payload = await _read(reader)
                    if "recall" not in head:
                        running[head["id"]] = requests.create_task(self._answer(head, payload, writer))
                    elif recalled := running.get(head["recall"]):
                        recalled.cancel()
        except* (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone, and with it the wish for its answers
        except* (ValueError, LinkError):
            log.exception("link_frame_refused", socket=self._path.name)
        except* asyncio.CancelledError:
            pass  # the server closes; asyncio.streams would log this as a failure
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, head: Head, payload: bytes, writer: asyncio.StreamWriter) -> None:
        answer: Head
        try:
            answer = await self._handlers[head["request"]](head, payload)
        except VoiceEdgeError as error:
            answer = {"error": str(error), "can_retry": error.can_retry}
        except Exception:
            log.exception("link_request_failed", request=head.get("request"))
            answer = {"error": f"{head.get('request')} failed; see the log of this process", "can_retry": False}
        raw = answer.pop("payload", b"")
        writer.write(_frame({**answer, "id": head["id"]}, raw))
        with contextlib.suppress(ConnectionError):
            await writer.drain()


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.setblocking(False)
        try:
            knocking.connect(str(path))
        except BlockingIOError:  # it has too many who wait
            return True
        except OSError:
            return False
    return True


class LinkRefusedError(LinkError):
    """The other process answered with an error."""

    def __init__(self, message: str, *, can_retry: bool) -> None:
        super().__init__(message)
        self.can_retry = can_retry


class LinkClient:
    """Asks the server at `path`; connects when first needed and again after the server was away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Head]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def request(self, name: str, body: Mapping[str, Any], payload: bytes = b"", *, timeout_s: float) -> Head:
        """Raise LinkError when the other process is away, dies meanwhile, or does not answer in `timeout_s`."""
        number = next(self._ids)
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(timeout_s):
                writer = await self._connected()
                future = self._waiting[number] = asyncio.get_running_loop().create_future()
                writer.write(_frame({**body, "request": name, "id": number}, payload))
                await writer.drain()
                answer: Head = await future
        except TimeoutError as error:
            self._recall(writer, number)
            raise LinkError(f"{self._path.name}: no answer to {name} within {timeout_s:g} s") from error
        except OSError as error:
            raise LinkError(f"{self._path.name}: the process is away ({error.strerror or error})") from error
        except asyncio.CancelledError:
            self._recall(writer, number)
            raise
        finally:
            self._waiting.pop(number, None)
        if "error" in answer:
            raise LinkRefusedError(answer["error"], can_retry=answer["can_retry"])
        return answer

    @staticmethod
    def _recall(writer: asyncio.StreamWriter | None, number: int) -> None:
        """Nobody waits for this answer any more."""
        if writer and not writer.is_closing():
            writer.write(_frame({"recall": number}, b""))

    async def close(self) -> None:
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None:
                reader, self._writer = await asyncio.open_unix_connection(self._path)
                self._reading = asyncio.create_task(self._read_answers(reader, self._writer))
            return self._writer

    async def _read_answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head, payload = await _read(reader)
                future = self._waiting.get(head["id"])
                if future and not future.done():
                    future.set_result({**head, "payload": payload})
        except (OSError, asyncio.IncompleteReadError, ValueError, LinkError):
            pass  # told to every waiting request below
        finally:
            self._writer = None
            writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionResetError("it ended before it answered"))
