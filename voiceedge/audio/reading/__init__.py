"""What is written, as it is read aloud: numbers, dates, times, amounts, telephone numbers and letters become words."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import Protocol

from voiceedge.audio.reading import english, english_text, korean, korean_text

LONGEST = 4000  # characters; some ten minutes of speech
_LONGEST_SENTENCE = 160
_MOST_DIGITS = 100
_LONE_JAMO = re.compile("[\u3131-\u318e\uffa0-\uffdc]+")
_NOT_SPOKEN = {"ko": re.compile(r"[^가-힣\s.,?!]"), "en": re.compile(r"[^A-Za-zÀ-ÖØ-öø-ÿ\s.,?!']")}
_SILENT = frozenset("\"'“”‘’()[]{}<>«»·…~-–—_*|/\\:;。、「」『』")  # marks that nobody expects to hear


class _Values(Protocol):
    """What a module of single values offers."""

    def digits(self, value: str) -> str: ...
    def number(self, value: Decimal) -> str: ...
    def amount(self, value: Decimal, currency: str) -> str: ...
    def date(self, year: int | None, month: int, day: int) -> str: ...
    def time(self, hour: int, minute: int) -> str: ...


@dataclass(frozen=True, slots=True)
class Note:
    """Something that could not be read as written. `kind` is one of a few fixed sentences; `text` may be personal."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    text: str
    notes: tuple[Note, ...] = ()


def read(text: str, language: str) -> Reading:
    """The text in words of its language and plain punctuation; anything may come in, nothing but speech comes out."""
    notes: list[Note] = []
    if len(text) > LONGEST:
        notes.append(Note("too long: the rest is not said", text[LONGEST:]))
        text = text[:LONGEST]
    lone = _LONE_JAMO.findall(text)
    if lone:
        notes.append(Note("single letters of Hangul are left out", "".join(lone)))
    plain = unicodedata.normalize("NFKC", _LONE_JAMO.sub(" ", text))  # which would build syllables of single letters
    said, spelled = korean_text.expand(plain) if language == "ko" else (english_text.expand(plain), [])
    if spelled:
        notes.append(Note("foreign words are spelled out: write them as they sound", ", ".join(spelled)))
    kept = _NOT_SPOKEN["ko" if language == "ko" else "en"].sub(" ", said)
    dropped = {character for character in said if not character.isspace()} - set(kept) - _SILENT
    if dropped:
        notes.append(Note("characters without a sound are left out", "".join(sorted(dropped))))
    return Reading(_tidy(kept), tuple(notes))


def sentences(text: str) -> list[str]:
    """Cut after sentence ends, overlong sentences after a comma or between words; what has no word in it goes."""
    found: list[str] = []
    for sentence in re.split(r"(?<=[.?!])\s+", text):
        rest = sentence.strip()
        while len(rest) > _LONGEST_SENTENCE:
            cut = rest.rfind(",", 0, _LONGEST_SENTENCE) + 1
            if cut < _LONGEST_SENTENCE // 3:
                cut = rest.rfind(" ", 0, _LONGEST_SENTENCE)
            cut = cut if cut > 0 else _LONGEST_SENTENCE
            found.append(rest[:cut].strip())
            rest = rest[cut:].strip()
        found.append(rest)
    return [sentence for sentence in found if any(character.isalnum() for character in sentence)]


def read_digits(value: str, language: str) -> str:
    """One by one, as order and telephone numbers are read; letters by their names, all else is a short pause."""
    return _values(language).digits(unicodedata.normalize("NFKC", value))


def read_number(value: str | float | Decimal, language: str) -> str:
    """A quantity. Raises ValueError for what is not a number."""
    return _values(language).number(_decimal(value))


def read_amount(value: str | float | Decimal, language: str, currency: str = "KRW") -> str:
    """An amount of money, KRW or USD. Raises ValueError for what is not a number."""
    return _values(language).amount(_decimal(value), currency)


def read_date(value: str | date, language: str) -> str:
    """A date or "2026-03-25" (a time after it is not read); "--03-25" is read without a year. Raises ValueError."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{4}|-)-(\d{2})-(\d{2})(?:[T ].*)?", value.strip())
        if not match:
            raise ValueError("Not a date: write it as 2026-03-25.")
        year = None if match[1] == "-" else int(match[1])
        checked = date(year or 2024, int(match[2]), int(match[3]))  # 2024: a leap year knows every day
        return _values(language).date(year, checked.month, checked.day)
    return _values(language).date(value.year, value.month, value.day)


def read_time(value: str | time, language: str) -> str:
    """A time of day, "18:30", or an ISO 8601 date and time, of which the time is read. Raises ValueError."""
    if isinstance(value, str):
        match = re.fullmatch(r"(?:[\d-]+[T ])?(\d{1,2}):(\d{2})(?::\d{2}.*)?", value.strip())
        if not match:
            raise ValueError("Not a time: write it as 18:30.")
        hour, minute = int(match[1]), int(match[2])
        value = time(0 if (hour, minute) == (24, 0) else hour, minute)
    return _values(language).time(value.hour, value.minute)


def _values(language: str) -> _Values:
    return korean if language == "ko" else english


def _decimal(value: str | float | Decimal) -> Decimal:
    try:
        number = Decimal(str(value).replace(",", "").strip())
    except InvalidOperation:
        raise ValueError("Not a number: write it in digits.") from None
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        raise ValueError("Not a number that can be read out.")
    return number


def _tidy(text: str) -> str:
    text = re.sub(r"\s*\n\s*", ". ", text.strip())
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r" (?=[.,?!])", "", text)
    text = re.sub(r"[.,?!]*([.?!])[.,?!]*|,,+", lambda match: match[1] or ",", text)
    text = re.sub(r"([.,?!])(?=[^\s.,?!])", r"\1 ", text)
    return text.lstrip(".,?! ").strip()
