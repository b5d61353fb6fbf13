"""Personal data: its classes, and how values and free text are masked before they reach a log, an event or an error."""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from voiceedge.context.keys import load_key

MASK = "***"
KEPT_DIGITS = 4  # enough for a person to recognise a number, too few to call it
FEWEST_DIGITS_KEPT_OF = 7
SPOKEN_RUN = 9  # so many digits said in a row are masked whatever they are: it may be a phone number misheard


class PersonalDataClass(StrEnum):
    NONE = "none"
    PERSONAL = "personal"
    SENSITIVE = "sensitive"
    CARD = "card"


def strictest(classes: Iterable[PersonalDataClass]) -> PersonalDataClass:
    """The one that lets others see least; NONE of no classes."""
    return max(classes, key=list(PersonalDataClass).index, default=PersonalDataClass.NONE)


def mask(value: str, cls: PersonalDataClass) -> str:
    """The value as others may see it: the end of a phone or card number, nothing of anything else that is classed."""
    if cls is PersonalDataClass.NONE:
        return value
    if cls is PersonalDataClass.SENSITIVE:
        return MASK
    digits = [digit for run in _runs(value) for digit in run]
    if cls is PersonalDataClass.CARD:
        return MASK + _tail(digits) if len(digits) >= _SHORTEST_CARD else MASK
    if len(digits) < FEWEST_DIGITS_KEPT_OF or any(window.kind == "resident" for window in _windows(digits, value)):
        return MASK
    return MASK + _tail(digits)


def mask_text(text: str) -> str:
    """Free text without its e-mail addresses, phone, card and resident registration numbers, written or spoken."""
    text = _EMAIL.sub(MASK, text)
    parts, position = [], 0
    for run in _runs(text):
        for first, last, replacement in _masked(run, text):
            parts += [text[position : run[first].start], replacement]
            position = run[last].end
    return "".join([*parts, text[position:]])


def pseudonym(value: str, key: bytes) -> str:
    """The same for the same person's number or address, however it is written; without the key it says nothing."""
    return hmac.new(key, canonical(value).encode(), hashlib.sha256).hexdigest()[:32]


def pseudonym_key(data_dir: Path) -> bytes:
    return load_key(data_dir, "pseudonym")


_EMAIL = re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d][\w-]{1,62}")
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "oh")
_SYLLABLES = "영일이삼사오육칠팔구공륙"
_SPOKEN = {
    **dict(zip(_SYLLABLES, "012345678906", strict=True)),
    **dict(zip(_WORDS, "01234567890", strict=True)),
}
_DIGIT = re.compile(rf"\d|[{_SYLLABLES}]|(?<![a-z])(?:{'|'.join(_WORDS)})(?![a-z])", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s\-.,·()/‐-―−]{0,3}|\s{0,2}(?:에|의|다시|하이픈|대시)\s{0,2}")
_SHORTEST_CARD, _LONGEST = 14, 19  # ISO/IEC 7812-1
_CARD = re.compile(r"[2-69](?:\d{13,15}|\d{18})")  # the lengths and first digits of payment cards; 9 is domestic
_PHONE = re.compile(
    r"(?:010\d{8}|01[16-9]\d{7,8}|02\d{7,8}|0(?:3[1-3]|4[1-4]|5[1-5]|6[0-4]|70|80)\d{7,8}|050\d\d{7,8}"
    r"|820?(?:10\d{8}|1[16-9]\d{7,8}|2\d{7,8}|(?:3[1-3]|4[1-4]|5[1-5]|6[0-4]|70|80)\d{7,8}))"
)
_RESIDENT = re.compile(r"\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[1-8]\d{6}")  # 주민등록번호, 외국인등록번호


@dataclass(frozen=True, slots=True)
class _Digit:
    value: str
    start: int
    end: int
    spoken: bool
    starts_group: bool  # a number may begin here: what lies before is no digit of the same kind


@dataclass(frozen=True, slots=True)
class _Window:
    first: int
    last: int
    kind: str


def _runs(text: str) -> Iterator[list[_Digit]]:
    """Digits with nothing but separators between them."""
    run: list[_Digit] = []
    for match in _DIGIT.finditer(text):
        if run and not _BETWEEN.fullmatch(text, run[-1].end, match.start()):
            yield run
            run = []
        token = match.group().lower()
        spoken = token in _SPOKEN
        value = _SPOKEN[token] if spoken else str(unicodedata.digit(token))
        # A spoken digit is a group of its own: recognisers put spaces anywhere, and a particle (이) may look like one.
        fresh = not run or spoken or run[-1].spoken or run[-1].end != match.start()
        run.append(_Digit(value, match.start(), match.end(), spoken, fresh))
    if run:
        yield run


def _windows(run: list[_Digit], text: str) -> Iterator[_Window]:
    """Every stretch of whole groups that reads as a number of a person."""
    foreign = run[0].start > 0 and text[run[0].start - 1] == "+"
    ends = {index for index in range(len(run)) if index + 1 == len(run) or run[index + 1].starts_group}
    found = False
    for first, digit in enumerate(run):
        if not digit.starts_group:
            continue
        for last in range(first, first + _LONGEST):
            if last not in ends:
                continue
            kind = _kind(run[first : last + 1], foreign=foreign and first == 0)
            if kind:
                found = True
                yield _Window(first, last, kind)
    if not found and sum(digit.spoken for digit in run) >= SPOKEN_RUN:
        yield _Window(0, len(run) - 1, "spoken")


def _kind(window: list[_Digit], *, foreign: bool) -> str | None:
    digits = "".join(digit.value for digit in window)
    breaks = {place for place, digit in enumerate(window) if place and digit.starts_group and not digit.spoken}
    if _RESIDENT.fullmatch(digits) and breaks <= {6}:  # written as 880101-1234567
        return "resident"
    if _PHONE.fullmatch(digits) or (foreign and 8 <= len(digits) <= 15):  # noqa: PLR2004 - E.164
        return "phone"
    if _CARD.fullmatch(digits) and _luhn(digits):
        return "card"
    return None


def _masked(run: list[_Digit], text: str) -> Iterator[tuple[int, int, str]]:
    """Overlapping windows become one replacement, and the strictest of them says what may be seen."""
    merged: list[list[_Window]] = []
    for window in sorted(_windows(run, text), key=lambda window: window.first):
        if merged and window.first <= max(other.last for other in merged[-1]):
            merged[-1].append(window)
        else:
            merged.append([window])
    for windows in merged:
        last = max(window.last for window in windows)
        open_end = all(window.kind in {"phone", "card"} for window in windows)
        yield windows[0].first, last, MASK + (_tail(run[: last + 1]) if open_end else "")


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(part // 10 + part % 10 for part in doubled) % 10 == 0


def _tail(digits: list[_Digit]) -> str:
    return "".join(digit.value for digit in digits[-KEPT_DIGITS:])


def canonical(value: str) -> str:
    """A phone number as its national digits, anything else as trimmed small letters."""
    plain = unicodedata.normalize("NFKC", value).strip().casefold()
    if not re.fullmatch(r"[+\d\s().-]+", plain):
        return plain
    digits = re.sub(r"\D", "", plain)
    return re.sub(r"^(?:00)?820?(?=[1-9])", "0", digits) if _PHONE.fullmatch(digits.removeprefix("00")) else digits
