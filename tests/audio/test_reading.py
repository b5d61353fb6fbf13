import unicodedata
from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceedge.audio import reading

KOREAN = {
    "영업 시간은 09:00~18:00입니다.": "영업 시간은 오전 아홉 시부터 오후 여섯 시까지입니다.",
    "평일 09:00 – 18:00까지": "평일 오전 아홉 시부터 오후 여섯 시까지",
    "9시~18시": "아홉 시부터 십팔 시까지",
    "오후 6:30": "오후 여섯 시 삼십 분",
    "07:05": "오전 일곱 시 오 분",
    "12:30 00:00 24:00": "낮 열두 시 삼십 분 밤 열두 시 밤 열두 시",
    "99:99": "구십구 대 구십구",
    "월~금, 토요일": "월요일부터 금요일까지, 토요일",
    "3개를 주문하셨습니다.": "세 개를 주문하셨습니다.",
    "20명, 21살, 100명": "스무 명, 스물한 살, 백 명",
    "총 3건, 25건": "총 세 건, 이십오 건",
    "24시간, 3시간 30분": "이십사 시간, 세 시간 삼십 분",
    "1번째 2번째 3회 6개월": "첫 번째 두 번째 삼 회 육 개월",
    "2층 301호, 제3장": "이 층 삼백일 호, 제삼 장",
    "1번을 눌러 주세요": "일 번을 눌러 주세요",
    "다시 들으시려면 *를, 끝나면 #을 눌러 주세요": "다시 들으시려면 별표를, 끝나면 우물정을 눌러 주세요",
    "12,500원입니다": "만이천오백 원입니다",
    "₩5,000과 $10.50": "오천 원과 십 달러 오십 센트",
    "1만2천원, 12만원, 1억 2천만원": "만이천 원, 십이만 원, 일억 이천만 원",
    "80,000원 이상": "팔만 원 이상",
    "2026년 3월 25일": "이천이십육년 삼월 이십오일",
    "6월 6일, 10월 10일": "유월 육일, 시월 십일",
    "2026-03-25과 2026.03.25(수)": "이천이십육년 삼월 이십오일과 이천이십육년 삼월 이십오일 수요일",
    "3/25(수)까지": "삼월 이십오일 수요일까지",
    "1/2": "이분의 일",
    "3월 25일(수)~3월 27일(금)": "삼월 이십오일 수요일부터 삼월 이십칠일 금요일까지",
    "3~5일": "삼에서 오일",
    "대표 번호는 02-1234-5678입니다": "대표 번호는 공이, 일이삼사, 오육칠팔입니다",
    "010-9876-5432, 1588-1234": "공일공, 구팔칠육, 오사삼이, 일오팔팔, 일이삼사",
    "+82-10-1234-5678": "공일공, 일이삼사, 오육칠팔",
    "주문번호 20260325001": "주문번호 이공이육, 공삼이오, 공공일",
    "A-12345": "에이, 일이삼, 사오",
    "30% 할인, 1.5배, -5°C": "삼십 퍼센트 할인, 일 점 오 배, 마이너스 오 도",
    "3.5kg": "삼 점 오 킬로그램",
    "VIP 고객님, ARS와 SMS": "브이아이피 고객님, 에이알에스와 에스엠에스",
    "A/S 센터": "에이에스 센터",
    "help@naver.com": "헬프 골뱅이 네이버 닷컴",
    "㈜가나 ① ℃": "주식회사 가나 일 도",
    "첫 줄\n둘째 줄": "첫 줄. 둘째 줄",
    "네!!! 정말요?!": "네! 정말요!",
    "(괄호) “따옴표” — 대시…": "괄호 따옴표 대시.",
}
ENGLISH = {
    "Open 09:00~18:00.": "Open nine a m to six p m.",
    "Press 1, or 0.": "Press one, or zero.",
    "$12.50 and ₩12,500": "twelve dollars and fifty cents and twelve thousand five hundred won",
    "on 2026-03-25 at 6:05 PM": "on March twenty fifth, twenty twenty six at six oh five p m",
    "call 1588-1234": "call one five eight eight, one two three four",
    "order 12345678": "order one two three four five six seven eight",
    "30% off on the 21st & more": "thirty percent off on the twenty first and more",
    "It’s 1,234,567": "It's one million two hundred thirty four thousand five hundred sixty seven",
    "a@b.com": "a at b dot com",
}


@pytest.mark.parametrize(("written", "said"), KOREAN.items())
def test_korean_is_read_as_a_person_would(written, said):
    assert reading.read(written, "ko").text == said


@pytest.mark.parametrize(("written", "said"), ENGLISH.items())
def test_english_is_read_as_a_person_would(written, said):
    assert reading.read(written, "en").text == said


@pytest.mark.parametrize(
    ("written", "said", "note"),
    [
        ("안녕하세요 😀👍", "안녕하세요", "characters without a sound are left out"),
        ("ㅋㅋ 네 ㅠㅠ", "네", "single letters of Hangul are left out"),
        ("漢字와 日本語", "와", "characters without a sound are left out"),
        ("Zebra 주세요", "제트이비알에이 주세요", "foreign words are spelled out: write them as they sound"),
        ("\x00\x1b[31m네\u202e\ud800", "삼십일 미터네", "characters without a sound are left out"),
    ],
)
def test_what_has_no_sound_is_left_out_and_noted(written, said, note):
    result = reading.read(written, "ko")
    assert result.text == said
    assert note in [each.kind for each in result.notes]


