"""How alike two texts sound: edit distance over jamo, the letters that Hangul syllables are made of."""

import unicodedata
from functools import lru_cache

_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINALS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")
# Vowels that today's speakers no longer tell apart, and that a recogniser spells one way or the other.
_MERGED = str.maketrans({"ㅐ": "ㅔ", "ㅒ": "ㅖ", "ㅙ": "ㅚ", "ㅞ": "ㅚ"})
_FIRST, _LAST = 0xAC00, 0xD7A3


@lru_cache(maxsize=4096)
def letters(text: str) -> str:
    """The jamo (or lower-case letters and digits) of a text; spaces, signs and a silent ㅇ are left out."""
    out: list[str] = []
    for character in unicodedata.normalize("NFC", text).lower():
        code = ord(character)
        if _FIRST <= code <= _LAST:
            initial, vowel, final = (code - _FIRST) // 588, (code - _FIRST) % 588 // 28, (code - _FIRST) % 28
            if _INITIALS[initial] != "ㅇ":
                out.append(_INITIALS[initial])
            out.append(_VOWELS[vowel].translate(_MERGED))
            out.append(_FINALS[final])
        elif character.isalnum():
            out.append(character)
    return "".join(out)


def distance(heard: str, phrase: str) -> float:
    """Edit distance of the whole texts, a part of the phrase's length: 0 is equal; more than 1 is possible."""
    pattern = letters(phrase)
    return _edits(letters(heard), pattern, inside=False)[0] / max(1, len(pattern))


def distance_inside(heard: str, phrase: str) -> tuple[float, float]:
    """The phrase's distance to the part of `heard` most like it, and how much of `heard` that part covers (0..1).

    For callers who wrap a menu phrase into a sentence: "저 배송 조회 하려고요" holds 배송 조회 at distance 0.
    """
    source, pattern = letters(heard), letters(phrase)
    edits, length = _edits(source, pattern, inside=True)
    return edits / max(1, len(pattern)), length / max(1, len(source))


def _edits(source: str, pattern: str, *, inside: bool) -> tuple[int, int]:
    """Edits (Levenshtein; with `inside` Sellers' free start and end) and the length of the source they cover."""
    above = [(i, 0) for i in range(len(pattern) + 1)]  # (edits, source letters covered) against an empty source
    best = above[-1]
    for row, letter in enumerate(source, 1):
        current = [(0, 0) if inside else (row, row)]
        for column, wanted in enumerate(pattern, 1):
            edits, covered = above[column - 1]
            step = (edits + (letter != wanted), covered + 1)
            edits, covered = above[column]
            step = min(step, (edits + 1, covered + 1))
            edits, covered = current[column - 1]
            current.append(min(step, (edits + 1, covered)))
        above = current
        if inside and (above[-1][0], -above[-1][1]) < (best[0], -best[1]):
            best = above[-1]
    return best if inside else above[-1]
