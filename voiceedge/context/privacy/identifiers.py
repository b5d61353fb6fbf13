"""Recognises numbers and addresses that stand for a person in free text, written or spoken, Korean or English.

What decides is the shape of a number, its check digit where it has one, and the word that stands before it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import accumulate

from voiceedge.context.privacy.said import Group, runs
from voiceedge.context.privacy.spelled import counted, emails, passports

SPOKEN_RUN = 9  # so many digits said in a row count whatever they are: it may be a phone number misheard


class Kind(StrEnum):
    PHONE = "phone"
    CARD = "card"
    RESIDENT = "resident"  # 주민등록번호, 외국인등록번호
    BUSINESS = "business"  # 사업자등록번호
    COMPANY = "company"  # 법인등록번호
    LICENCE = "licence"  # 운전면허
    PASSPORT = "passport"
    ACCOUNT = "account"  # 계좌번호
    SPOKEN = "spoken"
    EMAIL = "email"


OPEN_ENDED = frozenset({Kind.PHONE, Kind.CARD})  # of these the end may be seen


@dataclass(frozen=True, slots=True)
class Identifier:
    """Where it stands in the text, what it is, and its digits."""

    start: int
    end: int
    kind: Kind
    digits: str = ""


def identifiers(text: str) -> list[Identifier]:
    """Those of a text from its beginning to its end, none of them overlapping."""
    found = [Identifier(*span, Kind.EMAIL) for span in emails(text)]
    found += [Identifier(*span, Kind.PASSPORT) for span in passports(text)]
    found += [Identifier(*span, Kind.SPOKEN) for span in counted(text)]
    found += _numbers(text)
    if len(found) < 2:  # noqa: PLR2004 - nothing to put in order
        return found
    found.sort(key=lambda one: (one.start, -one.end))
    out = found[:1]
    for one in found[1:]:
        if one.start >= out[-1].end:
            out.append(one)
        elif one.end > out[-1].end:  # two that overlap are one that shows nothing
            out[-1] = Identifier(out[-1].start, one.end, Kind.SPOKEN)
    return out


def is_phone(digits: str) -> bool:
    return _PHONE.fullmatch(digits) is not None


def is_date(digits: str) -> bool:
    """Whether eight digits are a day of the last or of this century, such as a birthday."""
    return len(digits) == 8 and digits[:2] in {"19", "20"} and _is_day(digits[:4], digits[4:6], digits[6:])  # noqa: PLR2004


_LONGEST = 19  # of what is recognised
_FOREIGN = range(8, 16)  # E.164, with its country code
_PHONE = re.compile(
    r"010\d{8}|01[16-9]\d{7,8}|02\d{7,8}|0(?:3[1-3]|4[1-4]|5[1-5]|6[0-4]|70|80)\d{7,8}|050\d\d{7,8}"
    r"|(?:00)?820?(?:10\d{8}|1[16-9]\d{7,8}|2\d{7,8}|(?:3[1-3]|4[1-4]|5[1-5]|6[0-4]|70|80)\d{7,8})"
)
# ISO/IEC 7812-1: the first digits and lengths of payment cards; 9 is domestic.
_CARD = re.compile(r"3(?:0[0-5]|[689]\d)\d{11}|3[47]\d{13}|(?:2[2-7]|35|[4569]\d)\d{14}|[46]\d{18}")
_UNBORN = 2050  # keeps bar codes of goods (880…) apart from numbers of persons
_LICENCE_REGIONS = (11, 28)  # 서울 … 경기북부
_REGION = re.compile(r"(?:서울|부산|경기|강원|충북|충남|전북|전남|경북|경남|제주|대구|인천|광주|대전|울산)\s?$")
_BUSINESS_WEIGHTS = (1, 3, 7, 1, 3, 7, 1, 3, 5)
_DOUBLED = str.maketrans("0123456789", "0246813579")  # twice a digit, its digits added

_COUNTED_NOUN = r"주문|송장|운송장|예약|접수|승인|결제|금액|한도|포인트|상품|order|tracking|booking|amount"
_NAMED = re.compile(
    r"(?:(?P<account>계좌|통장|은행|농협|수협|신협|뱅크|account)|(?P<business>사업자|business)|(?P<company>법인)"
    r"|(?P<licence>면허|licen[cs]e)|(?P<passport>여권|passport)|(?P<resident>주민|외국인\s?등록|뒷\s?자리|resident)"
    rf"|(?P<card>카드|card))(?:(?!{_COUNTED_NOUN})\D){{0,16}}$",
    re.IGNORECASE,
)
_OTHER_NUMBER = re.compile(rf"(?:{_COUNTED_NOUN})\s?(?:번호|코드|number|code)\D{{0,8}}$", re.IGNORECASE)
_NAME_REACHES = 32  # characters
_LENGTHS = {
    Kind.ACCOUNT: range(10, 17),
    Kind.BUSINESS: range(10, 11),
    Kind.COMPANY: range(13, 14),
    Kind.LICENCE: range(10, 13, 2),
    Kind.PASSPORT: range(7, 10),
    Kind.RESIDENT: (6, 7, 13),
    Kind.CARD: range(14, 20),
}
_DOUBTFUL = frozenset({Kind.SPOKEN, Kind.RESIDENT})  # unless a word before it says what else it is
_AMOUNT = re.compile(r"\s?(?:원|만|억|달러|점|개|won\b|krw\b|dollars?\b)", re.IGNORECASE)


def _numbers(text: str) -> Iterator[Identifier]:
    for groups in runs(text):
        found = [*_named(groups, text), *_shaped(groups, text)]
        if not found and sum(len(group.digits) for group in groups if group.spoken) >= SPOKEN_RUN:
            found = [Identifier(groups[0].start, groups[-1].end, Kind.SPOKEN)]
        if found and all(_is_doubtful(one, groups) for one in found) and _is_other_number(text, groups):
            continue
        yield from _merged(found)


def _is_doubtful(one: Identifier, groups: list[Group]) -> bool:
    """Whether chance makes such a number often, as with a telephone number in the middle of other digits."""
    return one.kind in _DOUBTFUL or (one.kind is Kind.PHONE and one.start != groups[0].start)


def _is_other_number(text: str, groups: list[Group]) -> bool:
    """Whether it is written in one piece, or said, after the words for an order's number or the like."""
    start = groups[0].start
    in_one = len(groups) == 1 or all(group.spoken for group in groups)
    return in_one and _OTHER_NUMBER.search(text, max(0, start - _NAME_REACHES), start) is not None


