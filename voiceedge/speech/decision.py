"""One decision from both recognisers' evidence, at a fixed operating point that scripts/bench-speech measures."""

import math
import re
from dataclasses import replace

from voiceedge.speech import jamo
from voiceedge.speech.evidence import StreamingEvidence, WhisperEvidence
from voiceedge.speech.heard import Decision, Evidence, Expectation, Heard, Phrase
from voiceedge.speech.numbers import digit_strings
from voiceedge.speech.vocabulary import bare

# The operating point. A phrase's fit is its margin (nats a token) less its weighted jamo distance: 0 is perfect.
_DISTANCE_WEIGHT = 3.0
_EXTRA_WEIGHT = 0.8  # distance of a transcript that holds the phrase but is almost all something else
_AGREEMENT = 1.0  # added where the streaming recogniser heard the very same phrase
_ACCEPT_FIT, _CONFIRM_FIT = -3.0, -4.2
_CLEAR_LEAD = 0.5  # by which an accepted phrase beats those of every other value
_SURE_DIGITS = -0.8  # nats a token of a transcript whose digits are believed
_LOOP = re.compile(r"^(.{2,}?)(?:[\s,.]*\1){2,}.*$")  # Whisper caught in a loop says it three times or more


def decide(
    expectation: Expectation, streaming: StreamingEvidence | None, whisper: WhisperEvidence | None, speech_ms: int
) -> Heard:
    """What the caller meant. Without Whisper the best to be had is a question back; without both, nothing."""
    transcript = _LOOP.sub(r"\1", whisper.transcript) if whisper else streaming.text if streaming else ""
    evidence = Evidence(
        streaming_text=streaming.text if streaming else None,
        transcript_text=whisper.transcript if whisper else None,
        notes=whisper.notes if whisper else ("whisper unavailable",),
    )
    nothing = Heard(Decision.REJECT, None, None, transcript, 0.0, speech_ms, evidence)
    options = [
        _digits(expectation, streaming, whisper, nothing),
        _phrase(expectation, streaming, whisper, nothing) if whisper else _streamed(expectation, streaming, nothing),
    ]
    return max(options, key=lambda heard: heard.confidence)


def _phrase(
    expectation: Expectation, streaming: StreamingEvidence | None, whisper: WhisperEvidence, nothing: Heard
) -> Heard:
    if not nothing.transcript or not whisper.scores:
        return nothing
    scores = {score.phrase: score.log_probability for score in whisper.scores}
    streamed = _exact(expectation, streaming)
    fits = sorted(
        (
            (_fit(scores[p.text], p, nothing.transcript, whisper, streamed), p)
            for p in expectation.phrases
            if p.text in scores
        ),
        key=lambda fit: -fit[0],
    )
    best, phrase = fits[0]
    lead = best - next((fit for fit, other in fits if other.value != phrase.value), -math.inf)
    heard = replace(
        nothing,
        transcript=nothing.transcript,
        confidence=_confidence(best, lead),
        evidence=replace(
            nothing.evidence,
            phrase_log_probability=scores[phrase.text],
            margin=scores[phrase.text] - whisper.transcript_log_probability,
            runner_up=None if math.isinf(lead) else lead,
            jamo_distance=_distance(nothing.transcript, phrase.text),
        ),
    )
    if best < _CONFIRM_FIT:
        return heard
    sure = best >= _ACCEPT_FIT and lead >= _CLEAR_LEAD
    return replace(
        heard, decision=Decision.ACCEPT if sure else Decision.CONFIRM, value=phrase.value, phrase=phrase.text
    )


def _fit(score: float, phrase: Phrase, transcript: str, whisper: WhisperEvidence, streamed: Phrase | None) -> float:
    # A phrase that explains the audio better than the free transcript is no better than a perfect one.
    margin = min(0.0, score - whisper.transcript_log_probability)
    agreement = _AGREEMENT if streamed and streamed.value == phrase.value else 0.0
    return min(0.0, margin - _DISTANCE_WEIGHT * _distance(transcript, phrase.text) + agreement)


def _distance(transcript: str, phrase: str) -> float:
    inside, covered = jamo.distance_inside(transcript, phrase)
    return min(jamo.distance(transcript, phrase), inside + _EXTRA_WEIGHT * (1 - covered))


def _confidence(fit: float, lead: float) -> float:
    """A half at the edge of acceptance, and never more than the lead allows."""
    return 1 / (1 + math.exp(_ACCEPT_FIT - fit)) * min(1.0, 0.5 + lead / 2)


def _digits(
    expectation: Expectation, streaming: StreamingEvidence | None, whisper: WhisperEvidence | None, nothing: Heard
) -> Heard:
    wanted = expectation.digits
    if wanted is None:
        return nothing
    decided = digit_strings(nothing.transcript, expectation.language, wanted) if whisper else ()
    streamed = digit_strings(streaming.text, "ko", wanted) if streaming else ()
    agreed = [digits for digits in decided if digits in streamed]
    if not decided and not streamed:
        return nothing
    value = (agreed or decided or streamed)[0]
    sure = bool(agreed) or (
        whisper is not None and len(decided) == 1 and whisper.transcript_log_probability >= _SURE_DIGITS
    )
    return replace(
        nothing,
        decision=Decision.ACCEPT if sure else Decision.CONFIRM,
        value=value,
        confidence=0.95 if agreed else 0.7 if sure else 0.4 if decided else 0.3,
    )


def _streamed(expectation: Expectation, streaming: StreamingEvidence | None, nothing: Heard) -> Heard:
    """Vosk alone: it cannot reject and is confident when wrong, so the caller is always asked back."""
    phrase = _exact(expectation, streaming)
    if phrase is None or streaming is None or streaming.confidence < 1.0:
        return nothing
    return replace(nothing, decision=Decision.CONFIRM, value=phrase.value, phrase=phrase.text, confidence=0.3)


def _exact(expectation: Expectation, streaming: StreamingEvidence | None) -> Phrase | None:
    """The phrase that Vosk heard as a whole: its grammar also lets halves and repetitions through."""
    text = bare(streaming.text) if streaming else ""
    return next((phrase for phrase in expectation.phrases if text and bare(phrase.text) == text), None)
