"""The SIP stack as the pump drives it: every object of PJSIP lives and dies here, in the pump's thread."""

import gc
import itertools
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import pjsua2 as pj
import structlog

from voiceedge.audio.channel import Channel
from voiceedge.audio.media import MediaThread
from voiceedge.audio.pipeline import Pipeline
from voiceedge.config import Sip
from voiceedge.errors import LegEndedError, SipError
from voiceedge.sip import library
from voiceedge.sip.accounts import BRIDGE_RATE, FRAME_MS, Account, Accounts, choose_codecs, library_settings
from voiceedge.sip.call import FORBIDDEN, REQUEST_PENDING, LiveCall, Order
from voiceedge.sip.callbacks import never_raises
from voiceedge.sip.dialog import DialogId, read_refer, read_replaces
from voiceedge.sip.events import Ended, Event
from voiceedge.sip.gate import Gate
from voiceedge.sip.headers import FRONT_HEADERS, host_of, is_allowed, is_ipv4, read_request, user_part, values
from voiceedge.sip.leg import Leg, LegFacts
from voiceedge.sip.referral import DECLINED
from voiceedge.sip.trace import Trace
from voiceedge.sip.turnstile import Turnstile

_REPLACES = re.compile(r"\n\s*replaces\s*:", re.IGNORECASE)  # few have it: the others' headers need not be read for it
T = TypeVar("T")
log = structlog.get_logger()

TRANSACTION_S = 8  # a dead caller holds a slot this long, not PJSIP's 32 s
FAREWELL_S = 2.0  # how long tear_down waits for the other sides to confirm our BYEs


class _Endpoint(pj.Endpoint):  # type: ignore[misc]
    turnstile: Turnstile | None = None

    @never_raises
    def onTransportState(self, told: Any) -> None:  # noqa: N802
        if self.turnstile and told.type.startswith("TCP"):
            self.turnstile.changed(told)


class Desk(Protocol):
    """The endpoint, as the pump needs it: `admit` and `tell` carry a leg and its events to the event loop, in order."""

    def new_leg(self, number: int, channel: Channel, facts: LegFacts) -> Leg: ...

    def admit(self, leg: Leg, incoming: bool) -> None: ...  # noqa: FBT001

    def tell(self, leg: Leg, event: Event) -> None: ...


