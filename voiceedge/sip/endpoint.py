"""The SIP endpoint: listens on UDP and TCP, hands over each call as a Leg, and places calls."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import structlog

from voiceedge.audio.channel import Channel
from voiceedge.audio.pipeline import Pipeline
from voiceedge.config import Sip
from voiceedge.errors import SipError
from voiceedge.sip.call import LiveCall
from voiceedge.sip.events import Event
from voiceedge.sip.headers import is_target, outgoing
from voiceedge.sip.leg import Leg, LegFacts
from voiceedge.sip.pump import Pump
from voiceedge.sip.stack import Stack

T = TypeVar("T")
log = structlog.get_logger()

TICK_S = 1.0  # how often calls without audio are looked for, while there are calls


class SipEndpoint:
    """One per process and lifetime of it: PJSIP cannot be started twice. Create it after any fork.

    All methods belong to the event loop that ran `start`. `on_incoming` is called there with a leg that has been told
    100 Trying; sooner or later it must be answered or rejected.
    """

    def __init__(self, settings: Sip, pipeline: Pipeline, on_incoming: Callable[[Leg], None]) -> None:
        self._settings, self._on_incoming = settings, on_incoming
        self.headers_out = settings.headers_out
        self.transfer_targets = settings.transfer_targets
        self._stack = Stack(settings, pipeline, self._new_leg, self._admit, self._tell)
        self._pump = Pump(self._stack)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._legs: dict[int, Leg] = {}
        self._busy = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is really bound, where the settings asked for 0."""
        return self._stack.port

    @property
    def capacity(self) -> int:
        """Calls at once: what PJSIP was built for, or `sip.max_calls` where that is less."""
        return self._stack.capacity

    @property
    def active(self) -> int:
        return len(self._legs)

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._pump.start()
        self._watch = asyncio.create_task(self._watch_calls(), name="sip-watch")
        log.info("sip_listening", port=self.port, tcp=self._settings.tcp, capacity=self.capacity)

    async def stop(self) -> None:
        """BYE to all, then the end of PJSIP. Every leg has had its Ended when this returns."""
        if self._watch:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        await self._pump.stop()

    async def call(self, uri: str, headers: Mapping[str, str] | None = None) -> Leg:
        """Place a call; the leg tells by its events what becomes of it."""
        if not is_target(uri):
            raise SipError("This is no SIP URI that can be called: it should look like sip:NUMBER@HOST.")
        return await self._pump.run(partial(self._stack.dial, uri, outgoing(headers, self.headers_out)))

    async def ask(self, number: int, question: Callable[[LiveCall], T]) -> T:
        return await self._pump.run(partial(self._stack.put, number, question))

    async def _watch_calls(self) -> None:
        """Once a second while there are calls; no wake-up at all while there are none."""
        while True:
            await self._busy.wait()
            await asyncio.sleep(TICK_S)
            if not self._legs:
                self._busy.clear()
            try:
                await self._pump.run(self._stack.tick)
            except SipError as error:
                log.warning("sip_watch_failed", error=str(error))

    # --- called in the pump; the rest of each runs in the event loop ---

    def _new_leg(self, number: int, channel: Channel, facts: LegFacts) -> Leg:
        return Leg(self, number, channel, facts)

    def _admit(self, leg: Leg, incoming: bool) -> None:  # noqa: FBT001 - a callback
        self._soon(self._admitted, leg, incoming)

    def _tell(self, leg: Leg, event: Event) -> None:
        self._soon(self._told, leg, event)

    def _soon(self, function: Callable[..., None], *arguments: object) -> None:
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def _admitted(self, leg: Leg, incoming: bool) -> None:  # noqa: FBT001
        self._legs[leg.number] = leg
        self._busy.set()
        if incoming:
            self._on_incoming(leg)

    def _told(self, leg: Leg, event: Event) -> None:
        leg.take_event(event)
        if leg.ended:
            self._legs.pop(leg.number, None)
