"""Korean as it is said: spelling to pronunciation by the standard rules (표준어 규정, 제2부 표준 발음법; § is its article)."""

import re
from dataclasses import dataclass

_ONSETS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_CODAS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")
_FIRST, _LAST = 0xAC00, 0xD7A3

_CLUSTERS = {
    "ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ", "ㄽ": "ㄹㅅ", "ㄾ": "ㄹㅌ", "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ",
}  # fmt: skip
# §8-§11: the seven consonants that can end a syllable, and what the others become there.
_SEVEN = {coda: sound for sound, codas in {
    "ㄱ": "ㄱㄲㅋㄳㄺ", "ㄴ": "ㄴㄵㄶ", "ㄷ": "ㄷㅅㅆㅈㅊㅌㅎ", "ㄹ": "ㄹㄼㄽㄾㅀ", "ㅁ": "ㅁㄻ", "ㅂ": "ㅂㅍㄿㅄ", "ㅇ": "ㅇ",
}.items() for coda in codas} | {"": ""}  # fmt: skip
_ASPIRATED = {"ㄱ": "ㅋ", "ㄷ": "ㅌ", "ㅂ": "ㅍ", "ㅈ": "ㅊ"}
_TENSE = {"ㄱ": "ㄲ", "ㄷ": "ㄸ", "ㅂ": "ㅃ", "ㅅ": "ㅆ", "ㅈ": "ㅉ"}
_NASAL = {"ㄱ": "ㅇ", "ㄷ": "ㄴ", "ㅂ": "ㅁ"}

# What spelling alone cannot tell, found at the beginning of a word and respelled there; the rules do the rest.
# An entry that equals its value protects a word from a shorter entry.
_RESPELLED = {
    # §15: the second part is a word of its own, so the coda is neutralised before it moves.
    "맛없": "맏없", "멋없": "먿없", "값어치": "갑어치", "겉옷": "걷옷", "첫인상": "처딘상", "헛웃": "허둣", "값없": "갑없", "맏형": "마텽", "몇월": "멷월",
    # §16: names of the letters.
    "디귿이": "디그시", "디귿을": "디그슬", "지읒이": "지으시", "치읓이": "치으시", "키읔이": "키으기", "티읕이": "티으시", "피읖이": "피으비", "히읗이": "히으시",
    # §20: ㄴ+ㄹ said as two ㄴ.
    "온라인": "온나인", "의견란": "의견난", "상견례": "상견녜", "횡단로": "횡단노", "이원론": "이원논", "음운론": "음운논", "임진란": "임진난",
    "동원령": "동원녕", "공권력": "공꿘녁", "다운로드": "다운노드",
    # §28: compounds with a tensed second part, and Sino-Korean suffixes that behave so.
    "문자": "문짜", "한자": "한짜", "글자": "글짜", "인기": "인끼", "조건": "조껀", "사건": "사껀", "안건": "안껀", "여권": "여꿘", "평가": "평까", "단가": "단까",
    "정가": "정까", "원가": "원까", "물가": "물까", "성과": "성꽈", "내과": "내꽈", "외과": "외꽈", "치과": "치꽈", "길가": "길까", "길거리": "길꺼리",
    "물고기": "물꼬기", "아침밥": "아침빱", "문고리": "문꼬리", "눈동자": "눈똥자", "산새": "산쌔", "손재주": "손째주", "등불": "등뿔", "창가": "창까",
    "강가": "강까", "발바닥": "발빠닥", "신바람": "신빠람", "바람결": "바람껼", "그믐달": "그믐딸", "초승달": "초승딸", "굴속": "굴쏙", "술잔": "술짠",
    "강줄기": "강쭐기", "상품권": "상품꿘", "할인권": "할인꿘", "이용권": "이용꿘", "회원권": "회원꿘", "입장권": "입장꿘", "교환권": "교환꿘", "만점": "만쩜",
    "장점": "장쩜", "단점": "단쩜", "문제점": "문제쩜", "시점": "시쩜", "초점": "초쩜", "무료권": "무료꿘", "밤사이": "밤싸이", "잠자리": "잠짜리",
    # §29: an ㄴ slips in between the parts of a compound (ㄹ after ㄹ follows from §20).
    "꽃잎": "꼳닙", "깻잎": "깯닙", "나뭇잎": "나묻닙", "솔잎": "솔닙", "솜이불": "솜니불", "홑이불": "홑니불", "막일": "막닐", "삯일": "삯닐", "맨입": "맨닙",
    "내복약": "내복냑", "한여름": "한녀름", "남존여비": "남존녀비", "신여성": "신녀성", "색연필": "색년필", "직행열차": "직행녈차", "늑막염": "늑막념",
    "콩엿": "콩녓", "담요": "담뇨", "눈요기": "눈뇨기", "영업용": "영업뇽", "업무용": "업무용", "식용유": "시굥뉴", "백분율": "백분뉼", "밤윷": "밤뉻",
    "들일": "들닐", "설익": "설닉", "물약": "물냑", "불여우": "불녀우", "물엿": "물녓", "휘발유": "휘발뉴", "알약": "알냑", "콧날": "콛날", "댓잎": "댇닙",
    "베갯잇": "베갣닛", "뒷일": "뒫닐", "옛일": "옏닐", "앞일": "압닐", "밭이랑": "받니랑", "서울역": "서울녁", "부산역": "부산녁", "강남역": "강남녁",
    "용산역": "용산녁", "수원역": "수원녁", "대전역": "대전녁", "담임": "담임", "가랑잎": "가랑닙", "집안일": "집안닐", "볼일": "볼닐", "별일": "별닐",
    "댁입": "댁입", "할일": "할닐", "헛일": "헏닐", "낮일": "낟닐", "색유리": "색뉴리", "한일": "한일", "생년월일": "생년워릴",
    # §10: 넓- in two words.
    "넓죽": "넙쭉", "넓둥글": "넙뚱글",
}  # fmt: skip
_RESPELLED_AT_START = re.compile("|".join(sorted(_RESPELLED, key=len, reverse=True)))

