"""Telephone numbers read and written: E.164 with Korea's national forms, from whatever callers and carriers send."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from phonenumbers import (
    NumberParseException,
    PhoneNumberFormat,
    PhoneNumberType,
    country_code_for_region,
    format_number,
    is_valid_number,
    number_type,
    parse,
    region_code_for_number,
)
from phonenumbers.phonenumber import CountryCodeSource, PhoneNumber
from phonenumbers.shortnumberinfo import connects_to_emergency_number, is_emergency_number

from voiceedge.errors import NumberError
from voiceedge.switch.plan import Numbers

LONGEST_TEXT = 64  # characters of a number with its separators
LONGEST_SHORT = 6  # digits of short codes and extensions
GLOBAL = "001"  # phonenumbers' region of networks that belong to no country
ANONYMOUS = frozenset({"", "anonymous", "unavailable", "restricted", "unknown", "private", "withheld"})

_DIALLED = re.compile(r"\+?[0-9]{2,22}")  # E.164 has 15 digits, a Korean carrier's prefix up to 5
_SEPARATORS = re.compile(r"[ \-.()/\u00a0\u00b7\u2010-\u2015\u2212]")
_FULL_WIDTH = {0xFEE0 + code: code for code in range(ord("!"), ord("~") + 1)} | {0x3000: " "}  # ０１０
_SATELLITE = frozenset({870, 878, 881, 882, 883, 888, 979, 808})  # networks of no country, and no country's prices
_AREA = "(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4])"
_KOREAN_SHORT = re.compile(rf"{_AREA}?(1\d{{2,3}})")  # 114, 1330; with an area code it is that area's: 02-120, 02-119
_KOREAN_SERVICE = re.compile(rf"{_AREA}(1[568]\d{{6}})")  # 02-1588-1234 is 1588-1234 dialled with an area code
_KOREAN_ABROAD = re.compile(r"00(?:[37]\d\d|[1-9])")  # 001, 002, 00700, 00345 …: carriers' international prefixes


class Kind(StrEnum):
    FIXED = "fixed"
    MOBILE = "mobile"
    INTERNET = "internet"  # 070
    TOLL_FREE = "toll_free"  # 080
    PERSONAL = "personal"  # 050x: follows its owner
    SERVICE = "service"  # 15xx, 16xx, 18xx: one number for all of a company
    PREMIUM = "premium"  # 060, and whatever else costs more than a call
    SATELLITE = "satellite"
    SHORT = "short"  # a code or an extension
    EMERGENCY = "emergency"
    UNKNOWN = "unknown"  # of no range that is in use


_KINDS = {
    PhoneNumberType.FIXED_LINE: Kind.FIXED,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.FIXED,
    PhoneNumberType.MOBILE: Kind.MOBILE,
    PhoneNumberType.VOIP: Kind.INTERNET,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.PERSONAL_NUMBER: Kind.PERSONAL,
    PhoneNumberType.UAN: Kind.SERVICE,
    PhoneNumberType.PREMIUM_RATE: Kind.PREMIUM,
    PhoneNumberType.SHARED_COST: Kind.PREMIUM,
    PhoneNumberType.PAGER: Kind.PREMIUM,
}


@dataclass(frozen=True, slots=True)
class Number:
    """`digits` is how it is dialled at home: 01012345678, 15881234, 119; E.164 where it is another country's.

    `e164` is None for what can be dialled only inside the country; `country` is ISO 3166, "001" for no country's, ""
    where no range says whose it is.
    """

    digits: str
    e164: str | None
    country: str
    kind: Kind

    def written(self, form: Literal["e164", "national"], international_prefix: str = "+") -> str:
        """As a carrier wants it. Numbers of other countries begin with `international_prefix` in national form."""
        if form == "e164":
            return self.e164 or self.digits
        return self.digits.replace("+", international_prefix)

    @property
    def forms(self) -> tuple[str, ...]:
        """All that a pattern may be about."""
        return (self.digits, self.e164) if self.e164 and self.e164 != self.digits else (self.digits,)


def is_anonymous(caller: str) -> bool:
    """Whether a caller's user part says that no number is shown (RFC 3323, and carriers' own words)."""
    return caller.strip().casefold() in ANONYMOUS


def read(text: str, home: Numbers) -> Number:
    """A number as it was dialled, shown or written in a file. Raises NumberError, and nothing else, whatever comes."""
    dialled = _dialled(text)
    is_short = len(dialled) <= LONGEST_SHORT and dialled[0] not in "+0"
    if is_short or is_emergency_number(dialled, home.country):  # Australia's is 000
        return Number(dialled, None, home.country, _short_kind(dialled, home))
    parsed = _parsed(dialled, home)
    at_home = parsed.country_code == country_code_for_region(home.country)
    if at_home and (found := _only_inside(str(parsed.national_number), home)) is not None:
        return found
    e164 = format_number(parsed, PhoneNumberFormat.E164)
    kind, country = _kind(parsed), region_code_for_number(parsed) or ""
    if not at_home:
        return Number(e164, e164, country, kind)
    if kind is Kind.UNKNOWN:
        return _unknown_at_home(dialled, parsed, home)
    digits = re.sub(r"\D", "", format_number(parsed, PhoneNumberFormat.NATIONAL))
    if home.country == "KR" and kind is Kind.SERVICE:
        return Number(digits, None, country, kind)
    return Number(digits, e164, country, kind)


def _dialled(text: str) -> str:
    """Nothing but digits and perhaps a + before them: no letters, extensions, pauses or service codes get through."""
    if len(text) <= LONGEST_TEXT:
        dialled = _SEPARATORS.sub("", text.translate(_FULL_WIDTH))
        if _DIALLED.fullmatch(dialled):
            return dialled
    raise NumberError("This is no telephone number: write digits, with + before a country code.")


def _parsed(dialled: str, home: Numbers) -> PhoneNumber:
    first = _parse(dialled, home.country)
    stripped = first is not None and first.country_code_source == CountryCodeSource.FROM_NUMBER_WITHOUT_PLUS_SIGN
    if first is not None and is_valid_number(first) and not stripped:
        return first
    if home.area and dialled[0] not in "+0":  # 312-3456 and 8212-3456 are local before they are anything else
        local = _parse(home.area + dialled, home.country)
        if local is not None and is_valid_number(local):
            return local
    if home.country == "KR" and (abroad := _dialled_abroad(dialled)) is not None:
        return abroad
    if first is None:
        raise NumberError("No country's numbers begin like this one.")
    return first


def _dialled_abroad(dialled: str) -> PhoneNumber | None:
    """With the prefix of a carrier that phonenumbers does not know, or with the 00 of other countries."""
    rests = [dialled[prefix.end() :] for prefix in [_KOREAN_ABROAD.match(dialled)] if prefix]
    rests += [dialled[2:]] if dialled.startswith("00") else []
    for rest in rests:
        number = _parse("+" + rest, "KR")
        if number is not None and is_valid_number(number):
            return number
    return None


def _parse(dialled: str, country: str) -> PhoneNumber | None:
    try:
        return parse(dialled, country, keep_raw_input=True)
    except NumberParseException:
        return None


def _unknown_at_home(dialled: str, parsed: PhoneNumber, home: Numbers) -> Number:
    if dialled.startswith("00"):
        raise NumberError("Behind the international prefix stands no country code that is in use.")
    as_dialled = parsed.country_code_source == CountryCodeSource.FROM_DEFAULT_COUNTRY
    digits = dialled if as_dialled else f"0{parsed.national_number}"
    kind = Kind.PREMIUM if home.country == "KR" and digits.startswith("060") else Kind.UNKNOWN  # not given out yet
    return Number(digits, format_number(parsed, PhoneNumberFormat.E164), home.country, kind)


def _only_inside(national: str, home: Numbers) -> Number | None:
    """A short code dialled as if it were more: +82 119, 0119, 02-119; or a service number behind an area code."""
    if is_emergency_number(national, home.country):
        return Number(national, None, home.country, Kind.EMERGENCY)
    if home.country != "KR":
        return None
    if short := _KOREAN_SHORT.fullmatch(national):
        behind_area = short[1] != national
        return Number("0" * behind_area + national, None, "KR", _short_kind(short[1], home))
    if service := _KOREAN_SERVICE.fullmatch(national):
        return Number(service[1], None, "KR", Kind.SERVICE)
    return None


def _short_kind(digits: str, home: Numbers) -> Kind:
    """1125 counts as 112 too: an exchange that takes digits one by one may connect it there."""
    return Kind.EMERGENCY if connects_to_emergency_number(digits, home.country) else Kind.SHORT


def _kind(number: PhoneNumber) -> Kind:
    if number.country_code in _SATELLITE:
        return Kind.SATELLITE
    return _KINDS.get(number_type(number), Kind.UNKNOWN)
