"""Korean readings: Sino-Korean and native numbers with their counters, dates, times, amounts, letters."""

import re
from collections.abc import Callable
from decimal import Decimal
from re import Match

UNSPEAKABLE = re.compile(r"[^가-힣\s.,?!]")

_DIGITS = "영일이삼사오육칠팔구"
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_MYRIADS = ("", "만", "억", "조")
_MOST_DIGITS = 16  # 조 is the last name; longer is read digit by digit

_LETTERS = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "에이 비 씨 디 이 에프 지 에이치 아이 제이 케이 엘 엠 엔 오 피 큐 알 에스 티 유 브이 더블유 엑스 와이 제트".split(),  # noqa: SIM905
        strict=True,
    )
)
_WORDS = {
    "android": "안드로이드", "app": "앱", "basic": "베이직", "black": "블랙", "call": "콜", "care": "케어", "center": "센터", "chat": "채팅", "com": "닷컴", "coupon": "쿠폰", "delivery": "딜리버리",
    "email": "이메일", "e-mail": "이메일", "event": "이벤트", "facebook": "페이스북", "family": "패밀리", "free": "프리", "galaxy": "갤럭시", "gold": "골드", "google": "구글", "hello": "헬로",
    "help": "헬프", "home": "홈", "homepage": "홈페이지", "instagram": "인스타그램", "internet": "인터넷", "iphone": "아이폰", "kakao": "카카오", "kakaotalk": "카카오톡", "link": "링크", "live": "라이브",
    "mall": "몰", "mart": "마트", "member": "멤버", "membership": "멤버십", "mobile": "모바일", "naver": "네이버", "new": "뉴", "no": "노", "off": "오프", "ok": "오케이", "on": "온", "online": "온라인",
    "pass": "패스", "pay": "페이", "pin": "핀", "plus": "플러스", "point": "포인트", "premium": "프리미엄", "pro": "프로", "sale": "세일", "samsung": "삼성", "service": "서비스", "shop": "샵",
    "silver": "실버", "site": "사이트", "smart": "스마트", "special": "스페셜", "standard": "스탠다드", "store": "스토어", "talk": "톡", "text": "텍스트", "tv": "티브이", "voice": "보이스",
    "voiceedge": "보이스에지", "web": "웹", "wifi": "와이파이", "wi-fi": "와이파이", "youtube": "유튜브",
}  # fmt: skip
_UNITS = {"%": "퍼센트", "°C": "도", "km": "킬로미터", "cm": "센티미터", "mm": "밀리미터", "m": "미터", "kg": "킬로그램", "g": "그램", "ml": "밀리리터",
          "mL": "밀리리터", "L": "리터", "l": "리터", "GB": "기가바이트", "MB": "메가바이트", "TB": "테라바이트", "kcal": "킬로칼로리", "kW": "킬로와트"}  # fmt: skip
# Counters that take native numbers, up to 99 (시간 and 건 up to 19); all others take Sino-Korean ones.
_NATIVE = (
    "번째 시간 군데 가지 상자 박스 세트 켤레 마리 송이 사람 봉지 묶음 그루 개 명 살 대 권 잔 병 장 벌 곳 통 줄 칸 달 팩 캔 건 배 시"
).split()
_SINO = "개월 개국 주일 주년 년도 년 월 일 시 분 초 번 층 호 동 회 차 인 세 점 위 등 주 박 도 원 달러 페이지 퍼센트 포인트 매 종 화 기 회차 호선 단계".split()
_WEEKDAYS = "월화수목금토일"

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_CLOCK = r"(?:(오전|오후|AM|PM|am|pm)\s*)?(\d{1,2}):(\d{2})(?::\d{2})?"
_DAY = r"(?:\d{4}년\s*)?\d{1,2}월\s*\d{1,2}일|\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}/\d{1,2}|\d{1,2}일"
_HOUR = r"(?:오전|오후)?\s*\d{1,2}시(?!간)(?:\s*\d{1,2}분)?"


def number(value: Decimal) -> str:
    sign = "마이너스 " if value < 0 else ""
    whole, _, part = format(abs(value), "f").partition(".")
    point = " 점 " + "".join(_DIGITS[int(digit)] for digit in part) if part.strip("0") else ""
    return sign + _sino(int(whole[-_MOST_DIGITS:])) + point if len(whole) <= _MOST_DIGITS else sign + digits(whole)


def amount(value: Decimal, currency: str) -> str:
    if currency == "KRW":
        return f"{number(value)} 원"
    dollars, cents = divmod(abs(value).quantize(Decimal("0.01")), 1)
    said = f"{number(dollars)} 달러" + (f" {_sino(int(cents * 100))} 센트" if cents else "")
    return f"마이너스 {said}" if value < 0 else said


def date(year: int | None, month: int, day: int) -> str:
    return (f"{_sino(year)}년 " if year else "") + f"{_month(month)} {_sino(day)}일"


