"""A call without a telephone: the other side types what a caller says or keys, and everything is shown."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Protocol, TypeVar

from voiceedge.context.events.digital import Way
from voiceedge.context.record import Slot
from voiceedge.flow.call import (
    CallEnded,
    CallFacts,
    Continued,
    Dial,
    DialResult,
    Enqueue,
    HandOver,
    HandOverTicket,
    KeyRule,
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
from voiceedge.flow.typed import interpret
from voiceedge.speech.heard import Expectation, Phrase

R = TypeVar("R", bound=StrEnum)

HANG_UP = "/hangup"

ReadLine = Callable[[Question], Awaitable[str | None]]


class _Resumed(StrEnum):
    CONTINUED = "continued"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    LOCKED = "locked"

    @property
    def refused(self) -> NotContinued | None:
        return None if self is _Resumed.CONTINUED else NotContinued(self.value)


class Screen(Protocol):
    """Where a simulated call is shown."""

    def said(self, text: str, recording: str | None) -> None: ...

    def expects(self, question: Question) -> None: ...

    def understood(self, reply: Reply) -> None: ...

    def noted(self, text: str) -> None: ...


class SimulatedCall:
    """Implements `flow.call.Call`. `read` gives the caller's next line, or None where the caller hangs up."""

    def __init__(
        self,
        read: ReadLine,
        screen: Screen,
        facts: CallFacts | None = None,
        *,
        transfer: TransferResult = TransferResult.DONE,
        hand_over: bool = True,
        earlier: Mapping[str, str] | None = None,
    ) -> None:
        """`earlier` are the slots of a conversation that is continued; empty: only a PIN could lead to one."""
        self._earlier = earlier or {}
        self._read, self._screen, self._transfer, self._hand_over = read, screen, transfer, hand_over
        self._facts = facts or CallFacts("simulated", "simulated", caller="01012345678", called="15880000")
        self._ended = False

    @property
    def facts(self) -> CallFacts:
        return self._facts

    async def say(self, utterances: Sequence[Utterance], *, barge_in: bool = True) -> None:  # noqa: ARG002
        self._check()
        self._show(utterances)

    async def ask(self, question: Question) -> Reply:
        self._check()
        self._show(question.prompt)
        reply = interpret(await self._line(question), question)
        self._screen.understood(reply)
        return reply

    async def resume(self, way: Way, pin: str = "", *, confirmed: bool = False) -> Continued | NotContinued:
        self._check()
        if not pin and not self._earlier:
            return NotContinued.ABSENT
        what = f"continue by {way}{f' {pin}' if pin else ''}"
        if not confirmed and (refused := (await self._becomes(what, _Resumed)).refused):
            return refused
        if way == "caller" and not confirmed:
            return NotContinued.UNCONFIRMED
        slots = {name: Slot(value=value) for name, value in self._earlier.items()}
        return Continued("earlier", way, "likely" if confirmed else "proved", "web-chat", slots=slots)

    async def hand_over(self, request: HandOver) -> HandOverTicket | None:
        self._check()
        taken = ", ".join(request.slots) or "nothing"
        self._screen.noted(f"hand over to {request.channel}: {request.reason} (takes along: {taken})")
        if not self._hand_over:
            return None
        pin = "123456" if request.with_pin else ""
        if request.send:
            self._screen.noted(f"sent by {request.send} to {request.to or 'the caller'}")
        minutes, sent = round(request.expires_s / 60), request.send is not None
        return HandOverTicket("simulated-token", request.channel, "https://talk.example/c", pin, minutes, sent)

    async def transfer(self, target: str) -> TransferResult:
        self._check()
        self._screen.noted(f"transfer to {target}: {self._transfer}")
        self._ended = self._transfer is TransferResult.DONE
        return self._transfer

    async def dial(self, wish: Dial) -> DialResult:
        self._check()
        self._whisper(wish.whisper)
        return await self._becomes(f"dial {', '.join(wish.targets)}", DialResult)

    async def queue(self, wish: Enqueue) -> QueueResult:
        self._check()
        self._whisper(wish.whisper)
        hidden = {QueueResult.LEFT} if not wish.may_leave else set()
        hidden |= {QueueResult.CALL_BACK} if not wish.may_be_called_back else set()
        return await self._becomes(f"queue {wish.queue}", QueueResult, hidden)

    async def voicemail(self, wish: Voicemail) -> VoicemailResult:
        self._check()
        self._show(wish.prompt)
        return await self._becomes(f"voicemail {wish.mailbox}", VoicemailResult)

    async def record(self, action: RecordAction) -> None:
        if not self._ended:
            self._screen.noted(f"recording: {action}")

    async def hang_up(self) -> None:
        self._ended = True

    def _show(self, utterances: Sequence[Utterance]) -> None:
        for utterance in utterances:
            self._screen.said(utterance.text, utterance.recording)

    def _whisper(self, utterances: Sequence[Utterance]) -> None:
        for utterance in utterances:
            self._screen.noted(f"whispered: {utterance.text}")

    async def _becomes(self, what: str, results: type[R], hidden: Collection[R] = ()) -> R:
        """Whoever tries the flow says what became of it: one of `results`, the first of them by an empty line."""
        self._screen.noted(f"{what}: what becomes of it?")
        possible = [result for result in results if result not in hidden]
        phrases = tuple(Phrase(result.value, result.value) for result in possible)
        question = Question(what, (), KeyRule(), Expectation("en", phrases))
        while True:
            line = (await self._line(question)).strip()
            chosen = next((result for result in possible if result == (line or possible[0])), None)
            self._screen.noted(f"{what}: {chosen or f'{line!r} is none of these'}")
            if chosen:
                return chosen

    async def _line(self, question: Question) -> str:
        self._screen.expects(question)
        line = await self._read(question)
        if line is None or line.strip() == HANG_UP:
            self._ended = True
            raise CallEnded
        return line

    def _check(self) -> None:
        if self._ended:
            raise CallEnded
