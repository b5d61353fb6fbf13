"""The endpoint under test, in a process of its own: PJSIP starts once each, and a crash must fail one test only."""

import asyncio
import concurrent.futures
import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAIT_S = 30.0  # machines that test are slow and shared
NO_RTP_S = 4.0  # after which the server that tests share ends a call: longer than a busy machine stands still
SERVER = Path(__file__).with_name("server.py")


class Server:
    """`do` gives an order and returns its result; `event` waits for the next thing of a kind that a leg tells."""

    def __init__(self, **settings: Any) -> None:
        settings = {"host": "127.0.0.1", "port": 0, "rtp_ports": (20000, 20999)} | settings
        command = [sys.executable, str(SERVER), json.dumps(settings)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.notes: list[dict[str, Any]] = []
        self._told: list[dict[str, Any]] = []
        self._waiting: list[tuple[Callable[[dict[str, Any]], bool], concurrent.futures.Future[dict[str, Any]]]] = []
        self._lock = threading.Lock()
        self._orders = itertools.count(1)
        threading.Thread(target=self._read, daemon=True).start()
        ready = self._wait(lambda told: "port" in told).result(2 * WAIT_S)
        self.port, self.capacity = ready["port"], ready["capacity"]

    def uri(self, user: str) -> str:
        return f"sip:{user}@127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    async def do(self, do: str, *args: Any, leg: int = 0, wait_s: float = WAIT_S) -> Any:
        """Raises RuntimeError with the error's class and text when the server's order failed."""
        order = next(self._orders)
        answer = self._wait(lambda told: told.get("order") == order)
        self._write({"order": order, "do": do, "leg": leg, "args": args})
        told = await asyncio.wait_for(asyncio.wrap_future(answer), wait_s)
        if "error" in told:
            raise RuntimeError(f"{told['error']}: {told['text']}")
        return told["result"]

    async def event(self, kind: str, leg: int | None = None, wait_s: float = WAIT_S, **wanted: Any) -> dict[str, Any]:
        """Each event is given once. `leg` unset: of any leg; `wanted`: further fields."""
        asked = {"event": kind, **wanted} | ({} if leg is None else {"leg": leg})
        found = self._wait(lambda told: all(told.get(name) == value for name, value in asked.items()))
        return await asyncio.wait_for(asyncio.wrap_future(found), wait_s)

    def told(self, kind: str, leg: int) -> list[dict[str, Any]]:
        """Events that came and were not asked for yet."""
        with self._lock:
            return [told for told in self._told if told.get("event") == kind and told.get("leg") == leg]

    def forget(self) -> None:
        with self._lock:
            self._told.clear()

    async def at_rest(self, wait_s: float = WAIT_S) -> None:
        """Wait until no call is left."""
        async with asyncio.timeout(wait_s):
            while (await self.do("use"))["active"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    def stop(self) -> int:
        """The server's exit code."""
        if self.alive:
            gone = self._wait(lambda told: "stopped" in told)
            self._write({"order": 0, "do": "stop", "leg": 0, "args": []})
            gone.result(WAIT_S)
        self.process.stdin and self.process.stdin.close()
        return self.process.wait(WAIT_S)

    def _write(self, order: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def _wait(self, fits: Callable[[dict[str, Any]], bool]) -> "concurrent.futures.Future[dict[str, Any]]":
        future: concurrent.futures.Future[dict[str, Any]] = concurrent.futures.Future()
        with self._lock:
            for told in self._told:
                if fits(told):
                    self._told.remove(told)
                    future.set_result(told)
                    return future
            self._waiting.append((fits, future))
        return future

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue
            told = json.loads(line)
            if "note" in told:
                self.notes.append(told)
                continue
            with self._lock:
                for waiting in self._waiting:
                    if not waiting[1].cancelled() and waiting[0](told):
                        self._waiting.remove(waiting)
                        waiting[1].set_result(told)
                        break
                else:
                    self._told.append(told)


async def until(look: Callable[[], Any], wait_s: float = WAIT_S) -> Any:
    """What `look` returns once that is something."""
    async with asyncio.timeout(wait_s):
        while not (found := look()):  # noqa: ASYNC110 - what is looked at knows no events
            await asyncio.sleep(0.01)
    return found
