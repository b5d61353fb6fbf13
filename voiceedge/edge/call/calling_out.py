"""Calls out that control orders: dialled by the plan's trunks, listened to when answered, and served by a flow."""

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import structlog

from voiceedge.audio.channel import HEARD_RATE
from voiceedge.audio.events import AudioEvent, Offset, Onset, ToneBegun, ToneEnded
from voiceedge.audio.tones import ToneKind
from voiceedge.clock import timeout
from voiceedge.context.events.call import CallAnswered, CallStarted
from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.edge.between.link import Handler, Head
from voiceedge.edge.call.lines import Candidate, Way
from voiceedge.edge.call.origin import Origin
from voiceedge.edge.call.outbound_desk import OutboundDesk
from voiceedge.edge.call.session import Session
from voiceedge.edge.call.surroundings import Surroundings
from voiceedge.errors import SipError
from voiceedge.flow.call import CallEnded
from voiceedge.sip.events import Answered, Key
from voiceedge.sip.leg import Leg
from voiceedge.switch.outbound.answering import Answering, Verdict
from voiceedge.switch.outbound.messages import AnsweredBy, CallOrder, Report
from voiceedge.switch.outbound.model import Result
from voiceedge.switch.outgoing import TRUNK_HEADER
from voiceedge.switch.routing import Incoming

BEEP_WAIT_S = 40.0  # for the end of a machine's greeting
QUIET_S = 3.0  # after its last word, where it has no beep
ANNOUNCED_S = 1.5  # of voice before the answer: a carrier has told why nobody can be reached

_BUSY, _NO_ANSWER, _INVALID = {486, 600}, {408, 480, 487, 603}, {404, 410, 484, 604}
_UNALLOCATED, _USER_BUSY = 1, 17  # ITU-T Q.850

log = structlog.get_logger()


class CallsOut:
    """`begin` runs one as a call of this worker: it counts, and is waited for, as those that came in.

    While `serving`, what is heard on a leg is told to its session.
    """

    def __init__(
        self,
        around: Surroundings,
        desk: OutboundDesk,
        begin: Callable[[Coroutine[Any, Any, None]], None],
        serving: Callable[[Leg, Session], AbstractContextManager[None]],
        stopping: Callable[[], bool],
    ) -> None:
        self._around, self._desk, self._begin = around, desk, begin
        self._serving, self._stopping = serving, stopping
        self._up: set[str] = set()

    def handlers(self) -> dict[str, Handler]:
        async def outbound(head: Head, _: bytes) -> Head:
            order = CallOrder.model_validate(head)
            if order.call not in self._up:  # asked again by somebody who did not hear our answer
                self._up.add(order.call)
                self._begin(self._serve(order))
            return {}

        return {"outbound": outbound}

    async def _serve(self, order: CallOrder) -> None:
        keeping = self._around.lines.spawn(self._desk.keep(order.call))
        report = _report(order, Result.FAILED)
        try:
            with structlog.contextvars.bound_contextvars(conversation=order.conversation, order=order.order):
                report = await self._call(order)
        except Exception:
            log.exception("call_out_failed")  # this one only
        finally:
            keeping.cancel()
        try:
            await self._desk.said(report)
        finally:
            self._up.discard(order.call)

    async def _call(self, order: CallOrder) -> Report:
        """One trunk after the other, until one takes it."""
        lines = self._around.lines
        found = lines.find(order.number, caller_id=order.caller_id)
        if not isinstance(found, Candidate):
            log.warning("call_out_refused", why=found.why if found else "no such number")
            return _report(order, Result.REFUSED)
        if order.flow not in self._around.book.flows:
            log.warning("call_out_refused", why=f"there is no flow {order.flow}")
            return _report(order, Result.REFUSED)
        report = _report(order, Result.NOT_PLACED)
        for way in found.ways:
            try:
                leg = await lines.place(way)
            except SipError as error:
                log.warning("call_not_placed", problem=str(error))
                continue
            visit = Visit(leg, way, order, self._around, self._stopping)
            try:
                with self._serving(leg, visit):
                    await visit.run()
            finally:
                lines.forget(leg.channel)
            report = visit.report
            if report.result is not Result.FAILED:
                break
        return report


