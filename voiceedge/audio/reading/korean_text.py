"""Korean running text: everything that is not Hangul becomes Hangul."""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from re import Match

from voiceedge.audio.reading.korean import amount, clock_time, digits, month_name, native, number, sino, time
from voiceedge.audio.reading.korean_words import FOREIGN, LETTERS, NATIVE_COUNTERS, SINO_COUNTERS, UNITS, WEEKDAYS

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_CLOCK = r"(?:(?:오전|오후|AM|PM|am|pm)\s*)?\d{1,2}:\d{2}(?::\d{2})?"
_HOUR = r"(?:(?:오전|오후)\s*)?\d{1,2}시(?!간)(?:\s*\d{1,2}분)?"
_DAY = r"(?:\d{4}년\s*)?\d{1,2}월\s*\d{1,2}일|\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}/\d{1,2}|\d{1,2}일"
_MOMENT = rf"(?:{_CLOCK}|{_HOUR}|{_DAY})(?:\s*\([{WEEKDAYS}]\))?"
_TELEPHONE = r"(?<![\d-])(?:0\d{1,2}[-) .]\s?\d{3,4}[- .]|1[568]\d{2}-)\d{4}(?![\d-])"
_PARTICLE = "키|버튼|[을를은는이]"  # what follows the name of a key
_MONTHS, _DAYS, _HOURS, _MINUTES = 12, 31, 24, 59


def expand(text: str) -> tuple[str, list[str]]:
    """The text in Hangul and punctuation, and the foreign words that had to be spelled out."""
    spelled: list[str] = []
    for pattern, said in _EXPANSIONS:
        text = pattern.sub(said, text)
    return re.sub(r"[A-Za-z]+(?:-[A-Za-z]+)*", lambda match: _foreign(match[0], spelled), text), spelled


def _value(written: str) -> Decimal:
    return Decimal(written.replace(",", ""))


def _clock(match: Match[str]) -> str:
    part, hour, minute = match[1], int(match[2]), int(match[3])
    if hour > _HOURS or minute > _MINUTES:  # a score, a ratio
        return f"{part or ''} {sino(hour)} 대 {sino(minute)}".strip()
    if part:
        return f"{ {'am': '오전', 'pm': '오후'}.get(part.lower(), part) } {clock_time(hour, minute)}"
    return time(hour % _HOURS, minute)


def _day(match: Match[str]) -> str:
    return f"{sino(int(match[1]))}년 {month_name(int(match[2]))} {sino(int(match[3]))}일"


def _slash(match: Match[str]) -> str:
    """3/25 is a day, and 1/2 with its weekday behind it; 1/2 alone is a half."""
    first, second, weekday = int(match[1]), int(match[2]), match[3]
    if 1 <= first <= _MONTHS and (weekday or _MONTHS < second <= _DAYS):
        return f"{month_name(first)} {sino(second)}일" + (f" {weekday}요일" if weekday else "")
    return f"{sino(second)}분의 {sino(first)}"


def _counted(match: Match[str]) -> str:
    value, counter = _value(match[1]), match[2]
    if value == 1 and counter == "번째":
        return "첫 번째"
    if value == int(value) and 1 <= value <= NATIVE_COUNTERS.get(counter, 0):
        return f"{native(int(value))} {counter}"
    return f"{number(value)} {counter}"


def _large(match: Match[str]) -> str:
    """Digits and words mixed: 1만2천원."""
    value, name = _value(match[1]), match[2]
    return ("" if value == 1 and name in {"만", "천", "백"} else number(value)) + name + (" " if match[3] else "")


def _foreign(word: str, spelled: list[str]) -> str:
    known = FOREIGN.get(word.lower())
    if known:
        return known
    if not word.isupper() and len(word) > 1:
        spelled.append(word)
    return "".join(LETTERS[letter.upper()] for letter in word if letter != "-")


