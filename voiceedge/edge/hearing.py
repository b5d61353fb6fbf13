"""One answer by ear: follows the caller from onset to silence and decides while it waits whether more will come.

voice    ____▁▃▅▇▅▃▁____________▅▇▅▁______________________
channel      onset   offset     onset offset
this         listen  decide →✗  listen decide ───► Decided
                     (300 ms after the last sound; dropped when the caller goes on)
"""

import asyncio
from collections.abc import Callable

import structlog

from voiceedge.audio.pipeline import Channel
from voiceedge.clock import Clock, sleep
from voiceedge.edge.ears import WorkerEars
from voiceedge.edge.inbox import Decided, Spawn
from voiceedge.errors import NativeError, VoiceEdgeError
from voiceedge.speech.decision import decide
from voiceedge.speech.evidence import StreamingEvidence
from voiceedge.speech.heard import Decision, Expectation, Heard

RATE = 16000
FEED_S = 0.1
SETTLE_S = 0.8  # of silence before what is not understood is taken for whole
SETTLE_DIGITS_S = 1.0  # people pause between groups of digits

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
        self.is_speaking = False

    @property
    def active(self) -> bool:
        return self._task is not None

    def onset(self, position: int) -> None:
        if self._task is None:
            self._start = position
        else:
            self._task.cancel()  # what was being decided was not the whole answer
        self.is_speaking = True
        self._task = self._spawn(self._follow())

    def offset(self, position: int) -> None:
        if self._task is None or not self.is_speaking:
            return
        self.is_speaking = False
        self._end = position
        self._silent_since = self._clock.monotonic() - self._channel.voice.offset_ms / 1000

    def cut(self) -> None:
        """The answer has become too long: decide on what there is."""
        self.offset(self._channel.head)

    def cancel(self) -> None:
        if self._task:
            self._task.cancel()
            self._task = None
        self.is_speaking = False

    async def _follow(self) -> None:
        try:
            heard = await self._decide()
        except NativeError:
            return  # the caller has hung up
        except Exception:
            log.exception("hearing_failed")  # the caller is asked again rather than left waiting
            heard = Heard(Decision.REJECT, None, None, "", 0.0, 0)
        self._post(Decided(self._number, heard))

    async def _decide(self) -> Heard:
        streaming = await self._listen()
        samples, _ = self._channel.read(self._start, self._end - self._start)
        whisper = await self._ears.judge(samples, self._expectation)
        heard = decide(self._expectation, streaming, whisper, speech_ms=len(samples) * 1000 // RATE)
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

    async def _listen(self) -> StreamingEvidence | None:
        """Feed the streaming recogniser until the offset; after a mere pause it hears everything once more."""
        turn = self._ears.listen(self._expectation)
        loop = asyncio.get_running_loop()
        position = self._start
        while True:
            speaking = self.is_speaking
            until = self._channel.head if speaking else self._end
            samples, position = self._channel.read(position, max(0, until - position))
            if turn and len(samples):
                try:
                    await loop.run_in_executor(self._ears.threads, turn.accept, samples.tobytes())
                except VoiceEdgeError:
                    turn = None
            if not speaking:
                return await loop.run_in_executor(self._ears.threads, turn.finish) if turn else None
            await sleep(self._clock, FEED_S)
