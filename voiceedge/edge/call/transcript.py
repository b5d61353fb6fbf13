"""What two people who were joined say, as text: heard by the deciding recogniser when it has nothing better to do."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import structlog

from voiceedge.audio.channel import Channel
from voiceedge.audio.events import Offset, Onset
from voiceedge.audio.synthesis import Pcm
from voiceedge.context.events.call import Journal, TurnHeard
from voiceedge.edge.call.ears import WorkerEars
from voiceedge.edge.call.inbox import Spawn
from voiceedge.errors import NativeError
from voiceedge.speech.heard import Expectation

RATE = 16000
LONGEST_S = 15.0  # a channel keeps little more; of longer turns the end is heard
SHORTEST_S = 0.5  # with the pre-roll; less is no word
MOST_WAITING = 8  # turns; when it cannot keep up, the newest are left out

Speaker = Literal["caller", "agent"]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Turn:
    journal: Journal
    call_id: str
    speaker: Speaker
    language: str
    samples: Pcm


class Transcripts:
    """One in every worker, and one turn at a time: callers whose answers are awaited go first."""

    def __init__(self, ears: WorkerEars, spawn: Spawn) -> None:
        self._ears, self._spawn = ears, spawn
        self._waiting: deque[_Turn] = deque()
        self._is_busy = False

    def add(self, turn: _Turn) -> None:
        if len(self._waiting) >= MOST_WAITING:
            log.warning("turn_not_transcribed", remedy="raise speech.threads, or set speech.transcribe_talks = false")
            return
        self._waiting.append(turn)
        if not self._is_busy:
            self._is_busy = True
            self._spawn(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._write_down(self._waiting.popleft())
        finally:
            self._is_busy = False

    async def _write_down(self, turn: _Turn) -> None:
        evidence = await self._ears.judge(turn.samples, Expectation(turn.language, ()))
        if evidence and evidence.transcript:
            turn.journal.record(
                TurnHeard(
                    call_id=turn.call_id,
                    flow="",
                    step="talk",
                    by="speech",
                    decision="accept",
                    transcript=evidence.transcript,
                    speech_ms=len(turn.samples) * 1000 // RATE,
                    speaker=turn.speaker,
                )
            )


class Listener:
    """Follows the voices of one talk."""

    def __init__(self, transcripts: Transcripts, journal: Journal, call_id: str, language: str) -> None:
        self._transcripts, self._journal, self._call_id, self._language = transcripts, journal, call_id, language
        self._began: dict[Channel, int] = {}

    def hear(self, speaker: Speaker, event: Onset | Offset) -> None:
        match event:
            case Onset(channel=channel, position=position):
                self._began[channel] = position
            case Offset(channel=channel, position=end) if channel in self._began:
                start = max(self._began.pop(channel), end - int(LONGEST_S * RATE))
                if end - start >= SHORTEST_S * RATE:
                    self._keep(speaker, channel, start, end)

    def _keep(self, speaker: Speaker, channel: Channel, start: int, end: int) -> None:
        try:
            samples, _ = channel.read(start, end - start)
        except NativeError:
            return  # they have just hung up
        self._transcripts.add(_Turn(self._journal, self._call_id, speaker, self._language, samples))
