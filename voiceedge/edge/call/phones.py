"""Which agents' phones are on a call at this worker, told to control so that no queue rings them meanwhile."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import structlog

from voiceedge.clock import Clock, sleep, timeout
from voiceedge.edge.between.link import LinkClient
from voiceedge.errors import LinkError
from voiceedge.switch.queues.messages import RENEW_S, PhonesBusy

ASK_S = 5.0
AGAIN_S = 1.0

log = structlog.get_logger()


class Phones:
    """By their SIP addresses; one may have several calls."""

    def __init__(self, control: LinkClient, clock: Clock, worker: str) -> None:
        self._control, self._clock, self._worker = control, clock, worker
        self._calls: Counter[str] = Counter()
        self._changed = asyncio.Event()

    def begin(self, phone: str) -> None:
        self._calls[phone] += 1
        if self._calls[phone] == 1:
            self._changed.set()

    def end(self, phone: str) -> None:
        self._calls[phone] -= 1
        if not self._calls[phone]:
            del self._calls[phone]
            self._changed.set()

    @contextmanager
    def on_a_call(self, phone: str | None) -> Iterator[None]:
        """None: it is nobody's phone."""
        if phone is None:
            yield
            return
        self.begin(phone)
        try:
            yield
        finally:
            self.end(phone)

    async def tell_forever(self) -> NoReturn:
        """All of them on each change and, while there are any, now and then: control forgets what it hears no more."""
        while True:
            self._changed.clear()
            busy = PhonesBusy(worker=self._worker, phones=tuple(sorted(self._calls)))
            try:
                await self._control.request("phones_busy", busy.model_dump(mode="json"), timeout_s=ASK_S)
            except LinkError as error:
                log.debug("phones_not_told", problem=str(error))
                await sleep(self._clock, AGAIN_S)
                continue
            with suppress(TimeoutError):
                async with timeout(self._clock, RENEW_S if busy.phones else None):
                    await self._changed.wait()