def _one_of(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _digits(match: Match[str]) -> str:
    return digits(match[0])


def _number(match: Match[str]) -> str:
    return number(_value(match[0]))


Rule = tuple[str, str | Callable[[Match[str]], str]]
_RULES: tuple[Rule, ...] = (
    (r"[∼〜–—]", "~"),
    (r"\d{17,}", _digits),  # first: no pattern below is to search in what nobody counts
    # From when to when, and on which days.
    (rf"({_MOMENT})\s*~\s*({_MOMENT})(?:\s*까지)?", r"\1부터 \2까지"),
    (
        rf"(?<![가-힣])([{WEEKDAYS}])(?:요일)?\s*~\s*([{WEEKDAYS}])(?:요일)?(?:\s*까지)?(?![가-힣])",
        r"\1요일부터 \2요일까지",
    ),
    (rf"(?<!\d)(\d{{1,2}})/(\d{{1,2}})(?:\s*\(([{WEEKDAYS}])\))?(?![\d/])", _slash),
    # Numbers that name something: telephone, order and account numbers.
    (r"\+82[- ]?(?=\d)", "0"),
    (_TELEPHONE, _digits),
    (r"(?:(오전|오후|AM|PM|am|pm)\s*)?(?<!\d)(\d{1,2}):(\d{2})(?::\d{2})?", _clock),
    (r"(?<![\w)])-(?=\d)", "마이너스 "),
    (r"(?<![\d-])(\d{4})[-./](0?[1-9]|1[0-2])[-./](\d{1,2})\.?(?![\d-])", _day),
    (rf"(?<=일)\s*\(([{WEEKDAYS}])\)", r" \1요일"),
    (r"(?<![A-Za-z\d])(?:(?:[A-Za-z]+-?)?\d+(?:-\d{2,})+|[A-Za-z]+-?\d{4,})", _digits),
    # Numbers that count and measure.
    (rf"₩\s*({_NUMBER})", lambda match: amount(_value(match[1]), "KRW")),
    (rf"\$\s*({_NUMBER})", lambda match: amount(_value(match[1]), "USD")),
    (rf"({_NUMBER})\s*~\s*(?=\d)", lambda match: f"{number(_value(match[1]))}에서 "),
    (rf"({_NUMBER})\s*({_one_of(UNITS)})(?![A-Za-z])", lambda match: f"{number(_value(match[1]))} {UNITS[match[2]]}"),
    (r"(?<!\d)(\d{1,2})월(?=\W|$|[에의은이까부도말초중])", lambda match: month_name(int(match[1]))),
    (r"(?<!\d)(\d{1,2})일(?=\W|$|[에의은이까부도])", lambda match: f"{sino(int(match[1]))}일"),
    (r"(\d{1,4})년(?!간)", lambda match: f"{sino(int(match[1]))}년"),
    (rf"({_NUMBER})(천만|백만|십만|조|억|만|천|백)(?=(\s*원)?)", _large),
    (rf"(?<!제)({_NUMBER})\s*({_one_of([*NATIVE_COUNTERS, *SINO_COUNTERS])})", _counted),
    (rf"제({_NUMBER})\s*({_one_of([*NATIVE_COUNTERS, *SINO_COUNTERS])})", lambda match: f"제{_number_of(match)}"),
    (r"(?<![\d,.])(?:0\d+|\d{7,})(?![\d,])", _digits),
    (_NUMBER, _number),
    # Signs that are said.
    (rf"(?<![\w*])\*(?:(?![\w*])|표?(?={_PARTICLE}))", "별표"),
    (rf"(?<!\w)#(?:(?!\w)|(?={_PARTICLE}))", "우물정"),
    (r"\(주\)", "주식회사 "),
    (r"(?<=[A-Za-z])/(?=[A-Za-z])", ""),
    (r"(?<=\w)\.com\b", " 닷컴"),
    (r"(?<=[A-Za-z가-힣])\.(?=[A-Za-z])", " 점 "),
    ("@", " 골뱅이 "),
    ("&", "앤"),
    (r"\+", "플러스"),
)


def _number_of(match: Match[str]) -> str:
    return f"{number(_value(match[1]))} {match[2]}"


_EXPANSIONS = tuple((re.compile(pattern), said) for pattern, said in _RULES)
