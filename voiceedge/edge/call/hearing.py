"""One answer by ear: follows the caller from onset to silence and decides while it waits whether more will come.

voice    ____▁▃▅▇▅▃▁____________▅▇▅▁______________________
channel      onset   offset     onset offset
this         listen  decide →✗  listen decide ───► Decided
                     (300 ms after the last sound; dropped when the caller goes on)
"""

import asyncio
from collections.abc import Callable

import structlog

from voiceedge.audio.channel import Channel
from voiceedge.clock import Clock, sleep, timeout
from voiceedge.edge.call.ears import WorkerEars
from voiceedge.edge.call.inbox import Decided, Spawn
from voiceedge.errors import NativeError
from voiceedge.speech.decision import decide
from voiceedge.speech.evidence import StreamingEvidence
from voiceedge.speech.heard import Decision, Expectation, Heard
from voiceedge.speech.streaming import Listener

RATE = 16000
QUIET_AFTER = (
    RATE * 3 // 10
)  # what Whisper hears of the silence after a short answer; cut off there, "네" is seldom heard
FEED_S = 0.1
SETTLE_S = 0.8  # of silence before what is not understood is taken for whole
SETTLE_DIGITS_S = 1.0  # people pause between groups of digits

NOTHING = Heard(Decision.REJECT, None, None, "", 0.0, 0)

log = structlog.get_logger()


class Hearing:
    """The channel's positions are in 16 kHz samples since it was opened."""

    def __init__(
        self,
        number: int,
        expectation: Expectation,
        *,
        channel: Channel,
        ears: WorkerEars,
        clock: Clock,
        post: Callable[[Decided], None],
        spawn: Spawn,
    ) -> None:
        self._number, self._expectation, self._channel = number, expectation, channel
        self._ears, self._clock, self._post, self._spawn = ears, clock, post, spawn
        self._start = 0
        self._task: asyncio.Task[None] | None = None
        self._fell_silent = asyncio.Event()
        self.is_speaking = False
        self.is_cut = False

    @property
    def active(self) -> bool:
        return self._task is not None

    def onset(self, position: int) -> None:
        if self.is_cut:
            return
        if self._task is None:
            self._start = position
        else:
            self._task.cancel()  # what was being decided was not the whole answer
        log.debug("voice_onset", hearing=self._number, position=position)
        self.is_speaking = True
        self._fell_silent.clear()
        self._task = self._spawn(self._follow())

    def offset(self, position: int) -> None:
        if self._task is None or not self.is_speaking:
            return
        log.debug("voice_offset", hearing=self._number, position=position)
        self.is_speaking = False
        self._end = position
        self._silent_since = self._clock.monotonic() - self._channel.voice.offset_ms / 1000
        self._fell_silent.set()

    def cut(self) -> None:
        """The answer has become too long: decide on what there is, whatever sounds from now on."""
        self.is_cut = True
        self.offset(self._channel.head)

    def cancel(self) -> None:
        if self._task:
            self._task.cancel()
            self._task = None
        self.is_speaking = self.is_cut = False

    async def _follow(self) -> None:
        try:
            heard = await self._decide()
        except NativeError:
            return  # the caller has hung up
        except Exception:
            log.exception("hearing_failed")  # the caller is asked again rather than left waiting
            heard = NOTHING
        self._post(Decided(self._number, heard))

    async def _decide(self) -> Heard:
        turn = self._ears.listen(self._expectation)
        position = self._start
        while self.is_speaking:
            position = await self._feed(turn, position, self._channel.head)
            await self._silence_within(FEED_S)
        speech = self._end - self._start
        samples, _ = self._channel.read(self._start, min(self._channel.head - self._start, speech + QUIET_AFTER))
        streaming, whisper = await asyncio.gather(
            self._finish(turn, position), self._ears.judge(samples, self._expectation)
        )
        heard = decide(self._expectation, streaming, whisper, speech_ms=speech * 1000 // RATE)
        log.debug("voice_decided", hearing=self._number, decision=heard.decision, speech_ms=heard.speech_ms)
        await sleep(self._clock, max(0.0, self._silent_since + self._settle_s(heard) - self._clock.monotonic()))
        return heard

    def _settle_s(self, heard: Heard) -> float:
        """How much silence makes this answer a whole one: little where nothing more can be meant."""
        digits = self._expectation.digits
        if heard.value is None:
            return SETTLE_S
        if digits and heard.phrase is None and len(heard.value) < digits.longest:
            return SETTLE_DIGITS_S
        return 0.0

    async def _feed(self, turn: Listener | None, position: int, until: int) -> int:
        samples, position = self._channel.read(position, max(0, until - position))
        if turn and len(samples):
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._ears.threads, turn.accept, samples.tobytes())
        return position

    async def _finish(self, turn: Listener | None, position: int) -> StreamingEvidence | None:
        await self._feed(turn, position, self._end)
        if turn is None:
            return None
        return await asyncio.get_running_loop().run_in_executor(self._ears.threads, turn.finish)

    async def _silence_within(self, seconds: float) -> None:
        try:
            async with timeout(self._clock, seconds):
                await self._fell_silent.wait()
        except TimeoutError:
            return