def time(hour: int, minute: int) -> str:
    if hour % 12 == 0:
        part = "낮" if hour else "밤"
    else:
        part = "오전" if hour < 12 else "오후"  # noqa: PLR2004 - noon
    return f"{part} {_clock_time(hour % 12 or 12, minute)}"


def digits(value: str) -> str:
    groups = re.findall(r"\d+|[A-Za-z]+|[가-힣]+", value)
    return ", ".join(said for group in groups for said in ([group] if "가" <= group[0] else _grouped(group)))


def expand(text: str) -> tuple[str, list[str]]:
    """Everything but Hangul into Hangul, and the foreign words that had to be spelled out."""
    spelled: list[str] = []
    for pattern, said in _EXPANSIONS:
        text = pattern.sub(said, text)
    return re.sub(r"[A-Za-z]+(?:-[A-Za-z]+)*", lambda match: _latin(match[0], spelled), text), spelled


def _sino(value: int) -> str:
    if value == 0:
        return "영"
    said, myriad = "", 0
    while value:
        value, low = divmod(value, 10_000)
        if low:
            name = _MYRIADS[myriad]
            group = "" if low == 1 and name == "만" and not value else _below_myriad(low)
            said = group + name + said
        myriad += 1
    return said


def _below_myriad(value: int) -> str:
    said = ""
    for unit, name in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit, value = divmod(value, unit)
        if digit:
            said += ("" if digit == 1 and name else _DIGITS[digit]) + name
    return said


