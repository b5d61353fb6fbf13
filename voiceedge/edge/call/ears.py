"""What a worker hears with: Vosk in threads of its own, Whisper in the speech process."""

from concurrent.futures import ThreadPoolExecutor

import structlog

from voiceedge.audio.synthesis import Pcm
from voiceedge.edge.between import priority
from voiceedge.edge.between.link import LinkClient
from voiceedge.edge.between.wire import expectation_to_json
from voiceedge.errors import LinkError
from voiceedge.speech.evidence import WhisperEvidence
from voiceedge.speech.heard import Expectation
from voiceedge.speech.streaming import Listener, VoskModel

log = structlog.get_logger()


class WorkerEars:
    def __init__(self, vosk: VoskModel | None, speech: LinkClient, decide_s: float) -> None:
        self.threads = ThreadPoolExecutor(2, "vosk", initializer=priority.step_back)
        self._vosk, self._speech, self._decide_s = vosk, speech, decide_s

    def listen(self, expectation: Expectation) -> Listener | None:
        return self._vosk.listener(expectation) if self._vosk else None

    async def judge(self, samples: Pcm, expectation: Expectation) -> WhisperEvidence | None:
        """Whisper's evidence about 16 kHz samples, None where it is away, too busy or not installed."""
        try:
            answer = await self._speech.request(
                "decide",
                {"expectation": expectation_to_json(expectation)},
                samples.tobytes(),
                timeout_s=self._decide_s,
            )
        except LinkError as error:
            log.warning("decided_without_whisper", problem=str(error))
            return None
        return WhisperEvidence.from_json(answer["evidence"])
