"""The pump: the one thread that makes every pj call, and the way asyncio gets a function run in it."""

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import pjsua2 as pj
import structlog

from voiceedge.errors import SipError

T = TypeVar("T")
log = structlog.get_logger()

PULSE_S = 2.0  # how often the pump shows that it turns
PULSE_EARLY_S = 0.1  # a poll may end a little before its time
SLEEP_MS = int(PULSE_S * 1000)  # an upper bound only: packets, PJSIP's timers and posted functions end it
DEADLINE_S = 5.0


class Machine(Protocol):
    """What the pump drives; each method is called in its thread."""

    def set_up(self) -> tuple[str, int]:
        """Start PJSIP; returns the address of a UDP socket of ours that PJSIP reads."""

    def poll(self, timeout_ms: int) -> None:
        """Handle what there is, or wait for it."""

    def tear_down(self) -> None:
        """End all calls, drop every pj object, destroy PJSIP."""


class Pump:
    """PJSIP aborts when it is called from two sides at once or from a thread it does not know, so all of it lives here.

    PJSIP sleeps in select(); a SIP keep-alive (CRLF CRLF, RFC 5626) to our own socket wakes it, and costs nothing when
    nobody calls.
    """

    def __init__(
        self, machine: Machine, prepare: Callable[[], None] | None = None, pulse: Callable[[], None] | None = None
    ) -> None:
        """`prepare` is called first in the pump's thread; `pulse` in the event loop, while both turn."""
        self._machine, self._prepare, self._pulse = machine, prepare, pulse
        self._jobs: deque[Callable[[], None]] = deque()
        self._news: deque[Callable[[], None]] = deque()
        self._told = False
        self._waker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._waker.setblocking(False)
        self._address: tuple[str, int] | None = None
        self._woken = False
        self._running = False
        self._thread: threading.Thread | None = None

    async def start(self, deadline_s: float = 30.0) -> None:
        self._loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = self._loop.create_future()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._running = True
        self._thread = threading.Thread(target=self._main, args=(ready,), name="sip-pump", daemon=True)
        self._thread.start()
        async with asyncio.timeout(deadline_s):
            await ready

    async def stop(self, deadline_s: float = 15.0) -> None:
        if self._thread is None:
            return
        self.post(self._halt)
        async with asyncio.timeout(deadline_s):
            await self._over
        self._thread.join()
        self._thread = None
        self._waker.close()

    def post(self, function: Callable[[], None]) -> None:
        """Have `function` run soon; it must not raise."""
        self._jobs.append(function)
        if self._address and not self._woken:
            self._woken = True
            try:
                self._waker.sendto(b"\r\n\r\n", self._address)
            except OSError:  # a full buffer: then the pump has packets to read and will not sleep
                self._woken = False

    def tell(self, function: Callable[[], None]) -> None:
        """In the pump: have `function` run in the event loop, after all that it was told before."""
        self._news.append(function)
        if not self._told:
            self._told = True
            try:
                self._loop.call_soon_threadsafe(self._hear)
            except RuntimeError:  # the loop is closed: nobody waits any more
                log.debug("sip_result_dropped")

    def _hear(self) -> None:
        self._told = False  # before the news are read: what is told after the reading sends its own wake-up
        while self._news:
            self._loop.call_soon(self._news.popleft())

    async def run(self, function: Callable[[], T], deadline_s: float = DEADLINE_S) -> T:
        """Run `function` in the pump and return its result; SipError when PJSIP refuses, or does not come to it."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.post(partial(self._answer, function, result))
        try:
            async with asyncio.timeout(deadline_s):
                return await result
        except TimeoutError:
            raise SipError("The SIP stack did not answer in time; restart the worker.") from None

    def _main(self, ready: "asyncio.Future[None]") -> None:
        if self._prepare:
            self._prepare()
        try:
            self._address = self._machine.set_up()
        except Exception as error:  # noqa: BLE001 - every failure goes to whoever awaits the start
            self._machine.tear_down()
            self._hand_over(ready, None, _explained(error))
            self._hand_over(self._over, None)
            return
        self._hand_over(ready, None)
        pulse_at = 0.0
        while self._running:
            self._woken = False  # before the jobs are read: one posted after the reading sends its own wake-up
            while self._jobs:
                self._jobs.popleft()()
            if self._pulse and (now := time.monotonic()) >= pulse_at:
                pulse_at = now + PULSE_S - PULSE_EARLY_S
                self.tell(self._pulse)
            self._machine.poll(SLEEP_MS if self._running else 0)
        self._machine.tear_down()
        self._hand_over(self._over, None)

    def _halt(self) -> None:
        self._running = False

    def _answer(self, function: Callable[[], T], result: "asyncio.Future[T]") -> None:
        try:
            value = function()
        except Exception as error:  # noqa: BLE001 - as above
            self._hand_over(result, None, _explained(error))
        else:
            self._hand_over(result, value)

    def _hand_over(self, future: "asyncio.Future[T]", value: T | None, error: Exception | None = None) -> None:
        def settle() -> None:
            if future.done():
                return
            if error:
                future.set_exception(error)
            else:
                future.set_result(value)  # type: ignore[arg-type]

        self.tell(settle)


def _explained(error: Exception) -> Exception:
    return SipError(f"{error.title}: {error.reason}") if isinstance(error, pj.Error) else error
