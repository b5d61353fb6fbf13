"""A leg: one call as the rest of the program sees it, in asyncio, for as long as it lasts and never beyond."""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

import structlog

from voiceedge.audio.channel import Channel
from voiceedge.errors import LegEndedError, SipError
from voiceedge.sip.call import FORBIDDEN, OK, REQUEST_PENDING, TRYING, LiveCall
from voiceedge.sip.dialog import DialogId, refer_to
from voiceedge.sip.events import Answered, Ended, Event, Key, Progress
from voiceedge.sip.headers import is_allowed, is_target, outgoing
from voiceedge.sip.keys import KEYS
from voiceedge.sip.quality import Quality
from voiceedge.sip.referral import DECLINED

T = TypeVar("T")
log = structlog.get_logger()

QUEUED_KEYS = 128  # that nobody has taken yet; a flood of further ones is dropped
HANG_UP_S = 2.0  # how long hang_up waits for the other side's word
TRANSFER_S = 30.0
OFFER_S = 10.0  # for the other side to answer a hold
GLARE_S = 2.1, 4.0  # before a hold that met the other side's is tried again (RFC 3261, 14.1)
GLARE_ATTEMPTS = 3

RINGING, SESSION_PROGRESS = 180, 183
_TIMEOUT = 408
_ACCEPTED = 202
_MULTIPLE = 300


class Desk(Protocol):
    """The endpoint, as a leg needs it."""

    headers_out: tuple[str, ...]
    transfer_targets: tuple[str, ...]

    async def ask(self, number: int, question: Callable[[LiveCall], T]) -> T:
        """Ask in the pump; LegEndedError when the call is over."""

    async def ask_both(self, one: int, other: int, question: Callable[[LiveCall, LiveCall], T]) -> T:
        """The same of two calls."""


@dataclass(frozen=True, slots=True)
class LegFacts:
    """What is known when the leg begins. `id` is the Call-ID; `caller` and `called` are user parts (personal data)."""

    id: str
    caller: str
    called: str
    remote_uri: str
    headers: Mapping[str, str] = field(default_factory=dict)
    is_placed: bool = False  # by us


@dataclass(slots=True)
class LegTimes:
    """When it came to what (time.monotonic_ns); None: it did not. `progressed_ns`: the first answer that is not 100."""

    progressed_ns: int | None = None
    answered_ns: int | None = None
    hung_up_ns: int | None = None  # by us
    ended_ns: int = 0


