from hypothesis import given
from hypothesis import strategies as st

from voiceedge.speech import jamo

hangul = st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), max_size=12)


def reference_distance(left: str, right: str) -> int:
    """Levenshtein as in the textbook, to hold the fast one against."""
    if not left or not right:
        return len(left) + len(right)
    return min(
        reference_distance(left[1:], right[1:]) + (left[0] != right[0]),
        reference_distance(left[1:], right) + 1,
        reference_distance(left, right[1:]) + 1,
    )


def test_syllables_fall_into_their_letters_and_what_is_silent_is_left_out():
    assert jamo.letters("배송 조회!") == "ㅂㅔㅅㅗㅇㅈㅗㅎㅚ"
    assert jamo.letters("영업") == "ㅕㅇㅓㅂ"
    assert jamo.letters("AS 접수") == "asㅈㅓㅂㅅㅜ"


def test_vowels_that_sound_alike_are_one():
    assert jamo.distance("네", "내") == 0
    assert jamo.distance("왜", "웨") == 0


def test_decomposed_unicode_is_the_same_text():
    assert jamo.distance("배송", "배송") == 0


def test_distance_is_a_part_of_the_phrase():
    assert jamo.distance("반풍", "반품") == 1 / 6
    assert jamo.distance("", "반품") == 1


def test_a_phrase_is_found_inside_a_sentence_and_the_rest_is_counted():
    inside, covered = jamo.distance_inside("저 배송 조회 하려고요", "배송 조회")
    assert inside == 0
    assert 0.4 < covered < 0.6
    assert jamo.distance_inside("배송 조회", "배송 조회") == (0, 1)


def test_nothing_heard_holds_no_phrase():
    assert jamo.distance_inside("", "배송 조회") == (1, 0)


@given(st.text("ㄱㄴㅏ", max_size=6), st.text("ㄱㄴㅏ", min_size=1, max_size=6))
def test_distance_agrees_with_the_textbook(heard, phrase):
    assert jamo.distance(heard, phrase) * len(phrase) == reference_distance(heard, phrase)


@given(hangul, hangul, hangul.filter(bool))
def test_a_phrase_put_into_any_sentence_is_always_found(before, after, phrase):
    inside, covered = jamo.distance_inside(before + phrase + after, phrase)
    assert inside == 0
    assert 0 < covered <= 1


@given(hangul, hangul.filter(bool))
def test_the_best_part_is_never_further_than_the_whole(heard, phrase):
    assert jamo.distance_inside(heard, phrase)[0] <= jamo.distance(heard, phrase)
