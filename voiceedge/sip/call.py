"""The pump's side of a leg: PJSIP's callbacks turned into events, and the few things a leg may ask of PJSIP."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pjsua2 as pj
import structlog

from voiceedge.audio.media import ToldKey
from voiceedge.errors import NativeError, SipError
from voiceedge.sip import library
from voiceedge.sip.accounts import Srtp
from voiceedge.sip.callbacks import never_raises, parameters, received, sent
from voiceedge.sip.conference import Junction
from voiceedge.sip.dialog import DialogId, Refer, dialog_of
from voiceedge.sip.events import (
    Answered,
    Cause,
    Ended,
    Event,
    Held,
    MediaUp,
    Progress,
    Replaced,
    Resumed,
    TransferAsked,
)
from voiceedge.sip.headers import address, has_audio, one_line, q850_of, reason, values, with_codecs
from voiceedge.sip.keys import KeyPresses
from voiceedge.sip.quality import Meter, Quality
from voiceedge.sip.referral import Referral

log = structlog.get_logger()

if TYPE_CHECKING:
    from voiceedge.sip.leg import Leg

TRYING, OK, ACCEPTED, FORBIDDEN, REQUEST_PENDING = 100, 200, 202, 403, 491
_MULTIPLE = 300  # the first status that is no success
_MOST_HOPS = 3  # of a call that is redirected on and on
_UP = (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD, pj.PJSUA_CALL_MEDIA_LOCAL_HOLD)

Report = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Order:
    """A call to be placed. `sender` is the From value; `codecs`: these only, in this order."""

    uri: str
    headers: Mapping[str, str]
    call_id: str
    sender: str
    codecs: tuple[str, ...] = ()
    srtp: Srtp = "off"


class Owner(Protocol):
    """What a call asks of the endpoint, in the pump."""

    def over(self, call: "LiveCall") -> None: ...

    def may_follow(self, uri: str) -> bool:
        """Whether a call may go where a redirection points."""

    def watch_keys(self, call: "LiveCall", stream: int) -> None: ...


class LiveCall(pj.Call):  # type: ignore[misc]
    """One call while PJSIP knows it. After Ended no method may be called, and the owner keeps none."""

    def __init__(
        self,
        account: pj.Account,
        owner: Owner,
        leg: "Leg",
        *,
        report: Callable[[Event], None],
        call_id: int | None = None,
    ) -> None:
        super().__init__(account, pj.PJSUA_INVALID_ID if call_id is None else call_id)
        self.leg, self.number = leg, leg.number
        self.junction = Junction()
        self.dialog: DialogId | None = None  # once both sides have given it a tag
        self._owner, self._channel, self._report = owner, leg.channel, report
        self._incoming = call_id is not None
        self._confirmed = False
        self._confirmed_at = 0.0
        self._cause: Cause | None = None  # ours, where we end the call
        self._keys = KeyPresses()
        self._meter = Meter()
        self._media: int | None = None  # index of the audio stream that is up
        self._hears = False  # audio is due from the other side
        self._held = False  # by the other side
        self._port_open = False
        self._signs = -1
        self._signs_at = 0.0
        self._codecs: tuple[str, ...] = ()  # of our offers; none: all that are configured
        self._hops = 0
        self._moved_to = ""
        self._sent_on = False  # the other side has accepted a transfer, and has not said yet what became of it
        self._on_transfer: Report | None = None
        self._on_offer: Report | None = None
        self._referral: Referral | None = None

    @property
    def is_incoming(self) -> bool:
        return self._incoming

    # --- asked by the leg ---

    @property
    def confirmed(self) -> bool:
        return self._confirmed

    def tell(self, event: Event) -> None:
        self._report(event)

    def progress(self, code: int) -> None:
        self.answer(parameters(code))

    def take(self, headers: Mapping[str, str]) -> None:
        self.answer(parameters(OK, headers=headers))

    def refuse(self, code: int, headers: Mapping[str, str]) -> None:
        self._cause = "us"
        self.hangup(parameters(code, headers=headers))

    def dial(self, order: "Order") -> None:
        made = parameters(headers=order.headers)
        made.opt.customCallId = order.call_id
        made.txOption.localUri = order.sender
        self._codecs = order.codecs
        self.makeCall(order.uri, made)

    def end(self, cause: Cause, code: int, text: str) -> None:
        """BYE, CANCEL or a refusal, as the call's state demands. Once is enough: a BYE may already be on its way."""
        if self._cause:
            return
        why = {"Reason": reason(code or OK, text)} if text else {}
        refusal = code if self._incoming and not self._confirmed else 0
        self._cause = cause
        try:
            self.hangup(parameters(refusal, headers=why))
        except pj.Error:
            self._cause = None  # nothing was sent: it may be tried again
            raise

    def transfer(self, target: str, headers: Mapping[str, str], report: Report) -> None:
        self._on_transfer = report
        self.xfer(target, parameters(headers=headers))

    def offer(self, report: Report, *, hold: bool) -> None:
        """Put the other side on hold, or take it back; `report` gets the status of the re-INVITE."""
        if not self._confirmed:
            raise SipError("This leg is not answered yet: it cannot be held.")
        if self._on_offer:
            raise SipError("This leg is being held or resumed already.")
        asked = parameters()
        try:
            if hold:
                self.setHold(asked)
            else:
                asked.opt.flag = pj.PJSUA_CALL_UNHOLD
                self.reinvite(asked)
        except pj.Error:  # an offer of theirs or an older one of ours is still to be answered
            report(REQUEST_PENDING)
            return
        self._on_offer = report

    def refer(self, request: int, refer: Refer, replaces: "Leg | None", elsewhere: str) -> None:
        """Take a REFER of the other side for its owner to decide."""
        self._referral = Referral(request, refer.sequence, first=self._referral is None)
        self._report(TransferAsked(refer.target, replaces, elsewhere))

    @property
    def referral(self) -> Referral:
        if self._referral is None:
            raise SipError("Nobody has asked for a transfer of this leg.")
        return self._referral

    @property
    def referral_open(self) -> bool:
        return self._referral is not None and self._referral.open

    def repeated(self, sequence: int) -> Referral | None:
        """The REFER that `sequence` repeats."""
        return self._referral if self._referral and self._referral.sequence == sequence else None

    def accept_transfer(self) -> None:
        self.referral.answer(ACCEPTED)
        self.transfer_progress(TRYING)

    def transfer_progress(self, code: int) -> None:
        self.sendRequest(self.referral.notify(code))

    def replace_by(self, heir: "LiveCall") -> None:
        """Give up the place: our other side has asked `heir`'s to take it."""
        heir.take({})  # where that fails all stays as it is
        self.junction.hand_over(heir.junction)
        self._report(Replaced(heir.leg))
        self.end("transfer", 0, "")

    def quality(self) -> Quality | None:
        return self._meter.read(self)

    def press(self, key: str, duration_ms: int) -> None:
        sent = pj.CallSendDtmfParam()
        sent.method, sent.digits, sent.duration = pj.PJSUA_DTMF_METHOD_RFC2833, key, duration_ms
        self.sendDtmf(sent)

    def key_down(self, key: str, began_ns: int) -> None:
        if pressed := self._keys.in_band(key, began_ns, time.monotonic_ns()):
            self._report(pressed)

    def key_up(self, ended_ns: int) -> None:
        self._keys.in_band_over(ended_ns)

    def silent_for(self, now: float) -> float:
        """Seconds without a sign of the other side at the last tick; 0 while none is due (not answered, or on hold)."""
        if not self._confirmed:
            return 0.0
        if not self._hears:
            return 0.0 if self._port_open else now - self._confirmed_at
        if self._meter.signs_of_life != self._signs:
            self._signs, self._signs_at = self._meter.signs_of_life, now
        return now - self._signs_at

    def tick(self) -> None:
        self._meter.read(self)
        if self._referral:
            self._referral.lapse()

    # --- told by PJSIP ---

    @never_raises
    def onCallState(self, told: Any) -> None:  # noqa: N802
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_EARLY and not self._incoming:
            self._report(Progress(info.lastStatusCode, early_media=has_audio(received(told.e))))
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED and not self._confirmed:
            self._confirmed, self._confirmed_at = True, time.monotonic()
            self._signs = -1
            self._report(Answered())
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._over(info.lastStatusCode, one_line(info.lastReason, 120), received(told.e))

    def _over(self, code: int, text: str, last: str) -> None:
        quality = self.quality()
        library.retire(self)
        self.junction.leave()
        if self._referral:
            self._referral.drop()
        self._owner.over(self)
        self._close_port()
        self._report(Ended(self._cause or self._their_cause(code), code, text, q850_of(last), self._moved_to, quality))

    def _their_cause(self, code: int) -> Cause:
        if self._confirmed and code < _MULTIPLE:
            return "transfer" if self._sent_on else "caller"
        return "cancelled" if self._incoming and code == pj.PJSIP_SC_REQUEST_TERMINATED else "failed"

    @never_raises
    def onCallTsxState(self, told: Any) -> None:  # noqa: N802
        """Learn the dialog's tags, and what became of an offer of ours."""
        event = told.e  # each part is a pointer into the one before, and dies with it
        state = event.body.tsxState
        transaction = state.tsx
        if transaction.method != "INVITE":
            return
        ours = transaction.role == pj.PJSIP_ROLE_UAC
        if self.dialog is None and transaction.statusCode > TRYING:
            raw = received(event) if ours else sent(event)
            self.dialog = dialog_of(raw, from_us=ours)
        done = transaction.state in (pj.PJSIP_TSX_STATE_COMPLETED, pj.PJSIP_TSX_STATE_TERMINATED)
        if ours and done and self._confirmed and self._on_offer:
            report, self._on_offer = self._on_offer, None
            report(transaction.statusCode)

    @never_raises
    def onCallMediaState(self, _: Any) -> None:  # noqa: N802
        """Also after each hold, resume and re-INVITE: PJSIP may have made the stream, and its slot, anew."""
        first = not self._port_open
        info = self.getInfo()  # kept by name: its parts are pointers into it, and die with it
        slot, hears, speaks = None, False, True
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status in _UP:
                slot = None if media.audioConfSlot == pj.PJSUA_INVALID_ID else media.audioConfSlot
                hears = media.status == pj.PJSUA_CALL_MEDIA_ACTIVE and bool(media.dir & pj.PJMEDIA_DIR_DECODING)
                speaks = bool(media.dir & pj.PJMEDIA_DIR_ENCODING) and media.status != pj.PJSUA_CALL_MEDIA_REMOTE_HOLD
                break
        if hears != self._hears:
            self._hears, self._signs = hears, -1  # the time without audio begins anew
        if slot is not None:
            if not self._port_open:
                self._channel.open_port()
                self._port_open = True
            self._channel.connect(slot)
        self.junction.moved(slot)
        if first and self._port_open:
            self._report(MediaUp())
        self._note_hold(held=not speaks)

    def abandon(self) -> None:
        """PJSIP is about to be destroyed with this call still in it."""
        library.retire(self)
        self.junction.leave()
        self._close_port()
        self._report(Ended("us", pj.PJSIP_SC_SERVICE_UNAVAILABLE, "shutting down"))

    def _note_hold(self, *, held: bool) -> None:
        if held != self._held:
            self._held = held
            self._report(Held() if held else Resumed())

    def _close_port(self) -> None:
        if self._port_open:
            self._port_open = False
            try:
                self._channel.close_port()
            except NativeError as error:
                log.error("audio_port_stuck", error=str(error))  # noqa: TRY400

    @never_raises
    def onStreamCreated(self, told: Any) -> None:  # noqa: N802
        self._meter.begin(told.streamIdx)
        self._owner.watch_keys(self, int(told.stream))

    @never_raises
    def onStreamDestroyed(self, _: Any) -> None:  # noqa: N802
        self._meter.end(self)
        self.junction.slot = None  # PJSIP may give it to another

    @never_raises
    def onDtmfEvent(self, told: Any) -> None:  # noqa: N802
        if told.method == pj.PJSUA_DTMF_METHOD_RFC2833:
            return  # told by `told_key`
        if key := self._keys.info(told.digit, told.duration, time.monotonic_ns()):
            self._report(key)

    def told_key(self, told: ToldKey) -> None:
        if key := self._keys.rfc4733(told.key, told.timestamp, told.flags, told.duration_ms, told.at_ns):
            self._report(key)

    @never_raises
    def onCallTransferStatus(self, told: Any) -> None:  # noqa: N802
        self._sent_on = not told.finalNotify and told.statusCode < _MULTIPLE
        if told.finalNotify:
            told.cont = False
            if self._on_transfer:
                self._on_transfer(told.statusCode)

    def onCallRedirected(self, told: Any) -> int:  # noqa: N802
        try:
            target = address(told.targetUri)  # PJSIP says it without its port
            if self._hops < _MOST_HOPS and self._owner.may_follow(target):
                self._hops += 1
                return int(pj.PJSIP_REDIRECT_ACCEPT_REPLACE)
            event = told.e
            self._moved_to = next(map(address, values(received(event), "contact", "m")), target)
        except Exception as error:  # noqa: BLE001 - as in never_raises
            log.error("sip_callback_failed", callback="onCallRedirected", error=type(error).__name__)  # noqa: TRY400
        return int(pj.PJSIP_REDIRECT_REJECT)

    @never_raises
    def onCallSdpCreated(self, told: Any) -> None:  # noqa: N802
        if self._codecs and not told.remSdp.wholeSdp:
            told.sdp.wholeSdp = with_codecs(told.sdp.wholeSdp, self._codecs)

    def onCallReplaceRequest(self, told: Any) -> None:  # noqa: N802
        told.statusCode = FORBIDDEN  # the gate has taken the header from those we allow
