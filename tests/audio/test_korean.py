import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceedge.audio import phonemes
from voiceedge.audio.pronunciation import pronounce

# Examples of the standard itself where it gives one; article: spelling=pronunciation.
WORDS = """
§5: 가져=가저 다쳐=다처 시계=시게 희망=히망 주의=주이 문의=무니 의사=의사 고객의=고개게 예약=예약
§8: 닦다=닥따
§9: 키읔과=키윽꽈 옷=옫 꽃=꼳 솥=솓 앞=압 있고=읻꼬
§10: 넋=넉 앉다=안따 여덟=여덜 넓다=널따 외곬=외골 핥다=할따 값=갑 없다=업따 밟다=밥따 밟소=밥쏘 밟는=밤는 밟게=밥께
§10: 넓죽하다=넙쭈카다
§11: 닭=닥 흙과=흑꽈 맑다=막따 늙지=늑찌 삶=삼 젊다=점따 읊고=읍꼬 맑게=말께 읽고=일꼬 읽다=익따 닭과=닥꽈
§12.1: 놓고=노코 좋던=조턴 쌓지=싸치 많고=만코 않던=안턴 닳지=달치 좋다=조타 각하=가카 먹히다=머키다 밝히다=발키다
§12.1: 맏형=마텽 좁히다=조피다 넓히다=널피다 꽂히다=꼬치다 앉히다=안치다 못해=모태 법학=버팍
§12.2: 닿소=다쏘 많소=만쏘 싫소=실쏘
§12.3: 놓는=논는 쌓네=싼네 않네=안네 뚫는=뚤른 않는=안는
§12.4: 낳은=나은 많아=마나 싫어도=시러도 좋아요=조아요
§13: 깎아=까까 옷이=오시 있어=이써 낮이=나지 꽃을=꼬츨 밭에=바테 앞으로=아프로
§14: 넋이=넉씨 앉아=안자 닭을=달글 젊어=절머 핥아=할타 읊어=을퍼 값을=갑쓸 값이=갑씨 없어=업써 닭이=달기
§15: 맛없다=마덥따 겉옷=거돋 헛웃음=허두슴 값어치=가버치 값없는=가범는
§16: 디귿이=디그시 키읔이=키으기
§17: 곧이듣다=고지듣따 굳이=구지 미닫이=미다지 밭이=바치 벼훑이=벼훌치 굳히다=구치다 닫히다=다치다 같이=가치
§17: 붙여=부처
§18: 먹는=멍는 국물=궁물 깎는=깡는 몫몫이=몽목씨 긁는=긍는 흙만=흥만 닫는=단는 짓는=진는 있는=인는 맞는=만는
§18: 쫓는=쫀는 붙는=분는 잡는=잠는 앞마당=암마당 없는=엄는 감사합니다=감사함니다
§19: 담력=담녁 침략=침냑 강릉=강능 대통령=대통녕 막론=망논 협력=혐녁 독립=동닙
§20: 난로=날로 신라=실라 천리=철리 대관령=대괄령 칼날=칼랄 닳는=달른 관리=괄리 연락=열락 진료=질료 의견란=의견난
§20: 생산량=생산냥 결단력=결딴녁 공권력=공꿘녁 상견례=상견녜 입원료=이붠뇨 온라인=온나인
§23: 국밥=국빱 깎다=깍따 옷고름=옫꼬름 낯설다=낟썰다 덮개=덥깨 값지다=갑찌다 택배=택빼 접수=접쑤
§24: 앉고=안꼬 얹다=언따 닮고=담꼬 젊지=점찌 남습니다=남씀니다
§25: 넓게=널께 핥다=할따 훑소=훌쏘 떫지=떨찌
§26: 갈등=갈뜽 발동=발똥 절도=절또 말살=말쌀 갈증=갈쯩 물질=물찔 발전=발쩐 결제=결쩨 출발=출발 설정=설쩡 일정=일쩡
§26: 발송=발쏭
§27: 할수록=할쑤록 드릴게요=드릴께요 연결할게요=연결할께요
§28: 문고리=문꼬리 눈동자=눈똥자 술잔=술짠 문자=문짜 상품권=상품꿘 주문자=주문자
§29: 솜이불=솜니불 꽃잎=꼰닙 내복약=내봉냑 색연필=생년필 담요=담뇨 영업용=영엄뇽 식용유=시굥뉴 솔잎=솔립 물약=물략
§29: 서울역=서울력 휘발유=휘발류 십육=심뉵 백육십=뱅뉵씹 열여섯=열려섣 스물여덟=스물려덜 월요일=워료일 금요일=그묘일
§30: 깻잎=깬닙 나뭇잎=나문닙 콧날=콘날 뒷일=뒨닐
"""
PHRASES = {
    "할 수 있습니다": "할쑤 읻씀니다",  # §27
    "보내 드릴 것입니다": "보내 드릴꺼심니다",
    "잘 못 들었습니다": "잘 몯뜨럳씀니다",  # §15, §23
    "못 알아들었습니다": "모다라드럳씀니다",
    "이천오백 원입니다": "이처노배궈님니다",
    "십 원": "시붠",
    "여덟 시까지": "여덜씨까지",
    "일곱 시": "일곱씨",
    "열 명": "열명",
    "오십 명": "오심명",
    "몇 월": "며둴",
    "상담원 연결": "상다뭔 연결",  # two breaths: nothing crosses
    "안녕하세요, 고객님!": "안녕하세요, 고갱님!",
    "독립 12 VIP": "동닙 12 VIP",
    "번호는 일이삼, 사오입니다": "번호는 일·이·삼, 사·오임니다",  # digits one by one
    "공이, 일이삼사, 오육칠팔": "공·이, 일·이·삼·사, 오·육·칠·팔",
    "이삼일 안에": "이사밀 아네",  # and two or three days
    "사이, 오이": "사·이, 오·이",  # known cost: nothing tells these from digits
}


@pytest.mark.parametrize("entry", [entry for line in WORDS.strip().splitlines() for entry in line.split()[1:]])
def test_a_word_is_pronounced_by_the_standard(entry):
    spelling, said = entry.split("=")
    assert pronounce(spelling) == said


@pytest.mark.parametrize(("phrase", "said"), PHRASES.items())
def test_words_that_lean_on_each_other_are_said_in_one_breath(phrase, said):
    assert pronounce(phrase) == said


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3) | st.sampled_from(" .,?!a1"), max_size=40))
def test_any_sequence_of_syllables_can_be_pronounced(text):
    said = pronounce(text).replace("·", "")
    assert sum("가" <= character <= "힣" for character in said) == sum("가" <= character <= "힣" for character in text)
    assert all(symbol in "abdefghijklmnopstuwɕɛɡɯŋɾʌʔʥʨʰ .,?!" for symbol in phonemes.korean(text))


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("가구", "ɡaɡu"),
        ("국", "ɡuk"),
        ("빨리", "palli"),
        ("아빠", "aʔpa"),
        ("학교", "hakkjo"),
        ("시스템", "ɕisɯtʰem"),
        ("저쪽", "ʥʌʔʨok"),
        ("쇼핑", "ɕopʰiŋ"),
        ("네? 예!", "ne? je!"),
        ("12 ♥", " "),
    ],
)
def test_symbols_follow_the_place_in_the_word(text, symbols):
    assert phonemes.korean(text) == symbols
