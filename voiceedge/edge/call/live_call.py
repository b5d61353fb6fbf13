"""A flow's `Call` on a real leg: prompts on its channel, keys and speech from its inbox, tickets from control."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from voiceedge.audio.events import Offset, Onset, Played
from voiceedge.clock import Clock
from voiceedge.context.events.call import CallTransferred, Journal
from voiceedge.context.events.digital import Way
from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.edge.call.dialling import Dialling
from voiceedge.edge.call.hearing import NOTHING, Hearing
from voiceedge.edge.call.inbox import Decided, Inbox, Signal, Typed
from voiceedge.edge.call.keys import KeyCollector
from voiceedge.edge.call.queueing import Queueing
from voiceedge.edge.call.recordings import CallRecordings
from voiceedge.edge.call.speaker import Speaker
from voiceedge.edge.call.tickets import TicketOffice
from voiceedge.edge.call.voicemail import Mailboxes
from voiceedge.errors import LegEndedError, NativeError, SipError
from voiceedge.flow.call import (
    CallEnded,
    CallFacts,
    Continued,
    Dial,
    DialResult,
    Enqueue,
    HandOver,
    HandOverTicket,
    Keyed,
    NoInput,
    NotContinued,
    Question,
    QueueResult,
    RecordAction,
    Reply,
    TransferResult,
    Utterance,
    Voicemail,
    VoicemailResult,
)
from voiceedge.flow.typed import chosen, written
from voiceedge.sip.events import Key
from voiceedge.sip.leg import Leg
from voiceedge.speech.heard import Decision, Expectation

BACKCHANNEL_MS = 1200  # with the pre-roll; shorter and not understood: a cough or a "네", the prompt goes on
LAST_DECISION_S = 10.0
NOTHING_SPARE = "", 0
_NUMBER = re.compile(r"\+?\d[\d\-.() ]{5,}\d")
BUSY, NO_ANSWER, REFUSED = {486, 600}, {408, 480, 487}, {403, 603}

log = structlog.get_logger()


class LiveCall:
    def __init__(
        self,
        *,
        leg: Leg,
        facts: CallFacts,
        inbox: Inbox,
        speaker: Speaker,
        new_hearing: Callable[[int, Expectation], Hearing],
        tickets: TicketOffice,
        dialling: Dialling,
        queueing: Queueing,
        mailboxes: Mailboxes,
        recordings: CallRecordings,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._leg, self._facts, self._inbox, self._speaker = leg, facts, inbox, speaker
        self._new_hearing, self._tickets, self._journal, self._clock = new_hearing, tickets, journal, clock
        self._recordings, self._mailboxes = recordings, mailboxes
        self._dialling, self._queueing = dialling, queueing
        self._typed_ahead: list[str] = []
        self._voice: Onset | Offset | None = None  # what the caller's voice did last
        self._hearings = 0
        self._spare = NOTHING_SPARE
        self._question: Question | None = None  # that waits for its answer

    @property
    def facts(self) -> CallFacts:
        return self._facts

    async def say(self, utterances: Sequence[Utterance], *, barge_in: bool = True) -> None:
        if barge_in and self._typed_ahead:
            return  # whoever has keyed the answer already does not wait for the question
        with self._on_the_line():
            self._speaker.start(utterances)
            while self._speaker.busy:
                match await self._inbox.next(None):
                    case Key() as key if not self._is_spare(key):
                        self._typed_ahead.append(key.key)
                        if barge_in:
                            await self._speaker.stop()
                    case Played() as played:
                        self._speaker.played(played)
                    case Onset() | Offset() as voice:
                        self._voice = voice

    async def ask(self, question: Question) -> Reply:
        self._question = question
        try:
            with self._on_the_line():
                reply = await self._ask(question)
        finally:
            self._question = None
        if isinstance(reply, Keyed):
            self._voice = None  # what was being said meanwhile was meant for this question
            if len(reply.keys) == question.keys.longest:
                self._expect_spare(question.keys.end, question.between_keys_s)
        return reply

    def typed(self, step: str, text: str | None, choice: str | None) -> bool:
        """Somebody answers on a screen; False where nothing was asked to which this is an answer."""
        question = self._question
        if question is None:
            return False
        if choice is None:
            self._inbox.post(Typed(question, written(text or "", question)))
            return True
        buttons = question.buttons if question.name.partition(".")[0] == step else ()
        for button in buttons:
            if button.name == choice:
                self._inbox.post(Typed(question, chosen(button)))
                return True
        return False

    async def _ask(self, question: Question) -> Reply:
        collector = KeyCollector(question.keys)
        while self._typed_ahead:
            if (answer := collector.add(self._typed_ahead.pop(0))) is not None:
                return Keyed(answer)
        self._hearings += 1
        hearing = self._new_hearing(self._hearings, question.expectation)
        if not collector.keys:
            self._speaker.start(question.prompt)
            if question.barge_in and isinstance(self._voice, Onset):  # the caller answers before being asked
                self._speaker.hold()
                hearing.onset(self._voice.position)
        self._leg.channel.arm_barge_in(question.barge_in)
        try:
            return await self._listen(question, collector, hearing)
        finally:
            hearing.cancel()
            if not self._leg.ended:
                self._leg.channel.arm_barge_in(False)
                await self._speaker.stop()

    async def _listen(self, question: Question, collector: KeyCollector, hearing: Hearing) -> Reply:
        phase: tuple[str, float | None] | None = None
        deadline: float | None = None
        while True:
            if phase != (phase := self._phase(question, collector, hearing)):
                deadline = None if phase[1] is None else self._clock.monotonic() + phase[1]
            signal = await self._inbox.next(None if deadline is None else max(0.0, deadline - self._clock.monotonic()))
            match signal:
                case Key() as key if not self._is_spare(key):
                    hearing.cancel()
                    self._leg.channel.arm_barge_in(False)
                    await self._speaker.stop()
                    if (answer := collector.add(key.key)) is not None:
                        return Keyed(answer)
                case Typed(question=asked, reply=typed) if asked is question:
                    return typed
                case Decided(hearing=number, heard=heard) if number == self._hearings and not collector.keys:
                    hearing.cancel()
                    if (
                        heard.decision is Decision.REJECT
                        and self._speaker.is_paused
                        and heard.speech_ms < BACKCHANNEL_MS
                    ):
                        self._speaker.resume()
                        continue
                    return heard
                case None:
                    if (reply := self._waited_enough(collector, hearing)) is not None:
                        return reply
                case _:
                    self._follow(signal, question, collector, hearing)

    def _waited_enough(self, collector: KeyCollector, hearing: Hearing) -> Reply | None:
        """What a phase's end means; None where another one follows it."""
        if collector.keys:
            return Keyed(collector.keys)
        if hearing.is_cut:
            return NOTHING  # recognition does not come to an end
        if not hearing.active:
            return NoInput()
        hearing.cut()
        self._voice = None  # it may be noise without an end: the next prompt does not wait for it
        return None

    def _phase(self, question: Question, collector: KeyCollector, hearing: Hearing) -> tuple[str, float | None]:
        """What is being waited for, and for how long at most from its beginning."""
        if collector.keys:
            return f"key after {collector.keys}", question.between_keys_s
        if hearing.is_cut:
            return "last decision", LAST_DECISION_S
        if hearing.active:  # from the first sound to the decision, whatever pauses lie between
            return "answer's end", question.longest_speech_s
        if self._speaker.busy:
            return "end of prompt", None
        return "answer", question.no_input_s

    def _follow(self, signal: Signal, question: Question, collector: KeyCollector, hearing: Hearing) -> None:
        if isinstance(signal, Onset | Offset):
            self._voice = signal
        match signal:
            case Played():
                self._speaker.played(signal)
            case Onset() if not collector.keys and (question.barge_in or not self._speaker.busy):
                if self._speaker.busy:  # the channel has paused itself, unless the prompt was still to begin
                    self._speaker.hold()
                hearing.onset(signal.position)
            case Offset():
                hearing.offset(signal.position)

    def _expect_spare(self, end: str, within_s: float) -> None:
        """Many press the end key although the last digit has ended their number already: it answers nothing else."""
        if self._typed_ahead:
            if self._typed_ahead[0] == end:
                del self._typed_ahead[0]
        else:
            self._spare = end, time.monotonic_ns() + int(within_s * 1e9)

    def _is_spare(self, key: Key) -> bool:
        (end, until_ns), self._spare = self._spare, NOTHING_SPARE
        return key.key == end and key.at_ns <= until_ns

    @contextmanager
    def _on_the_line(self) -> Iterator[None]:
        """The channel is released when the leg ends, which may be a moment before the inbox tells."""
        try:
            yield
        except NativeError:
            if self._leg.ended:
                raise CallEnded from None
            raise

    async def hand_over(self, request: HandOver) -> HandOverTicket | None:
        ticket = await self._tickets.hand_over(self._facts, request, self._journal)
        if self._leg.ended:  # whoever left in between may go on in the other channel all the same
            raise CallEnded
        return ticket

    async def resume(self, way: Way, pin: str = "", *, confirmed: bool = False) -> Continued | NotContinued:
        found = await self._tickets.resume(self._facts, way, pin, confirmed=confirmed)
        if self._leg.ended:
            raise CallEnded
        return found

    async def transfer(self, target: str) -> TransferResult:
        result = await self._refer(target)
        self._journal.record(CallTransferred(call_id=self._facts.call_id, target=_masked(target), result=result.value))
        return result

    async def _refer(self, target: str) -> TransferResult:
        try:
            code = await self._leg.transfer(target)
        except LegEndedError as error:
            raise CallEnded from error
        except SipError as error:
            log.warning("transfer_failed", problem=str(error))
            return TransferResult.FAILED
        if code < 300:  # noqa: PLR2004 - SIP success class
            return TransferResult.DONE
        if code in BUSY:
            return TransferResult.BUSY
        if code in NO_ANSWER:
            return TransferResult.NO_ANSWER
        return TransferResult.REFUSED if code in REFUSED else TransferResult.FAILED

    async def dial(self, wish: Dial) -> DialResult:
        with self._on_the_line():
            result = await self._dialling.dial(wish)
        self._voice = None  # what was said meanwhile was not said to the flow
        return result

    async def queue(self, wish: Enqueue) -> QueueResult:
        self._typed_ahead.clear()  # its keys are those of the queue
        with self._on_the_line():
            result = await self._queueing.wait(wish)
        self._voice = None
        return result

    async def voicemail(self, wish: Voicemail) -> VoicemailResult:
        await self.say(wish.prompt)
        self._typed_ahead.clear()  # a key that cut the prompt short is no end of the message
        self._voice = None
        with self._on_the_line():
            return await self._mailboxes.take(wish)

    async def record(self, action: RecordAction) -> None:
        await self._recordings.take(action)
        if self._leg.ended:
            raise CallEnded

    async def hang_up(self) -> None:
        try:
            await self._leg.hang_up()
        except LegEndedError:
            return  # the caller was quicker


def _masked(target: str) -> str:
    """The URI with a telephone number in its user part masked: it may be a person's."""
    user, at, host = target.partition("@")
    return _NUMBER.sub(lambda number: mask(number[0], PersonalDataClass.PERSONAL), user) + at + host
