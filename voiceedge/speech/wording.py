"""How far what was heard is from a phrase, allowing for how callers wrap it: "저 배송 조회 좀 해 주세요"."""

import re
from functools import lru_cache

from voiceedge.speech import jamo
from voiceedge.speech.heard import Expectation, Phrase

_FURTHEST = 1.5  # beyond it nothing is less alike
_EXTRA = 0.8  # distance of a sentence that holds the phrase and is almost all something else
_SHORT_LETTERS, _SHORT_EXTRA = 4, 0.5  # 네 is found inside many a word: it must be nearly all there is
_COMPANION_SYLLABLES = 4
_LOOP = re.compile(r"^(.+?)(?:[\s,.?!]*\1){2,}.*$")  # Whisper caught in a loop says the same three times or more
_BEFORE = {
    "ko": re.compile(r"^(?:(?:아|어|음|저|저기|저기요|그)[\s,.]+)+"),
    "en": re.compile(r"^(?:(?:uh|um|well|please|i want|i need|i'd like|i would like|to|the|a)[\s,.]+)+"),
}
_AFTER = {
    "ko": re.compile(
        r"(?:\s*(?:으로|좀|문의|이?요|이에요|예요|입니다|(?:해|알려)?\s*주세요|하려고요|할게요|하고 싶어요"
        r"|(?:부탁|원)해요|부탁드립니다|부탁드려요))+[\s.,?!]*$"
    ),
    "en": re.compile(r"(?:[\s,.]*(?:please|thanks|thank you))+[\s.,?!]*$"),
}


def unlooped(transcript: str) -> str:
    """The transcript without Whisper's repetitions of itself."""
    return _LOOP.sub(r"\1", transcript)


def companions(phrase: Phrase, expectation: Expectation) -> tuple[str, ...]:
    """The short ways of saying the same, which callers string together: 네, 맞아요."""
    return tuple(
        other.text
        for other in expectation.phrases
        if other.value == phrase.value and other != phrase and len(other.text) <= _COMPANION_SYLLABLES
    )


@lru_cache(maxsize=4096)
def gap(heard: str, phrase: str, language: str, beside: tuple[str, ...] = ()) -> float:
    """Jamo distance, a part of the phrase's length, 0 to 1.5. What may be said `beside` it costs nothing."""
    bare = {heard}
    for wrapping in (_BEFORE.get(language), _AFTER.get(language)):
        if wrapping:
            bare |= {wrapping.sub("", text) for text in bare}
    wordings = (phrase, *(f"{phrase} {other}" for other in beside))
    return min([_FURTHEST, *(_gap(text, wording) for text in bare if jamo.letters(text) for wording in wordings)])


def _gap(heard: str, wording: str) -> float:
    inside, covered = jamo.distance_inside(heard, wording)
    short = _SHORT_EXTRA if covered < 1 and len(jamo.letters(wording)) < _SHORT_LETTERS else 0.0
    return min(jamo.distance(heard, wording), inside + _EXTRA * (1 - covered) + short)
