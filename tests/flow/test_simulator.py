"""What is typed is understood as on the telephone it would be heard."""

import pytest

from voiceedge.flow.call import Keyed, KeyRule, NoInput, Question
from voiceedge.flow.typed import interpret
from voiceedge.speech.heard import Decision, DigitString, Expectation, Phrase

PHRASES = (Phrase("배송 조회", "delivery"), Phrase("상담원 연결", "agent"), Phrase("영업 시간", "hours"))
MENU = Question("menu", (), KeyRule(frozenset("12*")), Expectation("ko", PHRASES))
NUMBER = Question("number", (), KeyRule(frozenset("*"), 4, 6, "#"), Expectation("ko", PHRASES, DigitString(4, 6)))


@pytest.mark.parametrize(("line", "decision", "value"), [
    ("배송 조회", Decision.ACCEPT, "delivery"),
    ("배송조회", Decision.ACCEPT, "delivery"),
    ("상다원 연결", Decision.ACCEPT, "agent"),
    ("배동 조해", Decision.CONFIRM, "delivery"),
    ("오늘 날씨 어때요", Decision.REJECT, None),
    ("/help", Decision.REJECT, None),
])  # fmt: skip
def test_words_are_heard_by_how_they_sound(line, decision, value):
    heard = interpret(line, MENU)
    assert (heard.decision, heard.value, heard.transcript) == (decision, value, line)


@pytest.mark.parametrize(("line", "keys"), [("1", "1"), ("[2]", "2"), ("12", "1"), ("*", "*"), ("9", "9")])
def test_digits_are_keys_and_a_menu_takes_the_first(line, keys):
    assert interpret(line, MENU) == Keyed(keys)


@pytest.mark.parametrize(("line", "keys"), [
    ("1234#", "1234"), ("123456", "123456"), ("12345678", "123456"), ("12#99", "12"), ("*1", "*"), ("#", ""),
])  # fmt: skip
def test_a_number_ends_at_its_end_key_or_its_greatest_length(line, keys):
    assert interpret(line, NUMBER) == Keyed(keys)


@pytest.mark.parametrize(
    ("line", "value"), [("일 이 삼 사", "1234"), ("공일육륙", "0166"), ("1 2 3 4", "1234"), ("일, 2 삼 4", "1234")]
)
def test_numbers_can_be_spoken(line, value):
    assert interpret(line, NUMBER).value == value


def test_english_numbers_too():
    question = Question("number", (), KeyRule(longest=4), Expectation("en", (), DigitString(4, 4)))
    assert interpret("one two oh nine", question).value == "1209"
    assert interpret("one two maybe", question).decision is Decision.REJECT


def test_an_empty_line_is_silence():
    assert interpret("  \n", MENU) == NoInput()
