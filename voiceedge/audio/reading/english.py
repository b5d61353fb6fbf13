"""English readings of single values: numbers, amounts, dates, times, digit strings."""

# ruff: noqa: SIM905 - lists of words are read as words

import re
from decimal import Decimal

_SMALL = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
    """.split()
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_THOUSANDS = ("", " thousand", " million", " billion", " trillion")
_MOST_DIGITS = 15
_MONTHS = "January February March April May June July August September October November December".split()
_ORDINALS = dict(
    pair.split("=")
    for pair in "one=first two=second three=third five=fifth eight=eighth nine=ninth twelve=twelfth".split()
)
_NOON = 12


def number(value: Decimal) -> str:
    sign = "minus " if value < 0 else ""
    whole, _, part = format(abs(value), "f").partition(".")
    if len(whole) > _MOST_DIGITS:
        return sign + digits(whole)
    point = " point " + " ".join(_SMALL[int(digit)] for digit in part) if part.strip("0") else ""
    return sign + cardinal(int(whole)) + point


def amount(value: Decimal, currency: str) -> str:
    if currency == "KRW":
        return f"{number(value)} won"
    dollars, cents = divmod(abs(value).quantize(Decimal("0.01")), 1)
    said = f"{number(dollars)} dollar" + ("" if dollars == 1 else "s")
    if cents:
        said += f" and {cardinal(int(cents * 100))} cents"
    return f"minus {said}" if value < 0 else said


def date(year: int | None, month: int, day: int) -> str:
    return f"{_MONTHS[month - 1]} {ordinal(day)}" + (f", {_year(year)}" if year else "")


def time(hour: int, minute: int) -> str:
    return f"{clock_time(hour % _NOON or _NOON, minute)} {'a' if hour < _NOON else 'p'} m"


def digits(value: str) -> str:
    groups = re.findall(r"\d+|[A-Za-z]+", value)
    return ", ".join(
        " ".join(_SMALL[int(each)] if each.isdigit() else each.upper() for each in group) for group in groups
    )


def cardinal(value: int) -> str:
    if not value:
        return _SMALL[0]
    parts: list[str] = []
    for name in _THOUSANDS:
        value, low = divmod(value, 1000)
        if low:
            parts.insert(0, _below_thousand(low) + name)
    return " ".join(parts)


def ordinal(value: int) -> str:
    head, _, last = cardinal(value).rpartition(" ")
    said = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return f"{head} {said}".strip()


def clock_time(hour: int, minute: int) -> str:
    return cardinal(hour) + (f" {_two_digits(minute)}" if minute else "")


def _below_thousand(value: int) -> str:
    hundreds, rest = divmod(value, 100)
    tens, ones = divmod(rest, 10)
    said = [f"{_SMALL[hundreds]} hundred"] if hundreds else []
    if 0 < rest < len(_SMALL):
        said.append(_SMALL[rest])
    elif rest:
        said += [_TENS[tens], _SMALL[ones]] if ones else [_TENS[tens]]
    return " ".join(said)


def _two_digits(value: int) -> str:
    return f"oh {_SMALL[value]}" if value < 10 else cardinal(value)  # noqa: PLR2004 - one digit


def _year(year: int) -> str:
    century, rest = divmod(year, 100)
    if century % 10 == 0 and rest < 10:  # noqa: PLR2004 - two thousand five, not twenty oh five
        return cardinal(year)
    return f"{cardinal(century)} {_two_digits(rest) if rest else 'hundred'}"
