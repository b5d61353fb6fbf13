"""Korean spelling to pronunciation by the standard rules (표준어 규정 제2부, 표준 발음법; § is its article)."""

import itertools
import re
from dataclasses import dataclass

from voiceedge.audio import lexicon

_ONSETS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_CODAS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")
_FIRST, _LAST = 0xAC00, 0xD7A3

_CLUSTERS = {
    "ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ", "ㄽ": "ㄹㅅ",
    "ㄾ": "ㄹㅌ", "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ",
}  # fmt: skip
# §8-§11: the seven consonants that can end a syllable, and what the others become there.
_SEVEN = {coda: sound for sound, codas in {
    "ㄱ": "ㄱㄲㅋㄳㄺ", "ㄴ": "ㄴㄵㄶ", "ㄷ": "ㄷㅅㅆㅈㅊㅌㅎ", "ㄹ": "ㄹㄼㄽㄾㅀ", "ㅁ": "ㅁㄻ",
    "ㅂ": "ㅂㅍㄿㅄ", "ㅇ": "ㅇ",
}.items() for coda in codas} | {"": ""}  # fmt: skip
_ASPIRATED = {"ㄱ": "ㅋ", "ㄷ": "ㅌ", "ㅂ": "ㅍ", "ㅈ": "ㅊ"}
_TENSE = {"ㄱ": "ㄲ", "ㄷ": "ㄸ", "ㅂ": "ㅃ", "ㅅ": "ㅆ", "ㅈ": "ㅉ"}
_NASAL = {"ㄱ": "ㅇ", "ㄷ": "ㄴ", "ㅂ": "ㅁ"}

_RESPELLED_AT_START = re.compile(f"^(?:{'|'.join(sorted(lexicon.RESPELLED, key=len, reverse=True))})")

# §24: stems in ㄴ and ㅁ before an ending, only where no noun is written alike.
_NASAL_STEMS = re.compile(
    "(?:남|참|넘|담|심|감|숨|품|닮|굶|젊|삶|앉|얹|껴안|신)(?=습니|습디)"
    "|(?:남|넘|담|참)(?=지[요는도만]|지$)"
    "|(?:닮|굶|젊|앉|얹)(?=[고다지게기던더자])"
)
# §27: what follows a future ending -(으)ㄹ within a word, where no ㄹ-stem is written alike.
_FUTURE_INSIDE = re.compile("(?<=[릴할갈볼될을낼올둘줄])게요?$|수록$|(?<=[을할될릴])지")

# Words that lean on the one before: no pause between them, so the rules reach across the space.
_COUNTERS = """
    킬로그램 센티미터 개월 주일 시간 달러 퍼센트 가지 상자 박스 켤레 마리 송이 그램 미터
    원 시 분 초 번 개 명 월 일 년 호 건 층 동 장 대 권 병 잔 통 곳 벌 살 주 회 배 박 인 점 도 세 달 만 억 조
    """.split()  # noqa: SIM905 - read as a list of words
_PARTICLES = (
    "(?:에서|에는|에|부터|까지|을|를|이|가|은|는|도|만|의|으로|로|입니다|이며|이고|이나|과|와"
    "|씩|째|쯤|정도|이내|이상|이하|전|후|간)*"
)
_COUNTER = re.compile(f"(?:{'|'.join(_COUNTERS)}){_PARTICLES}$")
_NUMERAL = re.compile(
    "(?:[일이삼사오육칠팔구십백천만억조영공한두세네열쉰몇]|다섯|여섯|일곱|여덟|아홉"
    "|스무|스물|서른|마흔|예순|일흔|여든|아흔)+$"
)
_DEPENDENT = re.compile(f"(?:것|거|게|걸|건|겁니다|수|곳|데|지|줄|바|적|듯|분){_PARTICLES}(?:요|예요|입니까)?$")
# Digits read one by one: three or more, or two and two; 이삼일 is two or three days. Said apart the prompts' voice is
# understood better (docs/results/0002-voices.md).
_DIGIT = "[공영일이삼사오육칠팔구]"
_DICTATED = re.compile(
    f"(?<![가-힣])(?!(?:이삼|삼사|사오)일)"
    f"(?:{_DIGIT}{{3,}}|{_DIGIT}{{2}}(?=, {_DIGIT}{{2}})|(?<={_DIGIT}, ){_DIGIT}{{2}})"
)


@dataclass(slots=True)
class _Syllable:
    onset: str
    vowel: str
    coda: str
    spelled: str

    @property
    def sound(self) -> str:
        index = (_ONSETS.index(self.onset) * 21 + _VOWELS.index(self.vowel)) * 28 + _CODAS.index(self.coda)
        return chr(_FIRST + index)


