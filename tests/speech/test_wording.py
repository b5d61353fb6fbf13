import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceedge.speech.wording import gap, unlooped


@pytest.mark.parametrize(
    "said",
    ["배송 조회", "배송조회요", "저 배송 조회 좀 해 주세요.", "저기요 배송 조회 하려고요", "음 배송 조회 부탁드립니다"],
)
def test_politeness_around_a_phrase_costs_nothing(said):
    assert gap(said, "배송 조회", "ko") == 0


def test_english_politeness_costs_nothing_either():
    assert gap("uh, I'd like to track my order, please".lower(), "track my order", "en") == 0


def test_what_else_is_said_costs_the_more_the_more_it_is():
    some = gap("배송 조회 말고", "배송 조회", "ko")
    much = gap("배송 조회 말고 어제 산 옷 바꿔", "배송 조회", "ko")
    assert 0 < some < much < 0.9


def test_a_short_word_inside_a_longer_one_is_hardly_a_match():
    assert gap("동네", "네", "ko") > 0.5
    assert gap("네", "네", "ko") == 0


def test_two_ways_of_saying_the_same_may_be_said_together():
    assert gap("네, 맞아요", "네", "ko") > 0
    assert gap("네, 맞아요", "네", "ko", ("네", "맞아요")) == 0


def test_a_transcript_caught_in_a_loop_is_said_once():
    assert unlooped("상담원 상담원 상담원 상담원 상담") == "상담원"
    assert unlooped("네, 네, 네, 네, 네") == "네"
    assert unlooped("네, 네") == "네, 네"
    assert unlooped("영업 시간이요") == "영업 시간이요"


@given(st.text("배송조회네요 ,.", max_size=30), st.text("배송조회", min_size=1, max_size=5))
def test_no_transcript_makes_it_stumble(heard, phrase):
    assert 0 <= gap(heard, phrase, "ko") <= 1.5
    assert gap(phrase, phrase, "ko") == 0
    assert unlooped(heard) == heard or len(unlooped(heard)) < len(heard)
