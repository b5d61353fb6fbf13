"""Korean readings of single values: Sino-Korean and native numbers, amounts, dates, times, digit strings."""

import re
from decimal import Decimal

from voiceedge.audio.reading.korean_words import LETTERS

DIGITS = "영일이삼사오육칠팔구"
_DIALLED = "공" + DIGITS[1:]  # in numbers that are read out, zero is 공
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_MYRIADS = ("", "만", "억", "조")
_MOST_DIGITS = 16  # 조 is the last name; longer is read digit by digit
_NOON = 12
_RUN = 4  # digits that are said in one breath


def number(value: Decimal) -> str:
    sign = "마이너스 " if value < 0 else ""
    whole, _, part = format(abs(value), "f").partition(".")
    if len(whole) > _MOST_DIGITS:
        return sign + digits(whole)
    point = " 점 " + "".join(DIGITS[int(digit)] for digit in part) if part.strip("0") else ""
    return sign + sino(int(whole)) + point


def amount(value: Decimal, currency: str) -> str:
    if currency == "KRW":
        return f"{number(value)} 원"
    dollars, cents = divmod(abs(value).quantize(Decimal("0.01")), 1)
    said = f"{number(dollars)} 달러" + (f" {sino(int(cents * 100))} 센트" if cents else "")
    return f"마이너스 {said}" if value < 0 else said


def date(year: int | None, month: int, day: int) -> str:
    return (f"{sino(year)}년 " if year else "") + f"{month_name(month)} {sino(day)}일"


def time(hour: int, minute: int) -> str:
    if hour % _NOON:
        return f"{'오전' if hour < _NOON else '오후'} {clock_time(hour % _NOON, minute)}"
    return f"{'낮' if hour else '밤'} {clock_time(_NOON, minute)}"


def digits(value: str) -> str:
    groups = re.findall(r"\d+|[A-Za-z]+|[가-힣]+", value)
    return ", ".join(run for group in groups for run in ([group] if "가" <= group[0] else _runs(group)))  # noqa: SIM300


def sino(value: int) -> str:
    if value == 0:
        return DIGITS[0]
    said, myriad = "", 0
    while value:
        value, low = divmod(value, 10_000)
        if low:
            is_bare = low == 1 and myriad == 1 and not value  # 만, not 일만; but 일억
            said = ("" if is_bare else _below_myriad(low)) + _MYRIADS[myriad] + said
        myriad += 1
    return said


def native(value: int) -> str:
    """1 to 99, in the form that stands before a counter."""
    tens, ones = divmod(value, 10)
    return "스무" if value == 20 else _TENS[tens] + _ONES[ones]  # noqa: PLR2004 - 스물 alone loses its ㄹ


def month_name(month: int) -> str:
    return {6: "유", 10: "시"}.get(month, sino(month)) + "월"


def clock_time(hour: int, minute: int) -> str:
    said = native(hour) if 1 <= hour <= _NOON else sino(hour)
    return f"{said} 시" + (f" {sino(minute)} 분" if minute else "")


def _below_myriad(value: int) -> str:
    said = ""
    for unit, name in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit, value = divmod(value, unit)
        if digit:
            said += ("" if digit == 1 and name else DIGITS[digit]) + name
    return said


def _runs(group: str) -> list[str]:
    """Fours where they come out even, else threes; nothing is left alone at the end."""
    names = [LETTERS[each.upper()] if each.isalpha() else _DIALLED[int(each)] for each in group]
    size = _RUN if len(names) <= _RUN or len(names) % _RUN in {0, _RUN - 1} else _RUN - 1
    starts = list(range(0, len(names), size))
    if len(starts) > 1 and len(names) - starts[-1] == 1:
        starts.pop()
    return ["".join(names[start:end]) for start, end in zip(starts, [*starts[1:], len(names)], strict=True)]
