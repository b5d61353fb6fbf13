"""Kamailio's control by JSON-RPC 2.0 over its unix datagram socket."""

import asyncio
import contextlib
import itertools
import json
import os
import socket
from pathlib import Path
from typing import Any, Self

from voiceedge.errors import LinkError

ANSWER_S = 5.0
_LARGEST = 1 << 20  # bytes of one answer


class RefusedError(LinkError):
    """Kamailio answered with an error."""

    can_retry = False


class Rpc:
    """One question at a time; `async with` opens and closes our end of it."""

    def __init__(self, directory: Path) -> None:
        self._theirs = directory / "rpc.sock"
        self._ours = directory / f"rpc-{os.getpid()}.sock"
        self._ids = itertools.count(1)
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._ours.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.bind(str(self._ours))
        self._ours.chmod(0o600)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LARGEST)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()
        self._ours.unlink(missing_ok=True)

    async def ask(self, method: str, *params: str | int, timeout_s: float = ANSWER_S) -> Any:
        """The result. Raises LinkError where Kamailio is away or silent, RefusedError where it says no."""
        async with self._turn:
            number = next(self._ids)
            question = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": number}
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await self._answer(json.dumps(question).encode(), number)
            except TimeoutError as error:
                raise LinkError(f"Kamailio did not answer {method} within {timeout_s:g} s") from error
            except OSError as error:
                raise LinkError(f"Kamailio is away ({error.strerror or error})") from error
        if "error" in answer:
            raise RefusedError(f"Kamailio refused {method}: {answer['error'].get('message', answer['error'])}")
        return answer.get("result")

    async def _answer(self, question: bytes, number: int) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(self._socket, question, str(self._theirs))
        while True:  # an answer to what was given up on may still lie there
            data = await loop.sock_recv(self._socket, _LARGEST)
            with contextlib.suppress(ValueError):
                answer: dict[str, Any] = json.loads(data)
                if answer.get("id") == number:
                    return answer