class Leg:
    """After Ended every method raises LegEndedError; `channel` is released then and refuses commands by NativeError."""

    def __init__(self, desk: Desk, number: int, channel: Channel, facts: LegFacts) -> None:
        self.number = number  # names the leg in logs, where a Call-ID could be anything
        self.channel = channel
        self.received_ns = time.monotonic_ns()
        self.ended: Ended | None = None
        self.times = LegTimes()
        self.may_transfer = False  # the other side's REFER is told (TransferAsked) instead of declined
        self.may_be_replaced = False  # another call may take this one's place (Replaced) instead of being refused
        self._facts = facts
        self._desk = desk
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._sent_on: asyncio.Future[int] | None = None

    @property
    def id(self) -> str:
        return self._facts.id

    @property
    def caller(self) -> str:
        return self._facts.caller

    @property
    def called(self) -> str:
        return self._facts.called

    @property
    def remote_uri(self) -> str:
        return self._facts.remote_uri

    @property
    def headers(self) -> Mapping[str, str]:
        return self._facts.headers

    @property
    def is_placed(self) -> bool:
        return self._facts.is_placed

    async def events(self) -> AsyncIterator[Event]:
        """All that happened and happens; ends after Ended. One listener at a time."""
        while True:
            while not self._events:
                self._news.clear()
                await self._news.wait()
            event = self._events.popleft()
            yield event
            if isinstance(event, Ended):
                return

    async def ringing(self) -> None:
        await self.progress(RINGING)

    async def progress(self, code: int = SESSION_PROGRESS) -> None:
        """180 Ringing, or 183 with an answer: from MediaUp on the caller hears what is played, before we answer."""
        if not TRYING < code < OK:
            raise SipError("Progress is told by a status between 101 and 199.")
        await self._ask(lambda call: call.progress(code))

    async def answer(self, headers: Mapping[str, str] | None = None) -> None:
        """200 OK. Audio may be played from MediaUp on, which comes at once."""
        allowed = outgoing(headers, self._desk.headers_out)
        await self._ask(lambda call: call.take(allowed))

    async def reject(self, code: int, headers: Mapping[str, str] | None = None) -> None:
        allowed = outgoing(headers, self._desk.headers_out)
        await self._ask(lambda call: call.refuse(code, allowed))

    async def hang_up(self, code: int = 0, reason: str = "") -> None:
        """BYE or CANCEL (with a Reason header where a reason is given), or the refusal `code` of an unanswered call."""
        self.times.hung_up_ns = time.monotonic_ns()
        await self._ask(lambda call: call.end("us", code, reason))
        try:
            async with asyncio.timeout(HANG_UP_S):
                await self._over.wait()
        except TimeoutError:
            log.info("sip_bye_unanswered", leg=self.number)  # Ended follows when PJSIP gives up

    async def gone(self) -> None:
        """Hang up because the line's tones say that the other side has: an analogue line knows no other way."""
        await self._ask(lambda call: call.end("caller", 0, ""))

    async def key_down(self, key: str, began_ns: int) -> None:
        """A key is heard in band: a Key follows unless it was told otherwise already."""
        await self._ask(lambda call: call.key_down(key, began_ns))

    async def key_up(self, ended_ns: int) -> None:
        await self._ask(lambda call: call.key_up(ended_ns))

    async def bridge(self, other: "Leg") -> None:
        """Let both other sides hear each other, as soon as both legs have audio, and until `unbridge` or an end.

        Each leg's channel goes on hearing its own other side alone, and speaking to it alone (a whisper). Holds and
        re-INVITEs undo nothing. Several bridges of one leg at once make a conference: three parties are three bridges.
        """
        self._check_alive()
        await self._desk.ask_both(self.number, other.number, lambda one, two: one.junction.add(two.junction))

    async def unbridge(self, other: "Leg") -> None:
        """Undo `bridge`; harmless where there is none, or where either leg has ended."""
        with contextlib.suppress(LegEndedError):
            await self._desk.ask_both(self.number, other.number, lambda one, two: one.junction.remove(two.junction))

    async def hold(self) -> None:
        """Put the other side on hold: it hears what we play, and we do not hear it. SipError where it refuses."""
        await self._offer(hold=True)

    async def resume(self) -> None:
        await self._offer(hold=False)

    async def quality(self) -> Quality | None:
        """What RTP and RTCP count so far; `Ended` has the last of it. None before any audio is agreed."""
        return await self._ask(LiveCall.quality)

    async def transfer(
        self,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        replaces: "Leg | None" = None,
        deadline_s: float = TRANSFER_S,
    ) -> int:
        """Send the other side on (REFER) and return what became of it, as a SIP status.

        With `replaces` it shall take the place we have in that leg (attended). 2xx: it took place, and the leg ends
        with cause `transfer`; 202 means that the other side accepted and hung up before it told the end. 403: refused,
        or not in `sip.transfer_targets` and never sent. 408: no word within `deadline_s`. Whatever is not 2xx leaves
        the leg as it was.
        """
        self._check_alive()
        if not is_target(target):
            raise SipError("This is no SIP or tel URI a call can be sent to; check the flow's transfer target.")
        if not is_allowed(target, self._desk.transfer_targets):
            log.warning("transfer_target_not_allowed", leg=self.number)
            return FORBIDDEN
        allowed = outgoing(headers, self._desk.headers_out)
        if replaces:
            target = refer_to(target, await replaces.dialog())
        told, result = self._promise()
        self._sent_on = result
        try:
            await self._ask(lambda call: call.transfer(target, allowed, told))
            async with asyncio.timeout(deadline_s):
                code = await result
        except TimeoutError:
            return _TIMEOUT
        finally:
            self._sent_on = None
        if code < _MULTIPLE:
            with contextlib.suppress(LegEndedError):  # the other side's BYE may be here before ours is away
                await self._ask(lambda call: call.end("transfer", OK, ""))
        return code

    async def accept_transfer(self) -> None:
        """202 to the TransferAsked, and the word that it is being tried."""
        await self._ask(LiveCall.accept_transfer)

    async def decline_transfer(self, code: int = DECLINED) -> None:
        await self._ask(lambda call: call.referral.answer(code))

    async def transfer_progress(self, code: int) -> None:
        """Tell the other side how far its transfer is (NOTIFY): 180, then a final status; on 2xx it hangs up."""
        await self._ask(lambda call: call.transfer_progress(code))

    async def send_key(self, key: str, duration_ms: int = 160) -> None:
        """Press a key (RFC 4733); returns when it has been queued behind keys still being sent."""
        if key not in KEYS:
            raise SipError(f"{key!r} is no key: use 0-9, *, # or A-D.")
        await self._ask(lambda call: call.press(key, duration_ms))

    def take_event(self, event: Event) -> None:
        """From the endpoint, in the event loop."""
        if self.ended:
            return
        if isinstance(event, Key) and len(self._events) >= QUEUED_KEYS:
            log.warning("keys_dropped", leg=self.number)
            return
        self._note_time(event)
        if isinstance(event, Ended):
            self.ended = event
            self.channel.release()
            self._over.set()
            if self._sent_on and not self._sent_on.done():
                if event.cause == "transfer":
                    self._sent_on.set_result(_ACCEPTED)
                else:
                    self._sent_on.set_exception(LegEndedError("The caller hung up before the transfer was accepted."))
        self._events.append(event)
        self._news.set()

    def _note_time(self, event: Event) -> None:
        times, now_ns = self.times, time.monotonic_ns()
        match event:
            case Progress():
                times.progressed_ns = times.progressed_ns or now_ns
            case Answered():
                times.answered_ns = now_ns
                times.progressed_ns = times.progressed_ns or now_ns
            case Ended():
                times.progressed_ns = times.progressed_ns or now_ns
                times.ended_ns = now_ns

    async def _offer(self, *, hold: bool) -> None:
        for attempt in range(GLARE_ATTEMPTS):
            if attempt:
                await asyncio.sleep(random.uniform(*GLARE_S))  # noqa: S311 - two sides shall not try in step
            told, result = self._promise()
            await self._ask(lambda call, told=told: call.offer(told, hold=hold))  # type: ignore[misc]
            try:
                async with asyncio.timeout(OFFER_S):
                    code = await result
            except TimeoutError:
                code = _TIMEOUT
            if code < _MULTIPLE:
                return
            if code != REQUEST_PENDING:
                break
        raise SipError(f"The other side does not {'go on hold' if hold else 'come back from hold'} (status {code}).")

    async def dialog(self) -> DialogId:
        """What names this leg to others; SipError before the other side has answered at all."""
        dialog = await self._ask(lambda call: call.dialog)
        if dialog is None:
            raise SipError("This leg is not answered yet: nobody can be put in its place.")
        return dialog

    def _promise(self) -> tuple[Callable[[int], None], "asyncio.Future[int]"]:
        """A status that the pump will tell, and how it does; LegEndedError where the leg ends before."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[int] = loop.create_future()

        def settle(code: int) -> None:
            if not result.done():
                result.set_result(code)

        return partial(_soon, loop, settle), result

    async def _ask(self, question: Callable[[LiveCall], T]) -> T:
        self._check_alive()
        return await self._desk.ask(self.number, question)

    def _check_alive(self) -> None:
        if self.ended:
            raise LegEndedError("This leg is over.")


def _soon(loop: asyncio.AbstractEventLoop, function: Callable[[int], None], code: int) -> None:
    loop.call_soon_threadsafe(function, code)
