import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceedge.speech.decision import decide
from voiceedge.speech.evidence import PhraseScore, StreamingEvidence, WhisperEvidence
from voiceedge.speech.heard import Decision, DigitString, Expectation, Phrase

MENU = Expectation(
    "ko",
    (
        Phrase("배송 조회", "delivery"),
        Phrase("교환 반품", "return"),
        Phrase("교환", "exchange"),
        Phrase("상담원", "agent"),
    ),
)
YES_NO = Expectation("ko", (Phrase("네", "yes"), Phrase("예", "yes"), Phrase("맞아요", "yes"), Phrase("아니요", "no")))
NUMBER = Expectation("ko", digits=DigitString(4, 8))


def whisper(transcript, primed=None, worst=-6.0, **scores):
    ranked = tuple(PhraseScore(phrase.replace("_", " "), score) for phrase, score in scores.items())
    rest = (p.text for p in (*MENU.phrases, *YES_NO.phrases))
    named = {score.phrase for score in ranked}
    everything = (*ranked, *(PhraseScore(text, worst) for text in rest if text not in named))
    return WhisperEvidence(transcript, primed if primed is not None else transcript, -0.5, 0.1, everything)


def test_a_phrase_that_both_transcripts_and_the_score_agree_on_is_accepted():
    heard = decide(MENU, None, whisper("배송 조회요", 배송_조회=-0.3), 900)
    assert (heard.decision, heard.value, heard.phrase) == (Decision.ACCEPT, "delivery", "배송 조회")
    assert heard.confidence > 0.8
    assert heard.speech_ms == 900
    assert heard.evidence.jamo_distance == 0


def test_a_misheard_phrase_that_its_score_supports_is_still_understood():
    heard = decide(MENU, None, whisper("배송 쪼외", "배송 조회", 배송_조회=-0.8), 900)
    assert heard.value == "delivery"
    assert heard.decision is not Decision.REJECT


def test_something_else_is_rejected_and_says_what_was_heard():
    heard = decide(MENU, None, whisper("피자 한 판 주세요", 상담원=-5.0), 900)
    assert (heard.decision, heard.value) == (Decision.REJECT, None)
    assert heard.transcript == "피자 한 판 주세요"
    assert heard.confidence < 0.3


def test_two_answers_of_different_value_are_asked_back():
    heard = decide(YES_NO, None, whisper("네 아니요", 네=-0.5, 아니요=-0.5), 900)
    assert heard.decision is not Decision.ACCEPT


def test_the_longer_phrase_wins_over_one_inside_it():
    heard = decide(MENU, None, whisper("교환 반품이요", 교환_반품=-0.2, 교환=-0.3), 900)
    assert heard.value == "return"


def test_yes_said_in_two_ways_is_accepted():
    heard = decide(YES_NO, None, whisper("네, 맞아요.", 네=-0.2, 맞아요=-1.0), 700)
    assert (heard.decision, heard.value) == (Decision.ACCEPT, "yes")


def test_a_primed_transcript_that_only_recites_the_menu_is_no_evidence():
    recited = whisper("왜 이렇게 안 보여?", "네, 네, 네, 네, 네", 네=-3.0)
    assert decide(YES_NO, None, recited, 900).decision is Decision.REJECT


def test_the_streaming_recogniser_can_help_but_not_outvote():
    doubtful = whisper("교완", "교완 반포", 교환_반품=-2.0)
    alone = decide(MENU, None, doubtful, 900)
    agreed = decide(MENU, StreamingEvidence("교환 반품", 1.0), doubtful, 900)
    assert agreed.confidence > alone.confidence
    other = decide(MENU, StreamingEvidence("상담원", 1.0), whisper("배송 조회", 배송_조회=-0.2), 900)
    assert other.value == "delivery"


def test_the_streaming_recogniser_alone_is_never_believed_without_asking():
    heard = decide(MENU, StreamingEvidence("배송 조회", 1.0), None, 900)
    assert (heard.decision, heard.value) == (Decision.CONFIRM, "delivery")
    assert "whisper unavailable" in heard.evidence.notes


@pytest.mark.parametrize("text", ["", "조회", "배송 조회 배송 조회", "배송 상담원"])
def test_the_streaming_recogniser_alone_must_hear_a_phrase_exactly(text):
    assert decide(MENU, StreamingEvidence(text, 1.0), None, 900).decision is Decision.REJECT


def test_the_streaming_recogniser_alone_must_be_sure():
    assert decide(MENU, StreamingEvidence("배송 조회", 0.8), None, 900).decision is Decision.REJECT


def test_without_any_recogniser_speech_is_never_accepted():
    heard = decide(MENU, None, None, 900)
    assert (heard.decision, heard.value, heard.transcript) == (Decision.REJECT, None, "")


def test_silence_is_rejected():
    heard = decide(MENU, StreamingEvidence("", 0.0), WhisperEvidence(notes=("silence",)), 300)
    assert heard.decision is Decision.REJECT
    assert heard.evidence.notes == ("silence",)


def test_digits_that_two_hearings_agree_on_are_accepted():
    heard = decide(NUMBER, None, whisper("일이삼사오", "12345"), 2000)
    assert (heard.decision, heard.value, heard.phrase) == (Decision.ACCEPT, "12345", None)


def test_digits_heard_once_or_in_two_ways_are_asked_back():
    assert decide(NUMBER, None, whisper("일이삼사오", "몰라요"), 2000).decision is Decision.CONFIRM
    assert decide(NUMBER, None, whisper("일이삼사오", "일이삼사육"), 2000).decision is Decision.CONFIRM
    assert decide(NUMBER, StreamingEvidence("일 이 삼 사", 1.0), None, 2000).decision is Decision.CONFIRM


def test_digits_of_another_length_are_none():
    assert decide(NUMBER, None, whisper("일이삼"), 2000).decision is Decision.REJECT


@given(
    st.text(max_size=20),
    st.text(max_size=20),
    st.dictionaries(st.sampled_from([p.text for p in MENU.phrases]), st.floats(-20, 0), max_size=4),
    st.one_of(st.none(), st.builds(StreamingEvidence, st.text(max_size=10), st.floats(0, 1))),
)
def test_any_evidence_gives_one_decision_with_a_value_exactly_where_it_is_not_a_rejection(
    free, primed, scores, streamed
):
    evidence = WhisperEvidence(free, primed, -1.0, 0.1, tuple(PhraseScore(*score) for score in scores.items()))
    heard = decide(MENU, streamed, evidence, 500)
    assert (heard.value is None) == (heard.decision is Decision.REJECT)
    assert 0 <= heard.confidence <= 1
