"""The SIP endpoint: listens on UDP and TCP, hands over each call as a Leg, and places calls."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import structlog

from voiceedge.audio.channel import Channel
from voiceedge.audio.pipeline import Pipeline
from voiceedge.config import Sip
from voiceedge.errors import SipError
from voiceedge.sip.accounts import Srtp
from voiceedge.sip.call import LiveCall, Order
from voiceedge.sip.dialog import read_replaces
from voiceedge.sip.events import Event
from voiceedge.sip.headers import FRONT_HEADERS, from_value, host_of, is_ipv4, is_target, outgoing, with_host
from voiceedge.sip.leg import Leg, LegFacts
from voiceedge.sip.pump import Pump
from voiceedge.sip.stack import Stack
from voiceedge.sip.trace import Talk

T = TypeVar("T")
log = structlog.get_logger()

RESOLVE_S = 5.0
TICK_S = 1.0  # how often calls without audio are looked for, while there are calls


class SipEndpoint:
    """One per process and lifetime of it: PJSIP cannot be started twice. Create it after any fork.

    All methods belong to the event loop that ran `start`. `on_incoming` is called there with a leg that has been told
    100 Trying; sooner or later it must be answered or rejected. `proxy`: address of the front's inner socket, through
    which all calls come and are placed; its headers (X-VoiceEdge-…) are believed and passed on then, SIP listens on
    127.0.0.1 by UDP only, and the settings' hosts are those of the audio. `most_incoming`: of all calls, where
    that is less than `capacity`. `prepare` and `pulse`: see Pump.
    """

    def __init__(
        self,
        settings: Sip,
        pipeline: Pipeline,
        on_incoming: Callable[[Leg], None],
        *,
        proxy: tuple[str, int] | None = None,
        most_incoming: int | None = None,
        prepare: Callable[[], None] | None = None,
        pulse: Callable[[], None] | None = None,
    ) -> None:
        self._settings, self._on_incoming, self._proxy = settings, on_incoming, proxy
        self.headers_out = (*settings.headers_out, *(FRONT_HEADERS if proxy else ()))
        self.transfer_targets = settings.transfer_targets
        route = f"sip:{proxy[0]}:{proxy[1]};lr" if proxy else None
        self._stack = Stack(settings, pipeline, self, route)
        self._stack.most_incoming = most_incoming
        self._pump = Pump(self._stack, prepare, pulse)
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

    def take_no_more(self) -> None:
        """From now on a new call is told 503; those that are up may still place calls."""
        self._stack.most_incoming = 0

    async def start(self) -> None:
        await self._pump.start()
        self._watch = asyncio.create_task(self._watch_calls(), name="sip-watch")
        tcp = self._settings.tcp and not self._proxy
        log.info("sip_listening", port=self.port, tcp=tcp, capacity=self.capacity)

    async def stop(self) -> None:
        """BYE to all, then the end of PJSIP. Every leg has had its Ended when this returns."""
        if self._watch:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        await self._pump.stop()

    async def call(
        self,
        uri: str,
        headers: Mapping[str, str] | None = None,
        *,
        caller_id: str | None = None,
        replaces: str | None = None,
        codecs: tuple[str, ...] = (),
        srtp: Srtp = "off",
    ) -> Leg:
        """Place a call; the leg tells by its events what becomes of it, from Progress to Answered or Ended.

        `caller_id`: the number shown (user part of From); without one the call is anonymous (RFC 3323). `replaces`:
        take the place of a dialog that `uri` has with somebody else (RFC 3891), as TransferAsked gives it. `codecs`:
        these only, in this order, of those configured. `srtp`: encrypt (RFC 4568) where the other side does, or must.
        """
        if not is_target(uri):
            raise SipError("This is no SIP URI that can be called: it should look like sip:NUMBER@HOST.")
        if not self._proxy:
            uri = await _resolved(uri)
        own = {} if caller_id else {"Privacy": "id"}
        if replaces and read_replaces(replaces):
            own["Replaces"] = replaces
        order = Order(
            uri=uri,
            headers=outgoing(headers, self.headers_out) | own,
            call_id=secrets.token_hex(16),
            sender=from_value(caller_id, self._stack.host),
            codecs=codecs,
            srtp=srtp,
        )
        try:
            return await self._pump.run(partial(self._stack.dial, order))
        except BaseException:  # whoever asked waits no more: it must not ring on, nor be answered, for nobody
            self._pump.post(partial(self._stack.take_back, order.call_id))
            raise

    async def ask(self, number: int, question: Callable[[LiveCall], T]) -> T:
        return await self._pump.run(partial(self._stack.put, number, question))

    async def ask_both(self, one: int, other: int, question: Callable[[LiveCall, LiveCall], T]) -> T:
        return await self._pump.run(partial(self._stack.put_both, one, other, question))

    async def traced(self, call_ids: Sequence[str]) -> list[Talk]:
        """What was said in SIP about these legs, of those that are up and the last that were."""
        return await self._pump.run(lambda: [self._stack.trace.of(call_id) for call_id in call_ids])

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

    def new_leg(self, number: int, channel: Channel, facts: LegFacts) -> Leg:
        return Leg(self, number, channel, facts)

    def admit(self, leg: Leg, incoming: bool) -> None:  # noqa: FBT001 - a callback
        self._pump.tell(partial(self._admitted, leg, incoming))

    def tell(self, leg: Leg, event: Event) -> None:
        self._pump.tell(partial(self._told, leg, event))

    def _admitted(self, leg: Leg, incoming: bool) -> None:  # noqa: FBT001
        self._legs[leg.number] = leg
        self._busy.set()
        if incoming:
            self._on_incoming(leg)

    def _told(self, leg: Leg, event: Event) -> None:
        leg.take_event(event)
        if leg.ended:
            self._legs.pop(leg.number, None)


async def _resolved(uri: str) -> str:
    """With an IPv4 address for its host: PJSIP would look a name up while every call's audio waits."""
    host = host_of(uri)
    if not host or is_ipv4(host):
        return uri
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await loop.getaddrinfo(host, None, family=socket.AF_INET)
    except (OSError, TimeoutError):
        raise SipError("The host of the number called is unknown; check its name and the name server.") from None
    return with_host(uri, str(found[0][4][0]))
