"""The one source of time: real in service, virtual in tests and simulations, so that nothing waits by chance."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall time, UTC, aware."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """Run `callback` in the running event loop after `delay_s`."""


async def sleep(clock: Clock, delay_s: float) -> None:
    over = asyncio.Event()
    timer = clock.call_later(delay_s, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()


class timeout:  # noqa: N801 - reads as asyncio.timeout does
    """`async with timeout(clock, 2.0):` raises TimeoutError when the clock has moved that far; None never does."""

    def __init__(self, clock: Clock, delay_s: float | None) -> None:
        self._clock, self._delay_s, self._inner = clock, delay_s, asyncio.timeout(None)
        self._timer: Timer | None = None

    async def __aenter__(self) -> asyncio.Timeout:
        await self._inner.__aenter__()
        if self._delay_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = self._clock.call_later(self._delay_s, lambda: self._inner.reschedule(loop.time()))
        return self._inner

    async def __aexit__(self, *exc_info: object) -> None:
        if self._timer:
            self._timer.cancel()
        await self._inner.__aexit__(*exc_info)  # type: ignore[arg-type]


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(delay_s, callback)


class _VirtualTimer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """Time that moves only by `advance`: a test of an hour takes a millisecond."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start, self._elapsed_s = start, 0.0
        self._timers: list[tuple[float, int, _VirtualTimer]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        return self._elapsed_s

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        timer = _VirtualTimer(callback)
        heapq.heappush(self._timers, (self._elapsed_s + delay_s, next(self._order), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Move on, firing due timers in order, and let what they woke run before the next one."""
        until = self._elapsed_s + seconds
        await self._settle()
        while self._timers and self._timers[0][0] <= until:
            due, _, timer = heapq.heappop(self._timers)
            self._elapsed_s = max(self._elapsed_s, due)
            if timer.callback:
                timer.callback()
            await self._settle()
        self._elapsed_s = until

    @staticmethod
    async def _settle() -> None:
        for _ in range(10):  # a chain of awaits takes a few turns of the loop to come to rest
            await asyncio.sleep(0)
