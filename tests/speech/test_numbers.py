import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceedge.speech.heard import DigitString
from voiceedge.speech.numbers import digit_strings

ANY = DigitString(1, 20)
SYLLABLES = {
    "0": "영공",
    "1": "일",
    "2": "이",
    "3": "삼",
    "4": "사",
    "5": "오",
    "6": "육",
    "7": "칠",
    "8": "팔",
    "9": "구",
}


def first(text, language="ko", wanted=ANY):
    readings = digit_strings(text, language, wanted)
    return readings[0] if readings else None


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("공일공 일이삼사", "0101234"),
        ("공일공 다시 일이삼사 다시 오육칠팔", "01012345678"),
        ("공일공에 일이삼사에 오육칠팔", "01012345678"),
        ("하나 둘 셋 넷", "1234"),
        ("12345", "12345"),
        ("12,345.", "12345"),
        ("010-1234-5678", "01012345678"),
        ("일이삼사오 입니다.", "12345"),
        ("1234번이요", "1234"),
        ("주문 번호는 1 2 3 4예요", "1234"),
        ("어 그 삼공육 이요", "306"),
        ("만이천삼백사십오", "12345"),
        ("만 이천 삼백 사십오", "12345"),
        ("1만 2345", "12345"),
        ("천이백삼십사 오천육백칠십팔", "12345678"),
        ("백만", "1000000"),
    ],
)
def test_korean_digits_are_read_as_callers_say_them(said, meant):
    assert first(said) == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("one two three double four", "12344"),
        ("oh one oh, twelve thirty-four", "0101234"),
        ("my order number is 1 2 3 4", "1234"),
        ("it's five five five triple nine", "555999"),
        ("seventy 5", "75"),
        ("seventy fifteen", "7015"),
    ],
)
def test_english_digits_are_read_as_callers_say_them(said, meant):
    assert first(said, "en") == meant


@pytest.mark.parametrize("said", ["", "안녕하세요", "배송 조회 일", "백천", "일 번 상담원", "번호", "요"])
def test_what_is_not_wholly_a_number_is_none(said):
    assert digit_strings(said, "ko", ANY) == ()


def test_only_wanted_lengths_count():
    assert digit_strings("일이삼사오", "ko", DigitString(4, 4)) == ()
    assert digit_strings("일이삼사오", "ko", DigitString(4, 5)) == ("12345",)


def test_a_final_two_that_may_be_politeness_is_settled_by_the_length_and_else_left_open():
    assert digit_strings("일이삼사이요", "ko", DigitString(4, 4)) == ("1234",)
    assert digit_strings("일이삼사이요", "ko", DigitString(5, 5)) == ("12342",)
    assert set(digit_strings("일이삼사이요", "ko", DigitString(4, 5))) == {"1234", "12342"}


@given(st.lists(st.tuples(st.sampled_from("0123456789"), st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_every_digit_string_read_aloud_comes_back(digits):
    said = "".join(SYLLABLES[digit][zero and digit == "0"] + " " * space for digit, zero, space in digits)
    wanted = "".join(digit for digit, _, _ in digits)
    assert wanted in digit_strings(said, "ko", ANY)


def quantity(number: int) -> str:
    """A number up to 99,999,999 in Korean words: an independent way there, for the way back."""

    def section(value: int) -> str:
        words = ""
        for power, name in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
            digit, value = divmod(value, power)
            if digit:
                words += ("" if digit == 1 and name else SYLLABLES[str(digit)][0]) + name
        return words

    high, low = divmod(number, 10_000)
    return (("" if high == 1 else section(high)) + "만" if high else "") + section(low)


@given(st.integers(10, 99_999_999))
def test_every_quantity_read_aloud_comes_back(number):
    assert str(number) in digit_strings(quantity(number), "ko", ANY)


@given(st.text(max_size=40), st.sampled_from(["ko", "en"]))
def test_no_text_makes_it_stumble_and_only_digits_come_out(text, language):
    for digits in digit_strings(text, language, DigitString(2, 6)):
        assert digits.isdecimal()
        assert digits.isascii()
        assert 2 <= len(digits) <= 6