def test_decomposed_hangul_is_read_like_composed():
    assert reading.read(unicodedata.normalize("NFD", "배송 조회"), "ko").text == "배송 조회"


@pytest.mark.parametrize("written", ["", "   ", "...", "!?", "😀", "ㅋㅋㅋ", "\n\n", "_"])
def test_text_without_a_word_has_no_sentences(written):
    assert reading.sentences(reading.read(written, "ko").text) == []


def test_a_very_long_text_is_cut_and_noted():
    result = reading.read("가나다 " * 100_000, "ko")
    assert len(result.text) <= reading.LONGEST
    assert result.notes[0].kind.startswith("too long")
    assert all(len(sentence) <= 160 for sentence in reading.sentences(result.text))


@pytest.mark.parametrize(
    "unit", ["1", "1,", "1-", "1:", "~1", "1234-", "9시 ", "1월 ", "a", "a-", "a1", "@a", "1 ", ".?", "$1", "é"]
)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_no_text_makes_reading_slow(unit, language):
    hostile = (unit * reading.LONGEST)[: reading.LONGEST]
    reading.sentences(reading.read(hostile, language).text)  # a pattern that searches back and forth takes hours here


def test_sentences_are_cut_after_their_marks_only():
    assert reading.sentences("네. 삼 점 오 퍼센트, 맞습니다! 더요?") == ["네.", "삼 점 오 퍼센트, 맞습니다!", "더요?"]


@given(st.text(max_size=60), st.sampled_from(["ko", "en"]))
def test_whatever_comes_in_only_speech_comes_out_and_reading_it_again_changes_nothing(written, language):
    said = reading.read(written, language).text
    assert not any(unicodedata.category(character) in {"Cc", "Cs", "So", "Nd"} for character in said)
    assert reading.read(said, language).text == said


@pytest.mark.parametrize(
    ("value", "korean", "english"),
    [
        ("0", "영", "zero"),
        ("10", "십", "ten"),
        ("10000", "만", "ten thousand"),
        ("110000", "십일만", "one hundred ten thousand"),
        ("100000000", "일억", "one hundred million"),
        ("10,203,040", "천이십만삼천사십", "ten million two hundred three thousand forty"),
        ("-3.14", "마이너스 삼 점 일사", "minus three point one four"),
        (7, "칠", "seven"),
        (2.50, "이 점 오", "two point five"),
        (Decimal("1E+3"), "천", "one thousand"),
        ("12345678901234567", "일이삼, 사오육, 칠팔구, 공일이, 삼사오, 육칠", None),
    ],
)
def test_numbers(value, korean, english):
    assert reading.read_number(value, "ko") == korean
    if english:
        assert reading.read_number(value, "en") == english


@pytest.mark.parametrize("value", ["", "열", "NaN", "inf", "1e999999", "1/2", "0x10"])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="number"):
        reading.read_number(value, "ko")


@pytest.mark.parametrize(
    ("value", "korean", "english"),
    [
        ("1234", "일이삼사", "one two three four"),
        ("12345", "일이삼, 사오", "one two three four five"),
        ("0100", "공일공공", "zero one zero zero"),
        ("1234567", "일이삼사, 오육칠", "one two three four five six seven"),
        ("12345678", "일이삼사, 오육칠팔", "one two three four five six seven eight"),
        ("AB-12", "에이비, 일이", "A B, one two"),
        ("", "", ""),
        ("12; rm -rf", "일이, 알엠, 알에프", "one two, R M, R F"),
    ],
)
def test_digits_one_by_one(value, korean, english):
    assert reading.read_digits(value, "ko") == korean
    assert reading.read_digits(value, "en") == english


def test_amounts_dates_and_times_by_format():
    assert reading.read_amount("12,500", "ko") == "만이천오백 원"
    assert reading.read_amount(1, "en", "USD") == "one dollar"
    assert reading.read_amount("-12.05", "ko", "USD") == "마이너스 십이 달러 오 센트"
    assert reading.read_date("2026-03-25", "ko") == "이천이십육년 삼월 이십오일"
    assert reading.read_date("--06-10", "ko") == "유월 십일"
    assert reading.read_date(date(2005, 10, 3), "en") == "October third, two thousand five"
    assert reading.read_date("1999-12-31T23:59:59Z", "en") == "December thirty first, nineteen ninety nine"
    assert reading.read_time("18:30", "ko") == "오후 여섯 시 삼십 분"
    assert reading.read_time("2026-03-25T09:00:00+09:00", "ko") == "오전 아홉 시"
    assert reading.read_time(time(0, 5), "en") == "twelve oh five a m"


@pytest.mark.parametrize("value", ["", "tomorrow", "2026-02-30", "2026-13-01", "25.03.2026"])
def test_what_is_no_date_is_refused(value):
    with pytest.raises(ValueError):  # noqa: PT011 - calendar errors have their own words
        reading.read_date(value, "ko")


@pytest.mark.parametrize("value", ["", "noon", "25:00", "12:60", "1230"])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValueError):  # noqa: PT011
        reading.read_time(value, "ko")
