"""English readings: numbers, ordinals, dates, times, amounts, digit strings."""

import re
from collections.abc import Callable
from decimal import Decimal
from re import Match

UNSPEAKABLE = re.compile(r"[^A-Za-zÀ-ÖØ-öø-ÿ\s.,?!']")

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_THOUSANDS = ("", " thousand", " million", " billion", " trillion")
_MOST_DIGITS = 15
_MONTHS = "January February March April May June July August September October November December".split()
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth"}
_UNITS = {"%": "percent", "km": "kilometres", "cm": "centimetres", "kg": "kilograms", "GB": "gigabytes", "MB": "megabytes"}
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_CLOCK = r"(\d{1,2}):(\d{2})(?::\d{2})?(?:\s*([AaPp])\.?[Mm]\b\.?)?"


def number(value: Decimal) -> str:
    sign = "minus " if value < 0 else ""
    whole, _, part = format(abs(value), "f").partition(".")
    point = " point " + " ".join(_SMALL[int(digit)] for digit in part) if part.strip("0") else ""
    return sign + (_cardinal(int(whole)) + point if len(whole) <= _MOST_DIGITS else digits(whole))


def amount(value: Decimal, currency: str) -> str:
    if currency == "KRW":
        return f"{number(value)} won"
    dollars, cents = divmod(abs(value).quantize(Decimal("0.01")), 1)
    said = f"{number(dollars)} dollar" + ("" if dollars == 1 else "s")
    if cents:
        said += f" and {_cardinal(int(cents * 100))} cents"
    return f"minus {said}" if value < 0 else said


def date(year: int | None, month: int, day: int) -> str:
    return f"{_MONTHS[month - 1]} {_ordinal(day)}" + (f", {_year(year)}" if year else "")


def time(hour: int, minute: int) -> str:
    return f"{_clock_time(hour % 12 or 12, minute)} {'a' if hour < 12 else 'p'} m"  # noqa: PLR2004 - noon


def digits(value: str) -> str:
    groups = re.findall(r"\d+|[A-Za-z]+", value)
    return ", ".join(" ".join(_SMALL[int(each)] if each.isdigit() else each.upper() for each in group) for group in groups)


def expand(text: str) -> tuple[str, list[str]]:
    for pattern, said in _EXPANSIONS:
        text = pattern.sub(said, text)
    return text, []


def _cardinal(value: int) -> str:
    if value < 1000:  # noqa: PLR2004
        return _below_thousand(value)
    said, step = "", 0
    while value:
        value, low = divmod(value, 1000)
        if low:
            said = _below_thousand(low) + _THOUSANDS[step] + (" " + said if said else "")
        step += 1
    return said


def _below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    tens, ones = divmod(rest, 10)
    below = _SMALL[rest] if rest < 20 else _TENS[tens] + (f" {_SMALL[ones]}" if ones else "")  # noqa: PLR2004 - the teens have names
    if not hundreds:
        return below
    return f"{_SMALL[hundreds]} hundred" + (f" {below}" if rest else "")


def _ordinal(value: int) -> str:
    head, _, last = _cardinal(value).rpartition(" ")
    said = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return f"{head} {said}".strip()


def _year(year: int) -> str:
    century, rest = divmod(year, 100)
    if year % 1000 < 10 or not 1000 < year < 10_000:  # noqa: PLR2004 - two thousand five
        return _cardinal(year)
    if rest == 0:
        return f"{_cardinal(century)} hundred"
    return f"{_cardinal(century)} {'oh ' if rest < 10 else ''}{_cardinal(rest)}"  # noqa: PLR2004


def _clock_time(hour: int, minute: int) -> str:
    if not minute:
        return _cardinal(hour)
    return f"{_cardinal(hour)} {'oh ' if minute < 10 else ''}{_cardinal(minute)}"  # noqa: PLR2004


def _decimal(written: str) -> Decimal:
    return Decimal(written.replace(",", ""))


def _said_clock(match: Match[str]) -> str:
    hour, minute, half = int(match[1]), int(match[2]), match[3]
    if hour > 24 or minute > 59:  # noqa: PLR2004 - a score, a ratio
        return f"{_cardinal(hour)} to {_cardinal(minute)}"
    if half:
        return f"{_clock_time(hour, minute)} {half.lower()} m"
    return time(hour % 24, minute)


def _said_date(match: Match[str]) -> str:
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    return date(year, month, day) if 1 <= month <= 12 and day else digits(match[0])  # noqa: PLR2004


_EXPANSIONS: tuple[tuple[re.Pattern[str], Callable[[Match[str]], str] | str], ...] = (
    (re.compile(r"[∼〜–—]"), "~"),
    (re.compile("[‘’]"), "'"),
    (re.compile(rf"({_CLOCK})\s*~\s*(?=\d)"), r"\1 to "),
    (re.compile(_CLOCK), _said_clock),
    (re.compile(r"(?<![\d-])(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?![\d-])"), _said_date),
    (re.compile(r"(?:\+?\d{1,3}[- ])?(?<!\d)\(?\d{2,4}\)?[- ]\d{3,4}-\d{4}(?!\d)|(?<![\d-])1\d{3}-\d{4}(?![\d-])"), lambda match: digits(match[0])),
    (re.compile(r"\b[A-Za-z]*\d+(?:-\d+)+\b|\b[A-Za-z]+-?\d{4,}\b"), lambda match: digits(match[0])),
    (re.compile(rf"₩\s*({_NUMBER})"), lambda match: amount(_decimal(match[1]), "KRW")),
    (re.compile(rf"\$\s*({_NUMBER})"), lambda match: amount(_decimal(match[1]), "USD")),
    (re.compile(rf"({_NUMBER})\s*~\s*(?=\d)"), lambda match: f"{number(_decimal(match[1]))} to "),
    (re.compile(rf"({_NUMBER})\s*({'|'.join(_UNITS)})(?![A-Za-z])"), lambda match: f"{number(_decimal(match[1]))} {_UNITS[match[2]]}"),
    (re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)\b"), lambda match: _ordinal(int(match[1]))),
    (re.compile(r"\b(?:0\d+|\d{7,})\b"), lambda match: digits(match[0])),
    (re.compile(rf"(?<![\w)])-({_NUMBER})"), lambda match: f"minus {number(_decimal(match[1]))}"),
    (re.compile(_NUMBER), lambda match: f" {number(_decimal(match[0]))} "),
    (re.compile(r"(?<![\w*])\*(?![\w*])"), "star"),
    (re.compile(r"(?<!\w)#(?!\w)"), "pound"),
    (re.compile(r"(?<=\w)\.(?=[a-z]{2,})"), " dot "),
    (re.compile("@"), " at "),
    (re.compile("&"), " and "),
    (re.compile(r"\+"), " plus "),
)  # fmt: skip
