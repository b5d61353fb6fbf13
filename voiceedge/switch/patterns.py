"""Patterns over telephone numbers and names: fnmatch, with a number's separators left out on both sides."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from voiceedge.errors import NumberError
from voiceedge.switch import numbers
from voiceedge.switch.plan import Numbers

LONGEST = 128  # characters of a user part that are looked at

_NUMBER_LIKE = re.compile(r"[+0-9*?\s().\-]+")
_SEPARATORS = re.compile(r"[\s().\-]")


def plain(pattern: str) -> str:
    """`1588-*` is `1588*`; patterns with letters or [sets] stay as they are but for the letters' case."""
    return _SEPARATORS.sub("", pattern) if _NUMBER_LIKE.fullmatch(pattern) else pattern.casefold()


def fits(pattern: str, forms: Iterable[str]) -> bool:
    return any(fnmatchcase(form, plain(pattern)) for form in forms)


def is_literal(pattern: str) -> bool:
    return not any(sign in pattern for sign in "*?[")


def forms_of(text: str, home: Numbers) -> tuple[str, ...]:
    """All that a pattern may be about: what was sent, the number as it is dialled at home, and as E.164.

    A caller without a number is "anonymous", in whatever words that came.
    """
    if numbers.is_anonymous(text):
        return ("anonymous",)
    sent = plain(text[:LONGEST])
    try:
        number = numbers.read(text, home)
    except NumberError:
        return (sent,)
    return tuple(dict.fromkeys((sent, *number.forms)))
