"""What each recogniser reports about one turn: plain values that cross process borders as JSON."""

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class StreamingEvidence:
    """Vosk's last word on the turn: what its grammar made of the audio, and the confidence of the least sure word."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class PhraseScore:
    """How well Whisper's decoder can explain the audio by one phrase: mean natural log probability of its tokens."""

    phrase: str
    log_probability: float


@dataclass(frozen=True, slots=True)
class WhisperEvidence:
    """Whisper's free transcript and its score of each phrase, best first. An empty transcript: nothing was said."""

    transcript: str = ""
    transcript_log_probability: float = 0.0  # scored as the phrases are, so that they compare
    no_speech_probability: float = 1.0
    scores: tuple[PhraseScore, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        scores = tuple(PhraseScore(**score) for score in value["scores"])
        return cls(**{**value, "scores": scores, "notes": tuple(value["notes"])})
