"""The deciding recogniser at everyone's service: a bounded queue and one worker thread around it."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self

import structlog

from voiceedge.clock import Clock, timeout
from voiceedge.errors import SpeechBusyError
from voiceedge.speech.evidence import WhisperEvidence
from voiceedge.speech.heard import Expectation

log = structlog.get_logger()


class Recogniser(Protocol):
    def score(self, pcm: bytes, expectation: Expectation) -> WhisperEvidence: ...


class Decider:
    """`async with Decider(...) as decider:` answers one utterance at a time, first come first served."""

    def __init__(self, recogniser: Recogniser, clock: Clock, *, queue: int = 16, decide_s: float = 3.0) -> None:
        self._recogniser, self._clock, self._decide_s = recogniser, clock, decide_s
        self._most = queue + 1  # one is being decided while the others wait
        self._jobs: list[Future[WhisperEvidence]] = []
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decider")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)  # waits for one utterance at most

    async def decide(self, pcm: bytes, expectation: Expectation) -> WhisperEvidence:
        """Evidence about one utterance. Raises SpeechBusyError when too many wait, or it came too late to be of use."""
        # A job whose caller gave up holds its place until the thread has let go of it.
        self._jobs = [job for job in self._jobs if not job.done()]
        if len(self._jobs) >= self._most:
            raise SpeechBusyError(f"{len(self._jobs)} utterances wait already; allow more with speech.queue")
        began = self._clock.monotonic()
        job = self._executor.submit(self._recogniser.score, pcm, expectation)
        self._jobs.append(job)
        try:
            async with timeout(self._clock, self._decide_s):
                evidence = await asyncio.wrap_future(job)
        except TimeoutError:
            raise SpeechBusyError(
                f"no decision within {self._decide_s:g} s; see speech.decide_s, speech.threads"
            ) from None
        log.debug("speech.decided", took_s=round(self._clock.monotonic() - began, 3), waiting=len(self._jobs) - 1)
        return evidence
