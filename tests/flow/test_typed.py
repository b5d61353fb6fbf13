"""What is typed in a chat: figures are a number, a button's words the button, all else is understood."""

import pytest

from voiceedge.flow.call import Button, Keyed, KeyRule, Question
from voiceedge.flow.typed import chosen, understand, written
from voiceedge.speech.heard import Decision, DigitString, Expectation, Heard, Phrase

NUMBER = Question(
    "number", (), KeyRule(frozenset("0"), 5, 12), Expectation("ko", (Phrase("몰라요", "unknown"),), DigitString(5, 12)),
    buttons=(Button("unknown", "주문 번호를 몰라요"),),
)  # fmt: skip
MENU = Question("menu", (), KeyRule(frozenset("12")), Expectation("ko", (Phrase("배송 조회", "delivery"),)))


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("12345", "12345"),
        ("1234-5678", "12345678"),
        ("  12 345 ", "12345"),
        ("주문 번호는 12345입니다", "12345"),
        ("12345번이요", "12345"),
    ],
)
def test_a_number_in_figures_is_sure(text, digits):
    assert written(text, NUMBER) == Keyed(digits, typed=True)


def test_a_number_in_words_is_understood_as_if_it_was_said():
    assert written("일이삼사오", NUMBER) == Heard(Decision.ACCEPT, "12345", None, "일이삼사오", 1.0, 750, typed=True)


@pytest.mark.parametrize(
    ("text", "question"), [("123", "NUMBER"), ("1234567890123", "NUMBER"), ("12", "MENU"), ("*", "NUMBER")]
)
def test_keys_are_taken_as_a_whole(text, question):
    assert written(text, globals()[question]) == Keyed(text, typed=True)


def test_an_end_key_out_of_habit_is_no_part_of_the_number():
    assert written("12345#", NUMBER) == Keyed("12345", typed=True)


def test_two_numbers_are_none():
    assert written("12345 그리고 67890 중에 뭐예요", NUMBER).value is None


def test_a_buttons_words_are_its_answer_however_they_are_spaced():
    assert written("주문번호를  몰라요", NUMBER).value == "unknown"
    assert chosen(NUMBER.buttons[0]).decision is Decision.ACCEPT


def test_keys_and_phrases_work_as_on_the_phone_and_are_told_apart_from_them():
    assert written("1", MENU) == Keyed("1", typed=True)
    assert (written("배송조회", MENU).value, written("배송조회", MENU).typed) == ("delivery", True)
    assert written("날씨가 좋네요", MENU).decision is Decision.REJECT


def test_a_text_too_long_for_an_answer_is_compared_with_nothing(monkeypatch):
    monkeypatch.setattr("voiceedge.flow.typed._distance", lambda *_: pytest.fail("it was compared"))
    expectation = Expectation("ko", (Phrase("배송 조회", "delivery"),))
    assert understand("가" * 2_000, expectation).decision is Decision.REJECT