def _merged(found: list[Identifier]) -> Iterator[Identifier]:
    """Overlapping readings become one: of phones and cards the end may be seen, of anything else nothing."""
    if not found:
        return
    found.sort(key=lambda one: one.start)
    first = last = found[0]  # of those that overlap, the first and the one that ends last
    strict: Kind | None = None
    for one in found:
        if one.start >= last.end:
            yield Identifier(first.start, last.end, strict or last.kind, last.digits)
            first, last, strict = one, one, None
        elif one.end > last.end:
            last = one
        if strict is None and one.kind not in OPEN_ENDED:
            strict = one.kind
    yield Identifier(first.start, last.end, strict or last.kind, last.digits)


def _named(groups: list[Group], text: str) -> Iterator[Identifier]:
    """The run's beginning, where the word before it says what number follows, whatever its check digit."""
    start = groups[0].start
    name = _NAMED.search(text, max(0, start - _NAME_REACHES), start)
    if name is None:
        return
    kind = Kind(str(name.lastgroup))
    digits, best = "", None
    for group in groups:
        digits += group.digits
        if len(digits) > _LONGEST or (best and group.spoken and not groups[0].spoken):
            break  # what follows is a particle that sounds like a digit, or another number
        if len(digits) in _LENGTHS[kind]:
            best = Identifier(start, group.end, kind, digits)
    if best and not (kind is Kind.ACCOUNT and _AMOUNT.match(text, best.end)):
        yield best


def _shaped(groups: list[Group], text: str) -> Iterator[Identifier]:
    """Every stretch of whole groups that reads as a number of a person by itself.

    A text of nothing but digits has very many: what a stretch's first digit rules out is not looked at.
    """
    foreign = groups[0].start > 0 and text[groups[0].start - 1] == "+"
    digits = "".join(group.digits for group in groups)
    starts = list(accumulate((len(group.digits) for group in groups), initial=0))
    group_after = {start: place for place, start in enumerate(starts)}
    for first, group in enumerate(groups):
        start = starts[first]
        may_be_foreign = foreign and first == 0
        for length in _FOREIGN_OR_SHAPED if may_be_foreign else _lengths(digits, start, group):
            after = group_after.get(start + length)
            if after is None:
                continue
            stretch = digits[start : start + length]
            kind = _kind(stretch, groups[first:after], text)
            if kind is None and may_be_foreign and length in _FOREIGN:
                kind = None if "," in text[group.start : groups[after - 1].end] else Kind.PHONE
            if kind:
                yield Identifier(group.start, groups[after - 1].end, kind, stretch)


