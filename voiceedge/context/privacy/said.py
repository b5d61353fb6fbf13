"""Digits and letters as callers say them and recognisers write them down, in Korean and English."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "oh")
SYLLABLES = "영일이삼사오육칠팔구공륙빵"
_SPOKEN = {
    **dict(zip(SYLLABLES, "0123456789060", strict=True)),
    **dict(zip(NUMBER_WORDS, "01234567890", strict=True)),
    "하나": "1",
    "둘": "2",
    "제로": "0",
}
_TIMES = {"double": 2, "triple": 3}
_WORD = rf"(?<![A-Za-z])(?i:(?:(double|triple)\s+)?({'|'.join(NUMBER_WORDS)}))(?![A-Za-z])"
_TOKEN = re.compile(rf"(\d+)|([{SYLLABLES}]|하나|둘|제로)|{_WORD}")
_BETWEEN = r"(?:[\s\-.,·()/_‐-―−\u200b-\u200d]{0,3}+|\s{0,2}+(?:에|의|다시|하이픈|대시|국에|음|어)\s{0,2}+)"
_FEWEST = 6  # digits of a run that is looked at: the date of a resident registration number
_KOREAN = rf"[\d{SYLLABLES}]|하나|둘|제로"
_ENGLISH = re.sub(r"\((?=double|zero)", "(?:", _WORD)
# Both begin with what the expression engine finds fast: this is run over every word said.
_RUN = re.compile(rf"[\d{SYLLABLES}하둘제][나로]?(?:{_BETWEEN}(?:{_KOREAN})){{{_FEWEST - 1},}}+")
_RUN_WITH_WORDS = re.compile(
    rf"(?:{_KOREAN}|{_ENGLISH})(?:{_BETWEEN}(?:{_KOREAN}|{_ENGLISH})){{{_FEWEST // 2 - 1},}}+"
)  # double and triple count more than once
_HAS_WORDS = re.compile("|".join(NUMBER_WORDS))

LETTER_NAMES = (
    "에이치|에이|비|씨|시|디|이|에프|지|쥐|아이|제이|케이|엘|엠|엔|오|피|큐|알|에스|티|유|브이|더블유|엑스|와이|제트"
)


@dataclass(frozen=True, slots=True)
class Group:
    """Digits written together, or one that was said: recognisers put spaces anywhere, so each is one of its own."""

    digits: str
    start: int
    end: int
    spoken: bool


def _value(match: re.Match[str]) -> str:
    written, syllable, times, word = match.groups()
    if written:
        return written if written.isascii() else "".join(str(unicodedata.digit(digit)) for digit in written)
    return _SPOKEN[syllable or word.lower()] * (_TIMES[times.lower()] if times else 1)


def runs(text: str) -> Iterator[list[Group]]:
    """Digits with nothing but separators between them, where there are enough to matter."""
    for run in (_RUN_WITH_WORDS if _HAS_WORDS.search(text.lower()) else _RUN).finditer(text):
        yield [
            Group(_value(match), match.start(), match.end(), match[1] is None)
            for match in _TOKEN.finditer(text, run.start(), run.end())
        ]


def digits_in(text: str) -> str:
    """Every digit of it, written or spoken."""
    return "".join(_value(match) for match in _TOKEN.finditer(text))