# §26: Sino-Korean ㄹ before ㄷ, ㅅ, ㅈ. Sound alone cannot tell Sino-Korean words, so they are listed, two syllables each.
_SINO_L = frozenset(
    "갈등 갈증 결단 결산 결석 결성 결속 결손 결승 결정 결제 결재 결점 골절 골조 굴절 길조 날조 물자 물질 밀도 밀수 밀접 발달 발동 발사 발산 발상 발생 발송 발신 "
    "발전 발족 발주 발진 별도 별실 별세 불신 불순 불시 불소 살상 설득 설정 설전 설사 솔직 술수 실수 실습 실시 실신 실적 실전 실제 실존 실질 실증 실정 실장 실속 "
    "알선 열대 열등 열성 열정 열중 열전 월세 월정 월등 율동 일단 일대 일등 일상 일생 일시 일자 일정 일제 일주 일종 일전 일직 일동 일조 절대 절도 절수 절실 절전 절정 "
    "절제 절단 졸도 졸속 졸지 질서 질식 질주 찰지 철도 철수 철저 철재 출동 출두 출석 출시 출신 출장 출전 출제 출주 칠십 칠조 탈당 탈선 탈세 탈수 탈진 팔십 팔조 팔자 "
    "필사 필수 필승 필자 할당 할증 혈당 혈색 혈전 활동 활성 활자 활주 활짝 말살 말소 말썽 몰수 몰두 멸종 멸시 물정 벌점 별점 별장 별정 불조 불도".split()
)
# §24: stems in ㄴ and ㅁ before an ending, only where no noun is written alike.
_NASAL_STEMS = re.compile("(?:남|참|넘|담|심|감|숨|품|닮|굶|젊|삶|앉|얹|껴안|신)(?=습니|습디)|(?:남|넘|담|참)(?=지[ 요는도만]|지$)|(?:닮|굶|젊|앉|얹)(?=[고다지게기던더자])")
# §27: what follows a future ending -(으)ㄹ within a word, where no ㄹ-stem is written alike.
_FUTURE_INSIDE = re.compile("(?<=[릴할갈볼될을낼올둘줄])게요?$|수록$|(?<=[을할될릴])지")
# §20, second half: a word of two syllables or more and one of these keeps ㄴ. The listed ones are words of two syllables.
_KEEPS_N = frozenset("란량력료론령")
_LATERAL = frozenset("진료 연료 인력 전력 연령 곤란 논란 혼란 분량 전량 훈련 관령 권력 반론 언론 본론 근로 원로".split())
# §5: nouns whose last syllable is 의; elsewhere a final 의 is the particle.
_NOUNS_IN_UI = frozenset("문의 주의 회의 동의 협의 합의 강의 정의 편의 거의 유의 임의 논의 결의 건의 창의 호의 성의 이의 심의 상의 의의 고의 제의 악의 예의 본의 저의 민의 경의".split())
_NOUNS_IN_LK = frozenset("닭흙칡삵")

