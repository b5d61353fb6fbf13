"""English running text: digits and signs become words."""

import re
from collections.abc import Callable
from decimal import Decimal
from re import Match

from voiceedge.audio.reading.english import amount, cardinal, clock_time, date, digits, number, ordinal, time

_UNITS = {
    "%": "percent",
    "km": "kilometres",
    "cm": "centimetres",
    "kg": "kilograms",
    "GB": "gigabytes",
    "MB": "megabytes",
}
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_CLOCK = r"\b(\d{1,2}):(\d{2})(?::\d{2})?(?:\s*([AaPp])\.?[Mm]\b\.?)?"
_TELEPHONE = r"(?:\+\d{1,3}[- ])?(?<!\d)\(?\d{2,4}\)?[- ]\d{3,4}-\d{4}(?!\d)|(?<![\d-])1\d{3}-\d{4}(?![\d-])"
_MONTHS, _DAYS, _HOURS, _MINUTES = 12, 31, 24, 59


def expand(text: str) -> str:
    for pattern, said in _EXPANSIONS:
        text = pattern.sub(said, text)
    return text


def _value(written: str) -> Decimal:
    return Decimal(written.replace(",", ""))


def _clock(match: Match[str]) -> str:
    hour, minute, half = int(match[1]), int(match[2]), match[3]
    if hour > _HOURS or minute > _MINUTES:  # a score, a ratio
        return f"{cardinal(hour)} to {cardinal(minute)}"
    return f"{clock_time(hour, minute)} {half.lower()} m" if half else time(hour % _HOURS, minute)


def _day(match: Match[str]) -> str:
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    return date(year, month, day) if 1 <= month <= _MONTHS and 1 <= day <= _DAYS else digits(match[0])


def _digits(match: Match[str]) -> str:
    return digits(match[0])


_RULES: tuple[tuple[str, str | Callable[[Match[str]], str]], ...] = (
    (r"[∼〜–—]", "~"),
    (r"\d{16,}", _digits),  # first: no pattern below is to search in what nobody counts
    ("[‘’]", "'"),
    (rf"({_CLOCK})\s*~\s*(?=\d)", r"\1 to "),
    (_CLOCK, _clock),
    (r"(?<![\d-])(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?![\d-])", _day),
    (_TELEPHONE, _digits),
    (r"\b[A-Za-z]*\d+(?:-\d+)+\b|\b[A-Za-z]+-?\d{4,}\b", _digits),
    (rf"₩\s*({_NUMBER})", lambda match: amount(_value(match[1]), "KRW")),
    (rf"\$\s*({_NUMBER})", lambda match: amount(_value(match[1]), "USD")),
    (rf"({_NUMBER})\s*~\s*(?=\d)", lambda match: f"{number(_value(match[1]))} to "),
    (
        rf"({_NUMBER})\s*({'|'.join(_UNITS)})(?![A-Za-z])",
        lambda match: f"{number(_value(match[1]))} {_UNITS[match[2]]}",
    ),
    (r"\b(\d{1,2})(?:st|nd|rd|th)\b", lambda match: ordinal(int(match[1]))),
    (r"\b(?:0\d+|\d{7,})\b", _digits),
    (rf"(?<![\w)])-({_NUMBER})", lambda match: f"minus {number(_value(match[1]))}"),
    (_NUMBER, lambda match: f" {number(_value(match[0]))} "),
    (r"(?<![\w*])\*(?![\w*])", "star"),
    (r"(?<!\w)#(?!\w)", "pound"),
    (r"(?<=\w)\.(?=[a-z]{2,})", " dot "),
    ("@", " at "),
    ("&", " and "),
    (r"\+", " plus "),
)
_EXPANSIONS = tuple((re.compile(pattern), said) for pattern, said in _RULES)