def _lengths(digits: str, start: int, first: Group) -> Iterable[int]:
    """How many digits a number can have that starts here with this group."""
    in_one_by_one = first.spoken or len(first.digits) == 1
    if digits[start] in "08" and _PHONE.match(digits, start):
        return _MOBILE_SAID if in_one_by_one and digits.startswith("010", start) else _PHONE_OR_SHAPED
    if not in_one_by_one:
        return _SHAPED
    return _SAID if digits[start] in _CARD_BEGINS else _SAID_NO_CARD


def _kind(digits: str, groups: list[Group], text: str) -> Kind | None:
    if digits[0] in "08" and _PHONE.fullmatch(digits):
        return Kind.PHONE
    test = _BY_LENGTH.get(len(digits))
    return test(digits, groups, text) if test else None


def _shape(groups: list[Group]) -> tuple[int, ...]:
    """How many digits stand together: (3, 2, 5); those said are not divided into groups."""
    return tuple(len(group.digits) for group in groups if not group.spoken)


def _of_10(digits: str, groups: list[Group], text: str) -> Kind | None:
    shape = _shape(groups)
    if shape == (3, 2, 5) and _is_business(digits):
        return Kind.BUSINESS
    before = groups[0].start
    if shape == (2, 6, 2) and _REGION.search(text, max(0, before - 4), before):  # 서울 12-345678-90
        return Kind.LICENCE
    return None


def _of_12(digits: str, groups: list[Group], _text: str) -> Kind | None:
    lowest, highest = _LICENCE_REGIONS
    is_licence = _shape(groups) == (2, 2, 6, 2) and lowest <= int(digits[:2]) <= highest
    return Kind.LICENCE if is_licence else None


def _of_13(digits: str, groups: list[Group], _text: str) -> Kind | None:
    is_resident = _is_resident(digits)
    if not is_resident and len(groups[0].digits) == 1:
        return None
    shape = _shape(groups)
    if is_resident and (shape in {(), (13,), (6, 7)} or any(group.spoken for group in groups)):
        return Kind.RESIDENT
    return Kind.COMPANY if shape == (6, 7) and _is_company(digits) else None


def _of_card(digits: str, _groups: list[Group], _text: str) -> Kind | None:
    return Kind.CARD if _CARD.fullmatch(digits) and _luhn(digits) else None


_BY_LENGTH: dict[int, Callable[[str, list[Group], str], Kind | None]] = {
    10: _of_10,
    12: _of_12,
    13: _of_13,
    **dict.fromkeys((14, 15, 16, 19), _of_card),
}
_SHAPED = tuple(_BY_LENGTH)
_SAID = (13, 14, 15, 16, 19)  # digit by digit; the others are divided into groups
_SAID_NO_CARD = (13,)
_MOBILE_SAID = (11, 13)
_CARD_BEGINS = "234569"
_PHONE_OR_SHAPED = (*range(9, 17), 19)
_FOREIGN_OR_SHAPED = (*range(8, 17), 19)


def _is_day(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def _is_resident(digits: str) -> bool:
    """A birthday and a sex. Numbers given since October 2020 have no check digit, so none is asked for."""
    if digits[6] not in "12345678":
        return False
    year = ("19" if digits[6] in "1256" else "20") + digits[:2]
    return int(year) < _UNBORN and _is_day(year, digits[2:4], digits[4:6])


def _is_business(digits: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(digits, _BUSINESS_WEIGHTS, strict=False))
    return (total + int(digits[8]) * 5 // 10 + int(digits[9])) % 10 == 0


def _is_company(digits: str) -> bool:
    total = sum(int(digit) * (1 + place % 2) for place, digit in enumerate(digits[:12]))
    return (total + int(digits[12])) % 10 == 0


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    return sum(map(int, digits[-1::-2] + digits[-2::-2].translate(_DOUBLED))) % 10 == 0
