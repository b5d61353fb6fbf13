"""Korean words whose pronunciation their spelling does not tell (표준 발음법; § is the article that makes them so)."""


def _pairs(table: str) -> dict[str, str]:
    return dict(entry.split("=") for entry in table.split())


# Found at the beginning of a word and respelled there; the rules then do the rest. An entry that equals its value
# protects a word from a shorter entry.
RESPELLED = {
    # §15: the second part is a word of its own, so the coda is neutralised before it moves.
    **_pairs("맛없=맏없 멋없=먿없 값어치=갑어치 값없=갑없 겉옷=걷옷 헛웃=허둣 첫인상=처딘상 몇월=멷월"),
    # §16: names of the letters.
    **_pairs("디귿이=디그시 디귿을=디그슬 지읒이=지으시 치읓이=치으시"),
    **_pairs("키읔이=키으기 티읕이=티으시 피읖이=피으비 히읗이=히으시"),
    # §17: ㄷ meets ㅎ in a compound, not in a suffix.
    **_pairs("맏형=마텽"),
    # §20: ㄴ and ㄹ said as two ㄴ.
    **_pairs("온라인=온나인 의견란=의견난 상견례=상견녜 횡단로=횡단노"),
    **_pairs("이원론=이원논 음운론=음운논 임진란=임진난 동원령=동원녕"),
    **_pairs("공권력=공꿘녁 다운로드=다운노드"),
    # §28: compounds with a tensed second part, and Sino-Korean suffixes that behave so.
    **_pairs("문자=문짜 한자=한짜 한자리=한자리 글자=글짜 인기=인끼 조건=조껀"),
    **_pairs("사건=사껀 안건=안껀 여권=여꿘 평가=평까 단가=단까 정가=정까"),
    **_pairs("원가=원까 물가=물까 성과=성꽈 내과=내꽈 외과=외꽈 치과=치꽈 길가=길까 길거리=길꺼리 물고기=물꼬기"),
    **_pairs("아침밥=아침빱 문고리=문꼬리 눈동자=눈똥자 산새=산쌔 손재주=손째주 등불=등뿔 창가=창까 강가=강까"),
    **_pairs("발바닥=발빠닥 신바람=신빠람 바람결=바람껼 그믐달=그믐딸"),
    **_pairs("초승달=초승딸 굴속=굴쏙 술잔=술짠 강줄기=강쭐기"),
    **_pairs("상품권=상품꿘 할인권=할인꿘 이용권=이용꿘 회원권=회원꿘"),
    **_pairs("입장권=입장꿘 교환권=교환꿘 장점=장쩜 단점=단쩜"),
    **_pairs("문제점=문제쩜 시점=시쩜 초점=초쩜 만점=만쩜 밤사이=밤싸이 잠자리=잠짜리"),
    # §29: an ㄴ slips in between the parts of a compound; after ㄹ it becomes ㄹ by §20.
    **_pairs("꽃잎=꼳닙 깻잎=깯닙 나뭇잎=나묻닙 댓잎=댇닙 솔잎=솔닙"),
    **_pairs("가랑잎=가랑닙 솜이불=솜니불 홑이불=홑니불 막일=막닐"),
    **_pairs("삯일=삯닐 맨입=맨닙 내복약=내복냑 물약=물냑 알약=알냑 한여름=한녀름 남존여비=남존녀비 신여성=신녀성"),
    **_pairs("색연필=색년필 직행열차=직행녈차 늑막염=늑막념 콩엿=콩녓"),
    **_pairs("물엿=물녓 담요=담뇨 눈요기=눈뇨기 영업용=영업뇽"),
    **_pairs("식용유=시굥뉴 휘발유=휘발뉴 백분율=백분뉼 밤윷=밤뉻 들일=들닐 설익=설닉 불여우=불녀우 색유리=색뉴리"),
    **_pairs("베갯잇=베갣닛 뒷일=뒫닐 옛일=옏닐 앞일=압닐 낮일=낟닐"),
    **_pairs("헛일=헏닐 할일=할닐 볼일=볼닐 별일=별닐 집안일=집안닐"),
    **_pairs("밭이랑=받니랑 서울역=서울녁 부산역=부산녁 강남역=강남녁 용산역=용산녁 수원역=수원녁 대전역=대전녁"),
    # §30: a sai-siot before ㄴ.
    **_pairs("콧날=콘날 아랫니=아랜니 뱃머리=밴머리"),
    # §10: 넓- in two words.
    **_pairs("넓죽=넙쭉 넓둥글=넙뚱글"),
}

# §26: Sino-Korean ㄹ before ㄷ, ㅅ, ㅈ. Sound cannot tell Sino-Korean words, so they are listed, two syllables each.
SINO_KOREAN_L = frozenset(
    """
    갈등 갈증 결단 결산 결석 결성 결속 결손 결승 결정 결제 결재 결점 골절 골조 굴절 길조 날조 물자 물질 물정 밀도
    밀수 밀접 발달 발동 발사 발산 발상 발생 발송 발신 발전 발족 발주 발진 벌점 별도 별실 별세 별장 별점 별정 불도
    불소 불순 불시 불신 불조 살상 설득 설사 설전 설정 솔직 술수 실속 실수 실습 실시 실신 실장 실적 실전 실정 실제
    실존 실증 실질 알선 열대 열등 열성 열전 열정 열중 월등 월세 월정 율동 일단 일대 일동 일등 일상 일생 일시 일자
    일전 일정 일제 일조 일종 일주 일직 절단 절대 절도 절수 절실 절전 절정 절제 졸도 졸속 졸지 질서 질식 질주 철도
    철수 철재 철저 출동 출두 출석 출시 출신 출장 출전 출제 출주 칠십 칠조 탈당 탈선 탈세 탈수 탈진 팔십 팔조 팔자
    필사 필수 필승 필자 할당 할증 혈당 혈색 혈전 활동 활성 활자 활주 말살 말소 몰두 몰수 멸시 멸종
    """.split()  # noqa: SIM905 - read as a list of words
)
# §20: ㄴ and ㄹ stay two ㄴ where one of KEEPS_N follows two syllables or more, but for the pairs of LATERAL.
KEEPS_N = frozenset("란량력료론령")
LATERAL = frozenset(
    "진료 연료 인력 전력 연령 곤란 논란 혼란 분량 전량 훈련 관령 권력 반론 언론 본론 근로 원로".split()  # noqa: SIM905
)
# §5: nouns whose last syllable is 의; elsewhere a final 의 is the particle.
NOUNS_IN_UI = frozenset(
    """
    문의 주의 회의 동의 협의 합의 강의 정의 편의 거의 유의 임의 논의 결의 건의 창의 호의 성의 이의 심의 상의 고의 제의
    악의 예의 본의 저의 민의 경의
    """.split()  # noqa: SIM905
)
# §11: nouns keep ㄱ of ㄺ before ㄱ (닭과 [닥꽈]); verbs do not (읽고 [일꼬]).
NOUNS_IN_LG = frozenset("닭흙칡삵")