def _native(value: int) -> str:
    if value == 20:  # noqa: PLR2004 - 스물 loses its ㄹ before a counter
        return "스무"
    return _TENS[value // 10] + _ONES[value % 10]


def _month(month: int) -> str:
    return {6: "유", 10: "시"}.get(month, _sino(month)) + "월"


def _clock_time(hour: int, minute: int) -> str:
    said = _native(hour) if 1 <= hour <= 12 else _sino(hour)  # noqa: PLR2004 - hours past twelve are Sino-Korean
    return f"{said} 시" + (f" {_sino(minute)} 분" if minute else "")


def _grouped(group: str) -> list[str]:
    """Runs of three or four, as people dictate numbers."""
    names = [_LETTERS[character.upper()] if character.isalpha() else "공일이삼사오육칠팔구"[int(character)] for character in group]
    size = 4 if len(names) % 4 == 0 or len(names) > 7 else 3  # noqa: PLR2004 - 8 is 4+4, 7 is 3+4
    if len(names) <= 4:  # noqa: PLR2004
        return ["".join(names)]
    cuts = [*range(0, len(names), size)]
    if len(names) - cuts[-1] == 1:  # nothing is left alone
        cuts.pop()
    return ["".join(names[start:end]) for start, end in zip(cuts, [*cuts[1:], len(names)], strict=True)]


def _decimal(written: str) -> Decimal:
    return Decimal(written.replace(",", ""))


def _said_clock(match: Match[str]) -> str:
    part, hour, minute = match[1], int(match[2]), int(match[3])
    if hour > 24 or minute > 59:  # noqa: PLR2004 - not a time of day: a score, a ratio
        return f"{part or ''} {_sino(hour)} 대 {_sino(minute)}".strip()
    if part:
        return f"{ {'am': '오전', 'pm': '오후'}.get(part.lower(), part) } {_clock_time(hour, minute)}"
    return time(hour % 24, minute)


def _said_day(match: Match[str]) -> str:
    year, month, day = match[1], int(match[2]), int(match[3])
    return f"{_sino(int(year))}년 {_month(month)} {_sino(day)}일"


def _said_slash(match: Match[str]) -> str:
    first, second, weekday = int(match[1]), int(match[2]), match[3]
    if 1 <= first <= 12 and (weekday or 12 < second <= 31):  # noqa: PLR2004 - a month and a day
        return f"{_month(first)} {_sino(second)}일" + (f" {weekday}요일" if weekday else "")
    return f"{_sino(second)}분의 {_sino(first)}"


def _said_counted(match: Match[str]) -> str:
    written, counter = match[1], match[2]
    value = _decimal(written)
    most = 19 if counter in {"시간", "건"} else 12 if counter == "시" else 99
    if value == 1 and counter == "번째":
        return "첫 번째"
    if value == int(value) and 1 <= value <= most and len(written) < 3:  # noqa: PLR2004 - "007개" is odd enough
        return f"{_native(int(value))} {counter}"
    return f"{number(value)} {counter}"


def _said_large(match: Match[str]) -> str:
    value = _decimal(match[1])
    return ("" if value == 1 and match[2] in {"만", "천", "백"} else number(value)) + match[2] + (" " if match[3] else "")


def _latin(word: str, spelled: list[str]) -> str:
    known = _WORDS.get(word.lower())
    if known:
        return f" {known}" if known == "닷컴" else known
    if not word.isupper() and len(word) > 1:
        spelled.append(word)
    return "".join(_LETTERS[letter.upper()] for letter in word if letter != "-")


def _one_of(words: list[str] | dict[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_EXPANSIONS: tuple[tuple[re.Pattern[str], Callable[[Match[str]], str] | str], ...] = (
    (re.compile(r"[∼〜–—]"), "~"),
    (re.compile(rf"({_CLOCK}|{_HOUR}|{_DAY})(\s*\([{_WEEKDAYS}]\))?\s*~\s*({_CLOCK}|{_HOUR}|{_DAY})(\s*\([{_WEEKDAYS}]\))?(?:\s*까지)?"),
     lambda match: f"{match[1]}{match[5] or ''}부터 {match[6]}{match[10] or ''}까지"),
    (re.compile(rf"(?<![가-힣])([{_WEEKDAYS}])(?:요일)?\s*~\s*([{_WEEKDAYS}])(?:요일)?(?:\s*까지)?(?![가-힣])"), r"\1요일부터 \2요일까지"),
    (re.compile(rf"(?<!\d)(\d{{1,2}})/(\d{{1,2}})(?:\s*\(([{_WEEKDAYS}])\))?(?![\d/])"), _said_slash),
    (re.compile(r"\+82[- ]?(?=\d)"), "0"),
    (re.compile(r"(?<![\d-])0\d{1,2}[-) .]\s?\d{3,4}[- .]\d{4}(?![\d-])|(?<![\d-])1[568]\d{2}-\d{4}(?![\d-])"), lambda match: digits(match[0])),
    (re.compile(_CLOCK), _said_clock),
    (re.compile(r"(?<![\w)])-(?=\d)"), "마이너스 "),
    (re.compile(r"(?<![\d-])(\d{4})[-./](\d{1,2})[-./](\d{1,2})\.?(?![\d-])"), _said_day),
    (re.compile(rf"(?<=일)\s*\(([{_WEEKDAYS}])\)"), r" \1요일"),
    (re.compile(r"[A-Za-z]*\d*-?\d{2,}(?:-\d{2,})+|[A-Za-z]+-?\d{4,}"), lambda match: digits(match[0])),
    (re.compile(rf"₩\s*({_NUMBER})"), lambda match: amount(_decimal(match[1]), "KRW")),
    (re.compile(rf"\$\s*({_NUMBER})"), lambda match: amount(_decimal(match[1]), "USD")),
    (re.compile(rf"({_NUMBER})\s*~\s*(?=\d)"), lambda match: f"{number(_decimal(match[1]))}에서 "),
    (re.compile(rf"({_NUMBER})\s*({_one_of(_UNITS)})(?![A-Za-z])"), lambda match: f"{number(_decimal(match[1]))} {_UNITS[match[2]]}"),
    (re.compile(r"(\d{1,2})월(?!\w)|(\d{1,2})월(?=\s*\d|[에의은이까부도말초중])"), lambda match: _month(int(match[1] or match[2]))),
    (re.compile(r"(\d{1,2})일(?!\w)|(\d{1,2})일(?=[에의은이까부도])"), lambda match: f"{_sino(int(match[1] or match[2]))}일"),
    (re.compile(r"(\d+)년"), lambda match: f"{number(Decimal(match[1]))}년"),
    (re.compile(rf"({_NUMBER})(천만|백만|십만|조|억|만|천|백)(?=(\s*원)?)"), _said_large),
    (re.compile(rf"(?<!제)({_NUMBER})\s*(?!{_one_of([word for word in _SINO if len(word) > 1])})({_one_of(_NATIVE)})"), _said_counted),
    (re.compile(rf"({_NUMBER})\s*({_one_of(_SINO)})"), lambda match: f"{number(_decimal(match[1]))} {match[2]}"),
    (re.compile(r"(?<![\d,.])(?:0\d+|\d{7,})(?![\d,])"), lambda match: digits(match[0])),
    (re.compile(_NUMBER), lambda match: number(_decimal(match[0]))),
    (re.compile(r"(?<![\w*])\*(?![\w*])|\*표?(?=키|버튼|[을를은는이])"), "별표"),
    (re.compile(r"(?<!\w)#(?!\w)|#(?=키|버튼|[을를은는이])"), "우물정"),
    (re.compile(r"(?<=[A-Za-z])/(?=[A-Za-z])"), ""),
    (re.compile(r"(?<=\w)\.com\b"), " 닷컴"),
    (re.compile(r"(?<=[A-Za-z가-힣])\.(?=[A-Za-z])"), " 점 "),
    (re.compile("@"), " 골뱅이 "),
    (re.compile(r"\(주\)"), "주식회사 "),
    (re.compile("&"), "앤"),
    (re.compile(r"\+"), "플러스"),
)  # fmt: skip
