"""Values as people write them, for flows that are read on a screen: 12,000원, 11월 24일, and never a card number."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ].*)?")
_TIME = re.compile(r"(?:[\d-]+[T ])?(\d{1,2}):(\d{2})(?::\d{2}.*)?")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip


def write(text: str, format_: str, language: str) -> str:
    """`format_` is one of a template's. What is not of its kind stays as it is."""
    writer = _WRITERS.get(format_)
    return (writer(text.strip(), language) if writer else None) or text


def _number(text: str, _language: str) -> str | None:
    number = _decimal(text)
    return None if number is None else f"{number:,f}"


def _won(text: str, language: str) -> str | None:
    number = _decimal(text)
    if number is None:
        return None
    return f"{number:,f}원" if language == "ko" else f"{number:,f} won"


def _dollars(text: str, language: str) -> str | None:
    number = _decimal(text)
    if number is None:
        return None
    return f"{number:,f}달러" if language == "ko" else f"${number:,f}"


def _date(text: str, language: str) -> str | None:
    found = _parsed(text)
    if found is None:
        return None
    year, month, day = found.year, found.month, found.day
    return f"{year}년 {month}월 {day}일" if language == "ko" else f"{_MONTHS[month - 1]} {day}, {year}"


def _day(text: str, language: str) -> str | None:
    found = _parsed(text)
    if found is None:
        return None
    month, day = found.month, found.day
    return f"{month}월 {day}일" if language == "ko" else f"{_MONTHS[month - 1]} {day}"


def _time(text: str, _language: str) -> str | None:
    found = _TIME.fullmatch(text)
    return f"{int(found[1]):02}:{found[2]}" if found else None


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 30 else None  # noqa: PLR2004 - no amount is longer


def _parsed(text: str) -> date | None:
    found = _DATE.fullmatch(text)
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


_WRITERS: Mapping[str, Callable[[str, str], str | None]] = {
    "number": _number, "won": _won, "dollars": _dollars, "date": _date, "day": _day, "time": _time,
}  # fmt: skip
