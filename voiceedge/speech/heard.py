"""What a question expects to hear, and what was heard: the two values that pass between flows and recognition."""

from dataclasses import dataclass, field
from enum import StrEnum


class Decision(StrEnum):
    ACCEPT = "accept"
    CONFIRM = "confirm"  # likely, but ask the caller before acting on it
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Phrase:
    """One way of saying one value, as a person writes it: `Phrase("배송 조회", "delivery")`."""

    text: str
    value: str


@dataclass(frozen=True, slots=True)
class DigitString:
    """A number that is read out digit by digit, such as an order number; lengths in digits, both inclusive."""

    shortest: int
    longest: int


@dataclass(frozen=True, slots=True)
class Expectation:
    """All that a question can understand by ear. `language` is ISO 639-1: "ko" or "en"."""

    language: str
    phrases: tuple[Phrase, ...] = ()
    digits: DigitString | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What each recogniser contributed; None where it took no part. Log probabilities are natural, a token's mean."""

    streaming_text: str | None = None  # Vosk, grammar
    transcript_text: str | None = None  # Whisper, free
    phrase_log_probability: float | None = None  # Whisper, the best phrase scored by its decoder
    margin: float | None = None  # that score less the free transcript's: near or above 0 is good
    runner_up: float | None = None  # by how much the best phrase beats the best phrase of another value
    jamo_distance: float | None = None  # edit distance over jamo, a part of the phrase's length: 0 is equal
    notes: tuple[str, ...] = field(default=())  # such as "whisper unavailable"


@dataclass(frozen=True, slots=True)
class Heard:
    """One turn of the caller's speech, decided. `confidence` is 0..1 and comparable only within one release.

    `typed`: the words were written.
    """

    decision: Decision
    value: str | None
    phrase: str | None
    transcript: str
    confidence: float
    speech_ms: int
    evidence: Evidence = Evidence()
    typed: bool = False