class Stack:
    """`proxy`: a Route through which every call goes out."""

    def __init__(self, settings: Sip, pipeline: Pipeline, desk: Desk, proxy: str | None) -> None:
        self._settings, self._pipeline, self._proxy = settings, pipeline, proxy
        self._headers_in = (*settings.headers_in, *(FRONT_HEADERS if proxy else ()))
        self._desk = desk
        self.port = 0
        self.host = ""  # as From names us: address and port
        self.capacity = 0
        self.most_incoming: int | None = None
        self._endpoint: _Endpoint | None = None
        self._accounts: Accounts | None = None
        self._gate: Gate | None = None
        self._calls: dict[int, LiveCall] = {}
        self._ended: list[LiveCall] = []
        self._numbers = itertools.count(1)
        self._media: MediaThread | None = None
        self.trace = Trace()

    # --- the pump's machine ---

    def set_up(self) -> tuple[str, int]:
        library.silence_log()
        self._endpoint = _Endpoint()
        self._endpoint.libCreate()
        self._endpoint.libInit(library_settings())
        library.set_transaction_timeout(TRANSACTION_S)
        library.keep_to_udp()
        library.halve_g722()
        self._pipeline.bridge_self_test()
        most = self._settings.max_calls or library.call_slots()
        self.capacity = min(most, library.call_slots())
        choose_codecs(self._endpoint, self._settings.codecs)
        self._accounts = Accounts(self._endpoint, self._settings, self._proxy, self._invited)
        library.check_call_layout(self._accounts.incoming)
        self.port, self.host = self._accounts.port, self._accounts.host
        self._endpoint.libStart()
        self._media = MediaThread(BRIDGE_RATE, FRAME_MS, self._accounts.address)
        if self._settings.tcp and not self._proxy:
            self._endpoint.turnstile = Turnstile(self._endpoint, self.port)
        self.trace.watch()
        self._gate = Gate(self, self._settings.retry_after_s, self._settings.codecs)
        return self._accounts.address

    def poll(self, timeout_ms: int) -> None:
        if self._gate:
            with self.trace.repeating():
                timeout_ms = self._gate.let_in_held(timeout_ms)
        if self._media:
            self._tell_keys(self._media)
        endpoint = self._pj()
        if endpoint.turnstile:
            timeout_ms = endpoint.turnstile.let_in(timeout_ms)
        endpoint.libHandleEvents(timeout_ms)
        self._ended.clear()  # their destructors run here, outside their own callbacks

    def tear_down(self) -> None:
        if self._endpoint is None:
            return
        for call in list(self._calls.values()):
            try:
                call.end("us", pj.PJSIP_SC_SERVICE_UNAVAILABLE, "shutting down")
            except pj.Error:
                log.warning("sip_bye_failed")
        until = time.monotonic() + FAREWELL_S
        while self._calls and time.monotonic() < until:
            self.poll(FRAME_MS)
        for call in self._calls.values():
            call.abandon()
        for _ in range(3 if self._media and self._media.runs else 0):  # the bridge lets go of ports at its next tick
            self.poll(FRAME_MS)
        self._calls.clear()
        self._ended.clear()
        self._accounts = None
        if self._media:
            self._media.close()
            self._media = None
        if self._endpoint.turnstile:
            self._endpoint.turnstile.close()
            self._endpoint.turnstile = None
        gc.collect()  # whatever outlives libDestroy aborts the process in its destructor
        self._endpoint.libDestroy()
        self._endpoint = None
        gc.collect()

    # --- asked by the endpoint ---

    def put(self, number: int, question: Callable[[LiveCall], T]) -> T:
        call = self._calls.get(number)
        if call is None:
            raise LegEndedError("This leg is over.")
        try:
            return question(call)
        except pj.Error:
            if number not in self._calls:  # it ended under our hands
                raise LegEndedError("This leg is over.") from None
            raise

    def put_both(self, one: int, other: int, question: Callable[[LiveCall, LiveCall], T]) -> T:
        return self.put(one, lambda first: self.put(other, lambda second: question(first, second)))

    def dial(self, order: Order) -> Leg:
        if self.is_full():
            raise SipError("No line is free: wait for a call to end, or raise sip.max_calls.")
        self._run_media()
        channel = self._pipeline.channel(rate=BRIDGE_RATE, frame_ms=FRAME_MS)
        number = next(self._numbers)
        facts = LegFacts(order.call_id, "", user_part(order.uri), order.uri, is_placed=True)
        leg = self._desk.new_leg(number, channel, facts)
        call = self._enter(leg, self._lines().by_srtp(order.srtp), incoming=False)
        try:
            call.dial(order)
        except pj.Error as error:
            if number in self._calls:
                library.retire(call)
                self.over(call)
                self._desk.tell(leg, Ended("failed", pj.PJSIP_SC_SERVICE_UNAVAILABLE, "not sent"))
            raise SipError(f"The call could not be placed: {error.reason}") from None
        return leg

    def take_back(self, call_id: str) -> None:
        """End a call that was placed for nobody; harmless where it was not."""
        for call in [call for call in self._calls.values() if call.leg.id == call_id]:
            try:
                call.end("us", 0, "")
            except pj.Error as error:
                log.warning("sip_call_not_taken_back", leg=call.number, reason=error.reason)

    def tick(self) -> None:
        """Now and then while there are calls, and once after the last."""
        now = time.monotonic()
        for call in list(self._calls.values()):
            try:
                call.tick()
                if call.silent_for(now) >= self._settings.no_rtp_s:
                    call.end("no_rtp", pj.PJSIP_SC_REQUEST_TIMEOUT, "no audio received")
            except pj.Error as error:  # of this call only
                log.warning("sip_call_not_watched", leg=call.number, reason=error.reason)
        if not self._calls and self._media:
            self._media.rest()

    # --- told by calls ---

    def over(self, call: LiveCall) -> None:
        del self._calls[call.number]
        self._ended.append(call)
        self.trace.over(call.leg.id)

    def may_follow(self, uri: str) -> bool:
        is_reachable = self._proxy is not None or is_ipv4(host_of(uri))
        return is_reachable and is_allowed(uri, self._settings.transfer_targets)

    # --- asked by the gate ---

    def referred(self, request: int) -> None:
        """A REFER, answered here and now or by the leg's owner later."""
        refer = read_refer(library.text_of(request))
        call = self._of_dialog(refer.dialog) if refer else None
        if refer is None or call is None or not call.confirmed or not call.leg.may_transfer:
            library.respond(request, DECLINED)
            return
        if former := call.repeated(refer.sequence):
            former.repeat(request)
        elif call.referral_open:
            library.respond(request, REQUEST_PENDING)
        else:
            named = read_replaces(refer.replaces) if refer.replaces else None
            known = self._of_dialog(named) if named else None
            elsewhere = "" if known else refer.replaces or ""
            call.refer(request, refer, known.leg if known else None, elsewhere)

    def replaced(self, request: int) -> int:
        """Whether an INVITE may take the place of the call that its Replaces names: 0 yes, or the refusing status.

        PJSIP must not see the header then: it would take the place for it, and the new call would have no object.
        """
        raw = library.text_of(request)
        named = values(raw, "replaces") if _REPLACES.search(raw) else []
        if not named:
            return 0
        dialog = read_replaces(named[0]) if len(named) == 1 else None
        call = self._of_dialog(dialog) if dialog else None
        if dialog is None:
            return int(pj.PJSIP_SC_BAD_REQUEST)
        if call is None or not call.confirmed:
            return int(pj.PJSIP_SC_CALL_TSX_DOES_NOT_EXIST)
        is_agents = not self._proxy or bool(values(raw, "x-voiceedge-agent"))
        if not (call.leg.may_be_replaced and is_agents):  # RFC 3891, 3: only who is known to us takes a call over
            return FORBIDDEN
        library.take_header(request, b"Replaces")
        return 0

    def _of_dialog(self, dialog: DialogId) -> LiveCall | None:
        return next((call for call in self._calls.values() if call.dialog == dialog), None)

    def watch_keys(self, call: LiveCall, stream: int) -> None:
        if self._media:
            self._media.watch_keys(stream, call.getId(), call.number)

    # --- inside ---

    def _pj(self) -> _Endpoint:
        if self._endpoint is None:
            raise SipError("The SIP endpoint is not running.")
        return self._endpoint

    def _lines(self) -> Accounts:
        if self._accounts is None:
            raise SipError("The SIP endpoint is not running.")
        return self._accounts

    def is_full(self) -> bool:
        return max(len(self._calls), library.calls_held()) >= self.capacity

    def takes_no_more(self) -> bool:
        incoming = sum(call.is_incoming for call in self._calls.values())
        return self.is_full() or (self.most_incoming is not None and incoming >= self.most_incoming)

    def _invited(self, call_id: int, raw: str) -> None:
        request = read_request(raw, self._headers_in)
        self._run_media()
        channel = self._pipeline.channel(rate=BRIDGE_RATE, frame_ms=FRAME_MS)
        facts = LegFacts(request.call_id, request.caller, request.called, request.remote_uri, request.headers)
        named = values(raw, "replaces") if _REPLACES.search(raw) else []
        dialog = read_replaces(named[0]) if named else None
        former = self._of_dialog(dialog) if dialog else None
        incoming = request.is_reachable and former is None
        leg = self._desk.new_leg(next(self._numbers), channel, facts)
        call = self._enter(leg, self._lines().incoming, incoming=incoming, call_id=call_id)
        if not request.is_reachable:  # PJSIP would look the name up while every call's audio waits
            log.warning("sip_name_in_contact", remedy="let the other side write its IPv4 address into Contact")
            call.refuse(pj.PJSIP_SC_BAD_REQUEST, {})
        elif former:
            try:
                former.replace_by(call)
            except pj.Error as error:
                log.warning("sip_not_replaced", leg=former.number, reason=error.reason)
                call.refuse(pj.PJSIP_SC_NOT_ACCEPTABLE_HERE, {})

    def _enter(self, leg: Leg, account: Account, *, incoming: bool, call_id: int | None = None) -> LiveCall:
        call = LiveCall(account, self, leg, report=partial(self._desk.tell, leg), call_id=call_id)
        self._calls[leg.number] = call
        self.trace.begin(leg.id)
        self._desk.admit(leg, incoming)
        return call

    def _run_media(self) -> None:
        """A wake-up for each frame: only while somebody calls."""
        if self._media:
            self._media.run()

    def _tell_keys(self, media: MediaThread) -> None:
        for key in media.new_keys():
            if call := self._calls.get(key.call):
                call.told_key(key)
