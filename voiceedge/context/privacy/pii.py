"""Personal data: its classes, and how values and free text are masked before they reach a log, an event or an error."""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Collection, Iterable
from enum import StrEnum
from pathlib import Path

from voiceedge.context.privacy.identifiers import OPEN_ENDED, Identifier, Kind, identifiers, is_date, is_phone
from voiceedge.context.privacy.keys import load_key
from voiceedge.context.privacy.said import digits_in

MASK = "***"
KEPT_DIGITS = 4  # enough for a person to recognise a number, too few to call it
FEWEST_DIGITS_KEPT_OF = 7
_SHORTEST_CARD = 14  # ISO/IEC 7812-1
_NUMBER = re.compile(r"[+\d\s().-]+")


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
    if cls is PersonalDataClass.CARD:
        digits = digits_in(value)
        return MASK + digits[-KEPT_DIGITS:] if len(digits) >= _SHORTEST_CARD else MASK
    found = identifiers(value)
    if found:
        return _shown(found[-1]) if all(one.kind in OPEN_ENDED for one in found) else MASK
    digits = digits_in(value) if _NUMBER.fullmatch(value) else ""
    return MASK + digits[-KEPT_DIGITS:] if len(digits) >= FEWEST_DIGITS_KEPT_OF and not is_date(digits) else MASK


def mask_text(text: str, kinds: Collection[Kind] = frozenset(Kind)) -> str:
    """Free text without the identifiers of persons, or without those of some kinds, written or spoken."""
    parts, position = [], 0
    for one in identifiers(text):
        if one.kind not in kinds:
            continue
        parts += [text[position : one.start], _shown(one)]
        position = one.end
    return "".join([*parts, text[position:]]) if parts else text


def pseudonym(value: str, key: bytes) -> str:
    """The same for the same person's number or address, however it is written; without the key it says nothing."""
    return hmac.new(key, canonical(value).encode(), hashlib.sha256).hexdigest()[:32]


def pseudonym_key(data_dir: Path) -> bytes:
    return load_key(data_dir, "pseudonym")


def _shown(one: Identifier) -> str:
    return MASK + one.digits[-KEPT_DIGITS:] if one.kind in OPEN_ENDED else MASK


def canonical(value: str) -> str:
    """A phone number as its national digits, anything else as trimmed small letters."""
    plain = unicodedata.normalize("NFKC", value).strip().casefold()
    if not _NUMBER.fullmatch(plain):
        return plain
    digits = re.sub(r"\D", "", plain)
    return re.sub(r"^(?:00)?820?(?=[1-9])", "0", digits) if is_phone(digits.removeprefix("00")) else digits