def pronounce(text: str) -> str:
    """Respelled as it sounds: "독립" becomes "동닙". Leaning words are joined, dictated digits parted ("·")."""
    text = _DICTATED.sub(lambda match: "·".join(match[0]), text)
    return "".join(_say(part) if _FIRST <= ord(part[0]) <= _LAST else part for part in _phrases(text))


def decompose(syllable: str) -> tuple[str, str, str]:
    """Onset, vowel and coda of one Hangul syllable; onset "ㅇ" is silent, coda "" is none."""
    index = ord(syllable) - _FIRST
    return _ONSETS[index // 588], _VOWELS[index % 588 // 28], _CODAS[index % 28]


def _phrases(text: str) -> list[str]:
    """Hangul words, each with the words that lean on it (still separated by a space), and what lies between them."""
    parts = re.findall(f"[{chr(_FIRST)}-{chr(_LAST)}]+|[^{chr(_FIRST)}-{chr(_LAST)}]+", text)
    joined: list[str] = []
    for part in parts:
        if len(joined) > 1 and joined[-1] == " " and _leans(joined[-2].rsplit(" ", 1)[-1], part):
            joined.pop()
            joined[-1] += " " + part
        else:
            joined.append(part)
    return joined


def _leans(word: str, after: str) -> bool:
    if word == "못":
        return True
    if _COUNTER.match(after):
        return bool(_NUMERAL.search(word)) or word in {"만", "억", "조"}
    return decompose(word[-1])[2] == "ㄹ" and bool(_DEPENDENT.match(after))


def _say(phrase: str) -> str:
    syllables: list[_Syllable] = []
    for position, word in enumerate(phrase.split(" ")):
        read = _read_word(word)
        if position:
            _lean(syllables[-1], read[0], is_future=_DEPENDENT.match(word) is not None)
        syllables += read
    for here, following in zip(syllables, [*syllables[1:], None], strict=True):
        _end(here, following)
    for index, syllable in enumerate(syllables):
        _settle_vowel(syllable, is_first=index == 0)
    return "".join(syllable.sound for syllable in syllables)


def _lean(last: _Syllable, first: _Syllable, *, is_future: bool) -> None:
    """Across a space within one breath: §15 neutralises, §27 tenses after -(으)ㄹ, and so does ㄹ of a numeral."""
    if first.onset == "ㅇ" and last.coda not in {"ㄶ", "ㅀ", "ㅎ"}:
        last.coda = _SEVEN[last.coda]
        if first.spelled == "육" and last.coda:
            first.onset = "ㄴ"
    elif _SEVEN[last.coda] == "ㄹ" and (is_future or (last.spelled in "열일칠팔덟" and first.onset in "ㄷㅅㅈ")):
        _tense(first)


def _tense(syllable: _Syllable) -> None:
    syllable.onset = _TENSE.get(syllable.onset, syllable.onset)


def _read_word(word: str) -> list[_Syllable]:
    """The syllables of a word, with everything settled that needs the word as it is written."""
    respelled = _RESPELLED_AT_START.sub(lambda match: lexicon.RESPELLED[match[0]], word)
    if len(word) > 1 and word[-1] == "의":  # §5, proviso 4: the particle may be ㅔ, and 의 within a word ㅣ
        respelled = respelled[:-1] + ("이" if word[-2:] in lexicon.NOUNS_IN_UI else "에")
    syllables = [_Syllable(*decompose(character), character) for character in respelled]
    for match in _NASAL_STEMS.finditer(respelled):
        _tense(syllables[match.end()])
    future = _FUTURE_INSIDE.search(respelled)
    if future and future.start() and syllables[future.start() - 1].coda == "ㄹ":
        _tense(syllables[future.start()])
    for index, (here, following) in enumerate(itertools.pairwise(syllables)):
        _join(here, following, index, respelled[index + 1 :])
    return syllables


def _join(here: _Syllable, following: _Syllable, index: int, rest: str) -> None:
    """What happens between two syllables because of the words they stand in (§20, §26, §29)."""
    pair = here.spelled + following.spelled
    if pair in lexicon.SINO_KOREAN_L:
        _tense(following)
    elif (
        (here.coda == "ㄴ" and following.spelled in lexicon.KEEPS_N and index and pair not in lexicon.LATERAL)
        or (following.spelled == "육" and here.spelled in "일삼육칠팔십백천만억공영")  # 십육 [심뉵]
        or (rest.startswith(("여섯", "여덟")) and here.spelled in "열물른흔쉰순든")  # 스물여섯 [스물려섣]
    ):
        following.onset = "ㄴ"


def _end(here: _Syllable, following: _Syllable | None) -> None:
    """Settle a syllable's coda, and the onset that meets it."""
    if following is None:
        here.coda = _SEVEN[here.coda]
    elif here.coda not in {"", "ㅇ"} and following.onset == "ㅇ":
        _carry_over(here, following)
    elif not _aspirate(here, following):
        _assimilate(here, following)


def _carry_over(here: _Syllable, following: _Syllable) -> None:
    """§12.4, §13, §14, §17: the coda is said with the vowel that follows."""
    stays, moves = ("", here.coda) if here.coda not in _CLUSTERS else tuple(_CLUSTERS[here.coda])
    if moves == "ㅎ":
        stays, moves = "", stays or "ㅇ"
    elif moves in "ㄷㅌ" and following.vowel in {"ㅣ", "ㅕ"}:
        moves = {"ㄷ": "ㅈ", "ㅌ": "ㅊ"}[moves]
    elif moves == "ㅅ" and stays:
        moves = "ㅆ"
    here.coda, following.onset = stays, moves


def _aspirate(here: _Syllable, following: _Syllable) -> bool:
    """§12: ㅎ merges with its neighbour or falls silent. Says whether the pair is settled."""
    if here.coda in {"ㅎ", "ㄶ", "ㅀ"}:
        stays = {"ㅎ": "", "ㄶ": "ㄴ", "ㅀ": "ㄹ"}[here.coda]
        if following.onset in "ㄱㄷㅈ":
            here.coda, following.onset = stays, _ASPIRATED[following.onset]
            return True
        if following.onset == "ㅅ":
            here.coda, following.onset = stays, "ㅆ"
            return True
        here.coda = stays or "ㄷ"  # and then as any other coda: 놓는 [논는], 뚫네 [뚤레]
        return False
    if following.onset != "ㅎ":
        return False
    if here.coda in {"ㄵ", "ㅈ"} or (
        here.coda in {"ㄷ", "ㅌ", "ㄾ"} and following.vowel in {"ㅣ", "ㅕ"}
    ):  # §17: 닫히다 [다치다]
        moves, stays = "ㅊ", {"ㄵ": "ㄴ", "ㄾ": "ㄹ"}.get(here.coda, "")
        if here.coda == "ㅈ" and following.vowel not in {"ㅣ", "ㅕ"}:
            moves = "ㅌ"
    elif here.coda in {"ㄺ", "ㄼ"}:
        stays, moves = "ㄹ", {"ㄺ": "ㅋ", "ㄼ": "ㅍ"}[here.coda]
    elif _SEVEN[here.coda] in _ASPIRATED:
        stays, moves = "", _ASPIRATED[_SEVEN[here.coda]]
    else:
        return False
    here.coda, following.onset = stays, moves
    return True


def _assimilate(here: _Syllable, following: _Syllable) -> None:
    """§10, §11, §18 to §20, §23 to §25: the coda becomes one of seven, and both sides of the boundary adapt."""
    was = here.coda
    coda = _SEVEN[was]
    if was == "ㄼ" and here.spelled == "밟":
        coda = "ㅂ"
    elif was == "ㄺ" and following.onset == "ㄱ" and here.spelled not in lexicon.NOUNS_IN_LG:
        coda, following.onset = "ㄹ", "ㄲ"
    if coda in _NASAL:
        if following.onset in "ㄴㅁ":
            coda = _NASAL[coda]
        elif following.onset == "ㄹ":
            coda, following.onset = _NASAL[coda], "ㄴ"
        else:
            following.onset = _TENSE.get(following.onset, following.onset)
    elif was == "ㄵ" or (was in {"ㄼ", "ㄾ"} and here.spelled != "덟"):
        following.onset = _TENSE.get(following.onset, following.onset)
    elif coda in {"ㅁ", "ㅇ"} and following.onset == "ㄹ":
        following.onset = "ㄴ"
    elif coda == "ㄴ" and following.onset == "ㄹ":
        coda = "ㄹ"
    elif coda == "ㄹ" and following.onset == "ㄴ":
        following.onset = "ㄹ"
    here.coda = coda


def _settle_vowel(syllable: _Syllable, *, is_first: bool) -> None:
    """§5: ㅢ after a consonant or inside a word is ㅣ, ㅕ after ㅈ, ㅉ, ㅊ is ㅓ, ㅖ is ㅔ but in 예 and 례."""
    if syllable.vowel == "ㅢ" and (syllable.onset != "ㅇ" or not is_first):
        syllable.vowel = "ㅣ"
    elif syllable.vowel == "ㅕ" and syllable.onset in "ㅈㅉㅊ":
        syllable.vowel = "ㅓ"
    elif syllable.vowel == "ㅖ" and syllable.spelled not in "예옙옛례녜" and syllable.onset != "ㅇ":
        syllable.vowel = "ㅔ"