class Visit(Session):
    """One leg to somebody, from INVITE to its last event."""

    role = "other"

    def __init__(
        self, leg: Leg, way: Way, order: CallOrder, around: Surroundings, stopping: Callable[[], bool]
    ) -> None:
        # As in a call that came in, the customer is the caller of the flow: it looks up and dials for them.
        origin = Origin(Incoming(order.number, order.number, way.headers.get(TRUNK_HEADER, "")), {})
        super().__init__(leg, around, stopping, origin=origin, conversation=order.conversation)
        declared = around.book.flows[order.flow].header.slots
        given = {name: value for name, value in order.slots.items() if name in declared}
        self._facts = replace(self._facts, given=given)
        self._order = order
        self._flow = order.flow
        self._result = Result.FAILED
        self._by: AnsweredBy | None = None
        self._is_undecided, self._has_beeped = True, False
        self._voice: float | None = None  # since when somebody is heard, in samples
        self._voiced_s = 0.0

    @property
    def report(self) -> Report:
        """What came of it; to be asked when it has run."""
        return _report(self._order, self._result, self._by, self._outcome)

    async def run(self) -> None:
        order = self._order
        self._journal.record(
            CallStarted(
                call_id=self._leg.id,
                direction="out",
                caller="",
                customer=self._around.customer_of(order.number),
                called=mask(order.number, PersonalDataClass.PERSONAL),
                flow=order.flow,
                trunk=self._origin.call.trunk or None,
            )
        )
        await self._live(self._reach())

    def hear(self, event: AudioEvent) -> None:
        if self._is_undecided and isinstance(event, ToneBegun | ToneEnded):
            self.inbox.post(event)
            if isinstance(event, ToneBegun):
                self._note_tone(event.kind, event.level_dbov)
        else:
            super().hear(event)

    async def _connect(self) -> None:
        """It is."""

    async def _reach(self) -> None:
        try:
            if not await self._is_answered():
                return
            self._note_answer()
            if not await self._is_to_be_served():
                return
        except CallEnded:
            if self._answered is not None:  # they hung up before we had said a word
                self._by = self._by or "person"
                self._result = Result.DONE
                self._outcome = "caller_hung_up"
            else:
                self._result = self._why_unanswered()
            return
        self._is_undecided = False
        self._facts = replace(self._facts, answered_by=self._by or "")
        self._result = Result.DONE
        await self._serve(self._around.book.flows, self._order.flow)

    async def _is_answered(self) -> bool:
        """Raises CallEnded where they, or the carrier, say that they will not."""
        try:
            async with timeout(self._around.clock, self._order.ring_s):
                while True:
                    match await self.inbox.next(None):
                        case Answered():
                            return True
                        case Onset(position=position):
                            self._voice = position
                        case Offset(position=position) if self._voice is not None:
                            self._voiced_s += (position - self._voice) / HEARD_RATE
                            self._voice = None
                        case ToneBegun(kind=ToneKind.BUSY | ToneKind.CONGESTION):
                            self._result = Result.BUSY
                            return False
                        case ToneBegun(kind=ToneKind.INFORMATION):
                            self._result = Result.NO_ANSWER
                            return False
        except TimeoutError:
            self._result = Result.NO_ANSWER
            return False

    def _note_answer(self) -> None:
        clock = self._around.clock
        self._answered = clock.monotonic()
        self._journal.record(CallAnswered(call_id=self._leg.id, set_up_ms=round((self._answered - self._began) * 1000)))

    async def _is_to_be_served(self) -> bool:
        if self._order.machine == "off":
            return True
        verdict = await self._listen()
        log.info("answered_by", verdict=verdict)
        match verdict:
            case "busy":
                self._result = Result.BUSY
            case "announcement":
                self._result = Result.NO_ANSWER
            case "fax":
                self._by, self._result = "fax", Result.FAX
            case "machine" if self._order.machine == "hang_up":
                self._by, self._result = "machine", Result.MACHINE
            case "machine":
                self._by = "machine"
                if self._order.machine == "message":
                    await self._until_beep()
                return True
            case by:
                self._by = by
                return True
        return False

    async def _listen(self) -> Verdict:
        """Raises CallEnded."""
        clock, start = self._around.clock, self._leg.channel.head
        began = clock.monotonic()
        answering = Answering(speaking=self._voice is not None)
        while (verdict := answering.verdict(clock.monotonic() - began)) is None:
            within_s = began + answering.deadline_s - clock.monotonic()
            match await self.inbox.next(max(0.0, within_s)):
                case Onset() | Offset() | ToneBegun() | ToneEnded() as event:
                    answering.hear(event, start)
                    self._has_beeped = isinstance(event, ToneEnded) and event.kind is ToneKind.BEEP
                case Key() as key:
                    answering.key()
                    self.inbox.post(key)  # for the flow's first question
        return verdict

    async def _until_beep(self) -> None:
        """What is said before it, no machine keeps. Raises CallEnded."""
        if self._has_beeped:
            return
        quiet_s: float | None = None
        try:
            async with timeout(self._around.clock, BEEP_WAIT_S):
                while True:
                    match await self.inbox.next(quiet_s):
                        case None | ToneEnded(kind=ToneKind.BEEP):
                            return
                        case Onset():
                            quiet_s = None
                        case Offset():
                            quiet_s = QUIET_S
        except TimeoutError:
            return

    def _why_unanswered(self) -> Result:
        """By the final status; a carrier that has said why in words, before it gave up, has not failed (RFC 3960)."""
        if self._ended is None:
            return Result.FAILED
        code, cause = self._ended.sip_code, self._ended.q850
        if code in _BUSY or cause == _USER_BUSY:
            return Result.BUSY
        if cause == _UNALLOCATED:
            return Result.INVALID
        if code in _NO_ANSWER or self._voiced_s >= ANNOUNCED_S:
            return Result.NO_ANSWER
        return Result.INVALID if code in _INVALID else Result.FAILED


def _report(
    order: CallOrder, result: Result, answered_by: AnsweredBy | None = None, outcome: str | None = None
) -> Report:
    return Report(
        order=order.order, call=order.call, result=result, answered_by=answered_by, outcome=outcome and outcome[:64]
    )
