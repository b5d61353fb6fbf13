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
    """How well Whisper's decoder explains the audio by one phrase, given the menu: mean log probability a token."""

    phrase: str
    log_probability: float


@dataclass(frozen=True, slots=True)
class WhisperEvidence:
    """Two transcripts, one free and one primed with what is expected, and the likeliest phrases' scores, best first.

    An empty transcript: nothing was said. Priming hears more that is on the menu, and more that was never said.
    """

    transcript: str = ""
    primed: str = ""
    log_probability: float = 0.0  # of the primed transcript, scored as the phrases are
    no_speech_probability: float = 1.0
    scores: tuple[PhraseScore, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        scores = tuple(PhraseScore(**score) for score in value["scores"])
        return cls(**{**value, "scores": scores, "notes": tuple(value["notes"])})
