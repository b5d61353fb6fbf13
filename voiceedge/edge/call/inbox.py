"""All that can happen to a call, in one queue: whoever waits, waits here, so that a hang-up reaches it at once."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from voiceedge.audio.events import AudioEvent
from voiceedge.clock import Clock, timeout
from voiceedge.flow.call import CallEnded, DialResult, Question, Reply
from voiceedge.sip.events import Event
from voiceedge.speech.heard import Heard

if TYPE_CHECKING:
    from voiceedge.edge.call.lines import Candidate
    from voiceedge.edge.call.party import Party
    from voiceedge.switch.queues.messages import View

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fed:
    """The last piece of a prompt has been given to the player."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Recognition has made up its mind about hearing number `hearing`."""

    hearing: int
    heard: Heard


@dataclass(frozen=True, slots=True)
class Typed:
    """The question was answered on a screen beside the call."""

    question: Question
    reply: Reply


@dataclass(frozen=True, slots=True)
class Told:
    """Something happened to somebody we called for this call."""

    party: "Party"
    signal: "Signal"


@dataclass(frozen=True, slots=True)
class Rung:
    """Somebody was rung, in the ringing of this number, while the caller talked or waited: who, or why nobody came."""

    number: int
    found: "Party | DialResult"


@dataclass(frozen=True, slots=True)
class Seen:
    """How the caller's ticket stands in the queue now; None: control does not know it any more."""

    view: "View | None"


@dataclass(frozen=True, slots=True)
class SentOn:
    """The partner's desk sends the caller on: to the queue of this name, or to somebody who is rung."""

    to: "str | Candidate"


# How a call's helpers run side by side with it: in its TaskGroup, so that nothing outlives the call.
Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

Signal = Event | AudioEvent | Fed | Decided | Typed | Told | Rung | Seen | SentOn


class Inbox:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._signals: asyncio.Queue[Signal | None] = asyncio.Queue()
        self._over = asyncio.Event()

    def post(self, signal: Signal) -> None:
        self._signals.put_nowait(signal)

    def end(self) -> None:
        """The leg is over: every wait, present and future, raises CallEnded."""
        self._over.set()
        self._signals.put_nowait(None)

    async def next(self, within_s: float | None) -> Signal | None:
        """Return the next signal, or None when none came in `within_s`. Raises CallEnded."""
        if self._over.is_set():
            raise CallEnded
        try:
            async with timeout(self._clock, within_s):
                signal = await self._signals.get()
        except TimeoutError:
            return None
        if signal is None:
            raise CallEnded
        return signal

    async def unless_over(self, work: Coroutine[Any, Any, T]) -> T:
        """Do what needs no signals, but no longer than the leg lasts. Raises CallEnded."""
        working, over = asyncio.ensure_future(work), asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((working, over), return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                raise CallEnded
            return working.result()
        finally:
            working.cancel()
            over.cancel()