# Words that lean on the one before: no pause between them, so the rules reach across the space.
_COUNTERS = (
    "원 시 분 초 번 개 명 월 일 년 호 건 층 동 장 대 권 병 잔 통 곳 벌 살 주 회 배 박 인 점 도 세 달 달러 시간 개월 주일 퍼센트 가지 상자 박스 켤레 마리 송이 만 억 조 "
    "킬로그램 그램 미터 센티미터"
).split()
_PARTICLES = "(?:에서|에는|에|부터|까지|을|를|이|가|은|는|도|만|의|으로|로|입니다|이며|이고|이나|과|와|씩|째|쯤|정도|이내|이상|이하|전|후|간)*"
_COUNTER = re.compile(f"(?:{'|'.join(sorted(_COUNTERS, key=len, reverse=True))}){_PARTICLES}$")
_NUMERAL = re.compile(
    "(?:[일이삼사오육칠팔구십백천만억조영공]|한|두|세|네|다섯|여섯|일곱|여덟|아홉|열|스무|스물|서른|마흔|쉰|예순|일흔|여든|아흔|몇)+$"
)
_DEPENDENT = re.compile(f"(?:것|거|게|걸|건|겁니다|수|곳|데|지|줄|바|적|듯|분){_PARTICLES}(?:요|예요|입니까)?$")


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
    """The text respelled as it sounds: "독립" becomes "동닙". All but Hangul syllables is left as it is; leaning words are joined."""
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
            _lean(syllables[-1], read[0], _DEPENDENT.match(word) is not None or phrase.startswith("여덟"))
        syllables += read
    for here, following in zip(syllables, [*syllables[1:], None], strict=True):
        _end(here, following)
    for index, syllable in enumerate(syllables):
        _settle_vowel(syllable, is_first=index == 0)
    return "".join(syllable.sound for syllable in syllables)


def _lean(last: _Syllable, first: _Syllable, is_future: bool) -> None:
    """Across a space within one breath: §15 neutralises, §27 tenses after -(으)ㄹ; counters after ㄹ numerals are tensed alike."""
    if first.onset == "ㅇ" and last.coda not in {"ㄶ", "ㅀ", "ㅎ"}:
        last.coda = _SEVEN[last.coda]
        if first.spelled in "육륙" and last.coda:
            first.onset = "ㄴ"
    elif _SEVEN[last.coda] == "ㄹ" and (is_future or (last.spelled in "열일칠팔덟" and first.onset in "ㄷㅅㅈ")):
        first.onset = _TENSE.get(first.onset, first.onset)


def _read_word(word: str) -> list[_Syllable]:
    """The syllables of a word, with everything settled that needs the word as it is written."""
    respelled = _RESPELLED_AT_START.sub(lambda match: _RESPELLED[match[0]], word, count=1) if _RESPELLED_AT_START.match(word) else word
    if len(word) > 1 and word[-1] == "의" and word[-2:] not in _NOUNS_IN_UI:
        respelled = respelled[:-1] + "에"  # §5, proviso 4
    if len(word) > 1 and word[-2:] in _NOUNS_IN_UI:
        respelled = respelled[:-1] + "이"  # §5, proviso 4
    syllables = [_Syllable(*decompose(character), character) for character in respelled]
    for match in [*_NASAL_STEMS.finditer(respelled)]:
        following = syllables[match.end()]
        following.onset = _TENSE.get(following.onset, following.onset)
    if match := _FUTURE_INSIDE.search(respelled):
        before = syllables[match.start() - 1] if match.start() else None
        if before and before.coda == "ㄹ":
            syllables[match.start()].onset = _TENSE[syllables[match.start()].onset]
    for index, (here, following) in enumerate(zip(syllables, syllables[1:], strict=False)):
        pair = here.spelled + following.spelled
        if pair in _SINO_L:
            following.onset = _TENSE.get(following.onset, following.onset)
        elif here.coda == "ㄴ" and following.spelled in _KEEPS_N and index and pair not in _LATERAL:
            following.onset = "ㄴ"
        elif following.spelled == "육" and here.coda and here.spelled in "일삼육칠팔십백천만억공영":
            following.onset = "ㄴ"  # §29 in numbers: 십육 [심뉵]
        elif following.spelled in "여" and here.spelled in "열물른흔쉰순든" and respelled[index + 1 : index + 3] in {"여섯", "여덟"}:
            following.onset = "ㄴ"  # 스물여섯 [스물려섣]
    return syllables


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
    if here.coda in {"ㄵ", "ㅈ"} or (here.coda in {"ㄷ", "ㅌ", "ㄾ"} and following.vowel in {"ㅣ", "ㅕ"}):  # §17: 닫히다 [다치다]
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
    elif was == "ㄺ" and following.onset == "ㄱ" and here.spelled not in _NOUNS_IN_LK:
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
    elif syllable.vowel == "ㅖ" and syllable.spelled not in "예옙옛례" and syllable.onset != "ㅇ":
        syllable.vowel = "ㅔ"
