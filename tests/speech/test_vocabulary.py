from hypothesis import given
from hypothesis import strategies as st

from voiceedge.speech.heard import Expectation, Phrase
from voiceedge.speech.vocabulary import bare, cut, unspeakable

WORDS = frozenset(["배송", "조회", "배송조회", "음식", "이", "이십", "오일", "이십오", "일", "상담원", "요"])


def knows(word):
    return word in WORDS


def test_a_phrase_is_cut_into_as_few_known_words_as_possible():
    assert cut("배송 조회", knows) == ("배송", "조회")
    assert cut("배송조회", knows) == ("배송조회",)
    assert cut("음식이", knows) == ("음식", "이")


def test_of_equally_many_words_longer_ones_are_preferred_to_lone_syllables():
    assert cut("이십오일", knows) == ("이십", "오일")


def test_signs_are_not_spoken():
    assert cut("배송·조회!", knows) == ("배송", "조회")


def test_a_phrase_with_an_unknown_part_cannot_be_cut():
    assert cut("배송 추적", knows) is None
    assert cut("AS 접수", knows) is None
    assert cut("", knows) is None
    assert cut("?!", knows) is None


def test_unspeakable_phrases_are_reported_as_they_were_written():
    phrases = (Phrase("배송 조회", "a"), Phrase("AS 접수", "b"))
    assert unspeakable(Expectation("ko", phrases), knows) == ["AS 접수"]


@given(st.text("배송조회이십오일요 ", max_size=12))
def test_the_pieces_are_known_and_make_up_the_phrase_again(phrase):
    pieces = cut(phrase, knows)
    if pieces is not None:
        assert all(map(knows, pieces))
        assert "".join(pieces) == bare(phrase)
