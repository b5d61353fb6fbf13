"""The pump's side of a leg: PJSIP's callbacks turned into events, and the few things a leg may ask of PJSIP."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import pjsua2 as pj
import structlog

from voiceedge.audio.channel import Channel
from voiceedge.errors import NativeError
from voiceedge.sip import library
from voiceedge.sip.events import Answered, Cause, Ended, Event, MediaUp
from voiceedge.sip.headers import one_line, reason
from voiceedge.sip.keys import KeyPresses

S = TypeVar("S")
log = structlog.get_logger()

OK, FORBIDDEN = 200, 403
_MULTIPLE = 300  # the first status that is no success

TransferReport = Callable[[int], None]


class Owner(Protocol):
    """What a call asks of the endpoint, in the pump."""

    def over(self, call: "LiveCall") -> None: ...


def never_raises(callback: Callable[[S, Any], None]) -> Callable[[S, Any], None]:
    """PJSIP swallows what a callback raises and goes on with half of the work undone: at least say so."""

    @functools.wraps(callback)
    def guarded(self: S, told: Any) -> None:
        try:
            callback(self, told)
        except Exception as error:  # noqa: BLE001 - see above
            log.error("sip_callback_failed", callback=callback.__name__, error=type(error).__name__)  # noqa: TRY400

    return guarded


class LiveCall(pj.Call):  # type: ignore[misc]
    """One call while PJSIP knows it. After Ended no method may be called, and the owner keeps none."""

    def __init__(
        self,
        account: pj.Account,
        owner: Owner,
        number: int,
        *,
        channel: Channel,
        report: Callable[[Event], None],
        call_id: int | None = None,
    ) -> None:
        super().__init__(account, pj.PJSUA_INVALID_ID if call_id is None else call_id)
        self.number = number
        self._owner, self._channel, self._report = owner, channel, report
        self._incoming = call_id is not None
        self._confirmed = False
        self._confirmed_at = 0.0
        self._cause: Cause | None = None  # ours, where we end the call
        self._keys = KeyPresses()
        self._media: int | None = None  # index of the audio stream that is up
        self._port_open = False
        self._packets = -1
        self._packets_at = 0.0
        self._sent_on = False  # the other side has accepted a transfer, and has not said yet what became of it
        self.on_transfer: TransferReport | None = None

    # --- asked by the leg ---

    def ring(self) -> None:
        self.answer(parameters(180))

    def take(self, headers: Mapping[str, str]) -> None:
        self.answer(parameters(OK, headers=headers))

    def refuse(self, code: int, headers: Mapping[str, str]) -> None:
        self._cause = "us"
        self.hangup(parameters(code, headers=headers))

    def dial(self, uri: str, headers: Mapping[str, str]) -> None:
        self.makeCall(uri, parameters(headers=headers))

    def end(self, cause: Cause, code: int, text: str) -> None:
        """BYE, CANCEL or a refusal, as the call's state demands. Once is enough: a BYE may already be on its way."""
        if self._cause:
            return
        why = {"Reason": reason(code or OK, text)} if text else {}
        self._cause = cause
        try:
            self.hangup(parameters(0 if self._confirmed else code, headers=why))
        except pj.Error:
            self._cause = None  # nothing was sent: it may be tried again
            raise

    def transfer(self, target: str, headers: Mapping[str, str], report: TransferReport) -> None:
        self.on_transfer = report
        self.xfer(target, parameters(headers=headers))

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
        """Seconds without a packet from the other side; 0 while none is due (not answered yet, or on hold)."""
        if self._media is None:
            return now - self._confirmed_at if self._confirmed and not self._port_open else 0.0
        stat = self.getStreamStat(self._media)  # kept by name, as in onCallMediaState
        packets = stat.rtcp.rxStat.pkt
        if packets != self._packets:
            self._packets, self._packets_at = packets, now
        return now - self._packets_at

    # --- told by PJSIP ---

    @never_raises
    def onCallState(self, _: Any) -> None:  # noqa: N802
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED and not self._confirmed:
            self._confirmed, self._confirmed_at = True, time.monotonic()
            self._report(Answered())
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            code, text = info.lastStatusCode, one_line(info.lastReason, 120)
            library.retire(self)
            self._owner.over(self)
            self._close_port()
            self._report(Ended(self._cause or self._their_cause(code), code, text))

    def _their_cause(self, code: int) -> Cause:
        if self._confirmed and code < _MULTIPLE:
            return "transfer" if self._sent_on else "caller"
        return "cancelled" if self._incoming and code == pj.PJSIP_SC_REQUEST_TERMINATED else "failed"

    @never_raises
    def onCallMediaState(self, _: Any) -> None:  # noqa: N802
        """Also after each hold, resume and re-INVITE: PJSIP may have made the stream, and its slot, anew."""
        first = not self._port_open
        info = self.getInfo()  # kept by name: its parts are pointers into it, and die with it
        self._media = None
        for media in info.media:
            up = media.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD)
            if media.type != pj.PJMEDIA_TYPE_AUDIO or not up or media.audioConfSlot == pj.PJSUA_INVALID_ID:
                continue
            if not self._port_open:
                self._channel.open_port()
                self._port_open = True
            self._channel.connect(media.audioConfSlot)
            if media.status == pj.PJSUA_CALL_MEDIA_ACTIVE and media.dir & pj.PJMEDIA_DIR_DECODING:
                self._media = media.index
                self._packets = -1  # the time without audio begins anew
            break
        if first and self._port_open:
            self._report(MediaUp())

    def abandon(self) -> None:
        """PJSIP is about to be destroyed with this call still in it."""
        library.retire(self)
        self._close_port()
        self._report(Ended("us", pj.PJSIP_SC_SERVICE_UNAVAILABLE, "shutting down"))

    def _close_port(self) -> None:
        if self._port_open:
            self._port_open = False
            try:
                self._channel.close_port()
            except NativeError as error:
                log.error("audio_port_stuck", error=str(error))  # noqa: TRY400

    @never_raises
    def onDtmfEvent(self, told: Any) -> None:  # noqa: N802
        now_ns = time.monotonic_ns()
        if told.method == pj.PJSUA_DTMF_METHOD_RFC2833:
            key = self._keys.rfc4733(told.digit, told.timestamp, told.flags, told.duration, now_ns)
        else:
            key = self._keys.info(told.digit, told.duration, now_ns)
        if key:
            self._report(key)

    @never_raises
    def onCallTransferStatus(self, told: Any) -> None:  # noqa: N802
        self._sent_on = not told.finalNotify and told.statusCode < _MULTIPLE
        if told.finalNotify:
            told.cont = False
            if self.on_transfer:
                self.on_transfer(told.statusCode)

    def onCallReplaceRequest(self, told: Any) -> None:  # noqa: N802
        told.statusCode = FORBIDDEN  # nobody takes over a stranger's call


def parameters(code: int = 0, headers: Mapping[str, str] | None = None) -> pj.CallOpParam:
    made = pj.CallOpParam(True)  # without True its settings are whatever lay in memory
    made.opt.audioCount, made.opt.videoCount = 1, 0
    made.statusCode = code
    for name, value in (headers or {}).items():
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        made.txOption.headers.push_back(header)
    return made
