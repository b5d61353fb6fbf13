"""Digit strings out of speech: order and phone numbers as callers read them and recognisers spell them."""

import re
import unicodedata
from collections.abc import Iterator

from voiceedge.speech.heard import DigitString

_KO_DIGITS = {
    **dict(zip("영일이삼사오육칠팔구", "0123456789", strict=True)),
    "공": "0",
    "령": "0",
    "빵": "0",
    "륙": "6",
    **dict(zip(("하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉"), "123456789", strict=True)),
}
_KO_POWERS = {"십": 10, "백": 100, "천": 1000, "만": 10_000, "억": 100_000_000}
_SECTION = 10_000  # Korean counts in myriads
_KO_MARK = "다시|대시|하이픈|[에의]"  # how a hyphen is read: 공일공 다시 일이삼사, 공일공에 일이삼사
_KO_BEFORE = re.compile(
    r"^(?:(?:네|예|아|어|음|저|저기|그|그게|제|번호는?|(?:주문|전화|운송장|송장|접수|예약|회원)\s*번호는?)\s*)+"
)
_KO_AFTER = (
    "",
    "요",
    "이요",
    "번",
    "번이요",
    "번요",
    "입니다",
    "이에요",
    "예요",
    "번입니다",
    "번이에요",
    "인데요",
    "번인데요",
)
_KO_TOKEN = re.compile("|".join([r"[0-9]+", *sorted({*_KO_DIGITS, *_KO_POWERS}, key=len, reverse=True), r"\s+"]))

_EN_DIGITS = {
    **dict(
        zip(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), "0123456789", strict=True)
    ),
    "oh": "0",
    "o": "0",
    "nought": "0",
    "to": "2",
    "too": "2",
    "for": "4",
}
_EN_TEENS = dict(
    zip(
        ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
        map(str, range(10, 20)),
        strict=True,
    )
)
_EN_TENS = dict(
    zip(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), "23456789", strict=True)
)
_EN_TIMES = {"double": 2, "triple": 3}
_EN_FILLERS = frozenset(
    (
        "uh",
        "um",
        "er",
        "my",
        "the",
        "order",
        "phone",
        "tracking",
        "number",
        "is",
        "it",
        "its",
        "it's",
        "that's",
        "thats",
        "please",
        "yes",
        "and",
        "dash",
    )
)


def digit_strings(text: str, language: str, wanted: DigitString) -> tuple[str, ...]:
    """Every way to read the whole text as one digit string of a wanted length, the likeliest first."""
    read = _korean if language == "ko" else _english
    readings = dict.fromkeys(read(unicodedata.normalize("NFKC", text).lower()))
    return tuple(digits for digits in readings if wanted.shortest <= len(digits) <= wanted.longest)


def _korean(text: str) -> Iterator[str]:
    text = re.sub(r"(?<=[0-9]),(?=[0-9]{3})", "", text)  # 12,345
    text = re.sub(r"[^\w\s]", " ", text).strip()
    text = _KO_BEFORE.sub("", text)
    # 이요 may be "two" and "please": the longest ending is tried first, the reading that fits the length wins.
    for ending in sorted(_KO_AFTER, key=len, reverse=True):
        if text.endswith(ending):
            yield from _korean_number(text.removesuffix(ending).strip())


def _korean_number(text: str) -> Iterator[str]:
    text = re.sub(rf"(?<=\S)(?:{_KO_MARK})\s+|\s+(?:{_KO_MARK})\s+", " ", text)
    tokens = _KO_TOKEN.findall(text)
    if not text or "".join(tokens) != text:
        return
    if not any(token in _KO_POWERS for token in tokens):
        yield "".join(_KO_DIGITS.get(token, token) for token in tokens if not token.isspace())
        return
    whole = _quantity([token for token in tokens if not token.isspace()])
    if whole:
        yield whole
    groups = [_quantity(_KO_TOKEN.findall(group)) for group in text.split()]
    if all(groups):
        yield "".join(group for group in groups if group)


def _quantity(tokens: list[str]) -> str | None:
    """만 이천 삼백 사십 오 is 12345; without powers of ten the digits as they are; None: no number at all."""
    if not any(token in _KO_POWERS for token in tokens):
        return "".join(_KO_DIGITS.get(token, token) for token in tokens)
    total = section = 0
    pending: int | None = None
    ceiling, section_ceiling = 10**12, _SECTION  # powers must fall: 백천 is no number
    for token in tokens:
        power = _KO_POWERS.get(token)
        if power is None:
            if pending is not None:
                return None
            pending = int(_KO_DIGITS.get(token, token))
        elif power < _SECTION:
            if power >= section_ceiling or pending == 0:
                return None
            section += (1 if pending is None else pending) * power
            pending, section_ceiling = None, power
        else:
            section += pending or 0
            if power >= ceiling:
                return None
            total += (section or 1) * power
            pending, section, ceiling, section_ceiling = None, 0, power, _SECTION
    if pending is not None and pending >= min(section_ceiling, ceiling):
        return None
    return str(total + section + (pending or 0))


def _english(text: str) -> Iterator[str]:
    words = re.sub(r"[^\w\s']", " ", re.sub(r"(?<=[0-9])[,\- ](?=[0-9])", "", text)).split()
    out, times = "", 1
    expects_unit = False  # after "twenty": 2 is written, its last digit is open
    for word in words:
        digits = _EN_DIGITS.get(word) or _EN_TEENS.get(word) or (word if re.fullmatch("[0-9]+", word) else None)
        if expects_unit and (digits is None or len(digits) > 1 or digits == "0"):
            out += "0"
        expects_unit = word in _EN_TENS
        if word in _EN_TIMES:
            times = _EN_TIMES[word]
        elif digits or expects_unit:
            out += (digits or _EN_TENS[word]) * times
            times = 1
        elif word not in _EN_FILLERS:
            return
    if out:
        yield out + ("0" if expects_unit else "")
