"""Phrases cut into words that the streaming recogniser knows: it silently drops all others from its grammar."""

from collections.abc import Callable
from functools import lru_cache

from voiceedge.speech.heard import Expectation

_LONGEST_PIECE = 8  # syllables; longer words of the vocabulary are rare and are found as two
_PIECE_COST = 10  # fewer, longer pieces are pronounced more nearly as a person says the phrase
DIGIT_WORDS = ("영", "공", "일", "이", "삼", "사", "오", "육", "륙", "칠", "팔", "구", "하나", "둘", "셋", "넷")

Knows = Callable[[str], bool]


def cut(phrase: str, knows: Knows) -> tuple[str, ...] | None:
    """The phrase in as few known words as possible, or None where some part of it is beyond this vocabulary."""
    pieces: list[str] = []
    for word in _words(phrase):
        found = _cut_word(word, knows)
        if found is None:
            return None
        pieces.extend(found)
    return tuple(pieces) or None


def unspeakable(expectation: Expectation, knows: Knows) -> list[str]:
    """The phrases that streaming recognition can never hear, each as the flow's author wrote it."""
    return [phrase.text for phrase in expectation.phrases if cut(phrase.text, knows) is None]


def spoken(text: str) -> str:
    """The words alone, one space between them."""
    return " ".join(_words(text))


def bare(text: str) -> str:
    """Letters and digits only: what is left to compare when a recogniser's cuts are no longer of interest."""
    return "".join(_words(text))


@lru_cache(maxsize=4096)
def _words(phrase: str) -> tuple[str, ...]:
    return tuple("".join(c if c.isalnum() else " " for c in phrase.lower()).split())


def _cut_word(word: str, knows: Knows) -> list[str] | None:
    """Cheapest cut of every prefix, from short to long."""
    best: list[tuple[int, list[str]] | None] = [(0, [])]
    for end in range(1, len(word) + 1):
        options = []
        for start in range(max(0, end - _LONGEST_PIECE), end):
            before = best[start]
            piece = word[start:end]
            if before is not None and knows(piece):
                # A lone syllable is often a homograph of a particle: prefer an even cut such as 두+두 over 세+하나.
                cost = before[0] + _PIECE_COST + (1 if len(piece) == 1 else 0)
                options.append((cost, [*before[1], piece]))
        best.append(min(options, key=lambda option: option[0]) if options else None)
    last = best[-1]
    return last[1] if last else None
