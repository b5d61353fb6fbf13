"""Finds what mixes digits with letters or words: passports, numbers said in thousands, e-mail addresses as spoken."""

import re
from collections.abc import Iterator

from voiceedge.context.privacy.said import LETTER_NAMES, NUMBER_WORDS, SYLLABLES

Span = tuple[int, int]

_SAID = rf"(?:[\d{SYLLABLES}]\s?)"
_ALONE = r"(?<![A-Za-z0-9-])"
_PASSPORT = re.compile(
    rf"{_ALONE}(?:[MSRODmsrod][\s-]?\d{{3}}[\s-]?[A-Za-z][\s-]?\d{{4}}|[Mm][\s-]?\d{{8}})(?![A-Za-z0-9])"
    rf"|(?:엠|에스|알|디|{_ALONE}[MSRODmsrod])\s?{_SAID}{{3}}(?:{LETTER_NAMES}|[A-Z])\s?{_SAID}{{4}}"
    rf"|(?:엠|{_ALONE}M)\s?{_SAID}{{8}}"
)
_LIKE_PASSPORT = re.compile(rf"[MSRODmsrod엠스알디][\s-]?[\d{SYLLABLES}]\s?[\d{SYLLABLES}]")
_COUNTED = re.compile(
    rf"(?:[공영]\s?일\s?[공영]|010)(?:[\s,.\-]{{0,3}}(?:에\s?)?[\d{SYLLABLES}십백천]){{5,24}}"
)  # 공일공 천이백삼십사에 오천육백칠십팔


def passports(text: str) -> Iterator[Span]:
    if not _LIKE_PASSPORT.search(text):
        return
    for match in _PASSPORT.finditer(text):
        yield match.start(), match.end()


def counted(text: str) -> Iterator[Span]:
    """Mobile numbers said in thousands and tens. Without 공일공 before them these are amounts and years."""
    if "백" not in text and "천" not in text and "십" not in text:
        return
    for match in _COUNTED.finditer(text):
        if any(word in match[0] for word in "십백천"):
            yield match.start(), match.end()


_WRITTEN_EMAIL = re.compile(
    r"[\w.%+'-]{1,64}@(?:[\w-]{1,63}\.){1,8}(?:[A-Za-z][A-Za-z0-9-]{1,62}|[가-힣]{2,20})", re.IGNORECASE
)
_DOT = r"\s{0,2}(?:점|쩜|닷|\bdot\b|\(dot\)|\.)\s{0,2}"
_AT_WORDS = ("골뱅이", "앳", "엣", " at ", "(at)", "@")
_AT = re.compile(r"\s{0,2}(?:골뱅이|앳|엣|\bat\b|\(at\)|@)\s{0,2}", re.IGNORECASE)
_SPELLED = rf"(?:[\w-]{{1,40}}(?:\s(?:{LETTER_NAMES})){{0,12}})"
_TOP = r"(?:닷?컴|넷|오알지|케이\s?알|씨오|com|net|org|co|kr|io|edu|gov)(?![a-z])"
_DOMAIN = re.compile(
    rf"{_SPELLED}(?:\s\w{{1,12}}){{0,3}}?{_DOT}{_TOP}(?:{_DOT}{_TOP}){{0,2}}"
    r"|[\w-]{2,30}\s?닷\s?컴|(?:네이버|지메일|한메일|핫메일|네이트|gmail|naver|hanmail|daum)(?!에서|\s?쇼핑|\s?페이|[a-z])",
    re.IGNORECASE,
)
_SIGN = re.compile(r"점|쩜|닷|dot|언더바|하이픈|대시|underscore|dash", re.IGNORECASE)
_SPELLED_PART = re.compile(rf"{LETTER_NAMES}|[a-z]|{'|'.join(NUMBER_WORDS)}|[\d{SYLLABLES}]+", re.IGNORECASE)
_LOCAL_REACHES = 80  # characters
_NO_LOCAL = frozenset(
    {"us", "me", "out", "look", "is", "are", "be", "site", "website", "page", "store", "shop", "online", "visit"}
)


def emails(text: str) -> Iterator[Span]:
    if "@" in text:
        for match in _WRITTEN_EMAIL.finditer(text):
            yield match.start(), match.end()
    small = text.lower()
    if not any(word in small for word in _AT_WORDS):
        return
    for at in _AT.finditer(text):
        domain = _DOMAIN.match(text, at.end())
        start = _local_part(text, at.start()) if domain else None
        if domain and start is not None:
            yield start, domain.end()


def _local_part(text: str, end: int) -> int | None:
    """Where the name before the at sign begins: one word, and before it what is spelled or joined by a sign."""
    words = list(re.finditer(r"\S+", text[max(0, end - _LOCAL_REACHES) : end]))
    if not words or words[-1][0].casefold() in _NO_LOCAL:
        return None
    first = len(words) - 1
    while first:
        joined = _SIGN.fullmatch(words[first][0]) or _SIGN.fullmatch(words[first - 1][0])
        if not joined and not _SPELLED_PART.fullmatch(words[first - 1][0]):
            break
        first -= 1
    return max(0, end - _LOCAL_REACHES) + words[first].start()
