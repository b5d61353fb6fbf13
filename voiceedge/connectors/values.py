"""What goes into a look-up and what comes out of it: texts without surprises, and plain values."""

import math
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from voiceedge.connectors.answers import SystemFailedError
from voiceedge.connectors.profile import Profile
from voiceedge.context.privacy.pii import canonical

LONGEST_PARAMETER, LONGEST_VALUE = 256, 4000  # characters
_LARGEST_INT = 2**63

Plain = str | int | float | bool | None


class QuestionError(ValueError):
    """A look-up is given what it does not take; the message names no value."""


def as_texts(profile: Profile, values: Mapping[str, Any]) -> dict[str, str] | None:
    """The parameters as they are sent; None where one is empty: nobody has no number. Raises QuestionError."""
    wanted = profile.parameters
    if missing := sorted(wanted - values.keys()):
        raise QuestionError(f"{', '.join(missing)} is missing; it takes {', '.join(sorted(wanted))}")
    if unknown := sorted(values.keys() - wanted):
        raise QuestionError(f"it takes {', '.join(sorted(wanted))}, not {', '.join(unknown)}")
    texts = {name: _text(name, value) for name, value in values.items()}
    for name in profile.numbers:
        texts[name] = canonical(texts[name])
        if not texts[name].isdecimal():
            return None  # such as anonymous
    return texts if all(texts.values()) else None


def _text(name: str, value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            text = "".join(character if character.isprintable() else " " for character in str(value)).strip()
        case _:
            raise QuestionError(f"{name} is a list or a record; give a text or a number")
    if len(text) > LONGEST_PARAMETER:
        raise QuestionError(f"{name} is longer than {LONGEST_PARAMETER} characters")
    return text


def plain_values(raw: Mapping[str, Any]) -> dict[str, Plain]:
    """Raises SystemFailedError where one is no value, such as a list, or is larger than anything that is said."""
    return {name: _plain(name, value) for name, value in raw.items()}


def _plain(name: str, value: Any) -> Plain:  # noqa: PLR0911 - one case a kind of value
    match value:
        case None | bool():
            return value
        case str():
            if len(value) > LONGEST_VALUE:
                raise SystemFailedError(f'"{name}" is longer than {LONGEST_VALUE} characters')
            return "".join(character if character.isprintable() else " " for character in value)
        case int() if abs(value) < _LARGEST_INT:
            return value
        case int() | UUID():
            return _plain(name, str(value))
        case float() if math.isfinite(value):
            return value
        case Decimal() if value.is_finite():
            return _plain(name, int(value)) if value == value.to_integral_value() else float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            kind = "a record or a list" if isinstance(value, dict | list) else "of a kind that no flow knows"
            raise SystemFailedError(f'"{name}" is {kind}, not a text or a number')
