"""One decision from both recognisers' evidence, at a fixed operating point that scripts/bench-speech measures."""

import math
from dataclasses import replace

from voiceedge.speech.evidence import StreamingEvidence, WhisperEvidence
from voiceedge.speech.heard import Decision, Evidence, Expectation, Heard, Phrase
from voiceedge.speech.numbers import digit_strings
from voiceedge.speech.vocabulary import bare, spoken
from voiceedge.speech.wording import companions, gap, unlooped

# The operating point. A phrase's score is linear in three measurements and roughly its log odds of being right. The
# weights lie between those that scripts/bench-speech --fit finds for different suites; docs/results has what they give.
_BIAS, _PER_NAT, _PER_FREE_GAP, _PER_PRIMED_GAP = 3.3, 1.0, -1.5, -2.7
_AGREEMENT = 0.5  # added where the streaming recogniser heard exactly this
_ACCEPT, _CONFIRM = 1.0, -0.25
_CLEAR_LEAD = 0.5  # by which an accepted phrase beats those of every other value


def decide(
    expectation: Expectation, streaming: StreamingEvidence | None, whisper: WhisperEvidence | None, speech_ms: int
) -> Heard:
    """What the caller meant. Without Whisper the best to be had is a question back; without both, nothing."""
    evidence = Evidence(
        streaming_text=streaming.text if streaming else None,
        transcript_text=whisper.transcript if whisper else None,
        notes=(
            *(() if streaming else ("vosk unavailable",)),
            *(whisper.notes if whisper else ("whisper unavailable",)),
        ),
    )
    transcript = unlooped(whisper.transcript) if whisper else streaming.text if streaming else ""
    nothing = Heard(Decision.REJECT, None, None, transcript, 0.0, speech_ms, evidence)
    if whisper:
        options = [_phrase(expectation, streaming, whisper, nothing), _digits(expectation, streaming, whisper, nothing)]
    else:
        options = [_streamed(expectation, streaming, nothing)]
    return max(options, key=lambda heard: heard.confidence)


def measurements(expectation: Expectation, whisper: WhisperEvidence) -> list[tuple[Phrase, tuple[float, float, float]]]:
    """What a phrase's score is made of: log probability, gap to the free transcript, gap to the primed one."""
    known: dict[str, list[Phrase]] = {}
    for phrase in expectation.phrases:
        known.setdefault(phrase.text, []).append(phrase)
    free, primed = unlooped(whisper.transcript), unlooped(whisper.primed)
    if primed != whisper.primed and free == whisper.transcript:
        primed = free  # only the primed one loops: it is reciting the menu, not listening
    measured = []
    for score in whisper.scores if free else ():
        for phrase in known.get(score.phrase, ()):
            beside = companions(phrase, expectation)
            gaps = [gap(text, phrase.text, expectation.language, beside) for text in (free, primed)]
            measured.append((phrase, (score.log_probability, gaps[0], gaps[1])))
    return measured


def _phrase(
    expectation: Expectation, streaming: StreamingEvidence | None, whisper: WhisperEvidence, nothing: Heard
) -> Heard:
    streamed = _exact(expectation, streaming)
    ranked = sorted(
        (
            (
                _BIAS
                + _PER_NAT * log_probability
                + _PER_FREE_GAP * free_gap
                + _PER_PRIMED_GAP * primed_gap
                + (_AGREEMENT if phrase == streamed else 0.0),
                phrase,
                log_probability,
                free_gap,
            )
            for phrase, (log_probability, free_gap, primed_gap) in measurements(expectation, whisper)
        ),
        key=lambda option: -option[0],
    )
    if not ranked:
        return nothing
    best, phrase, log_probability, free_gap = ranked[0]
    lead = best - next((score for score, other, *_ in ranked if other.value != phrase.value), -math.inf)
    heard = replace(
        nothing,
        confidence=min(_probability(best), _probability(lead)),
        evidence=replace(
            nothing.evidence,
            phrase_log_probability=log_probability,
            margin=log_probability - whisper.log_probability,
            runner_up=None if math.isinf(lead) else lead,
            jamo_distance=free_gap,
        ),
    )
    if best < _CONFIRM:
        return heard
    sure = best >= _ACCEPT and lead >= _CLEAR_LEAD and not _contradicted(nothing.transcript, phrase, expectation)
    decision = Decision.ACCEPT if sure else Decision.CONFIRM
    return replace(heard, decision=decision, value=phrase.value, phrase=phrase.text)


def _contradicted(transcript: str, phrase: Phrase, expectation: Expectation) -> bool:
    """Whether another answer was said word for word beside this one: 네, 아니요."""
    said, chosen = f" {spoken(transcript)} ", spoken(phrase.text)
    others = (spoken(other.text) for other in expectation.phrases if other.value != phrase.value)
    return any(f" {other} " in said for other in others if other not in chosen)


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _digits(
    expectation: Expectation, streaming: StreamingEvidence | None, whisper: WhisperEvidence, nothing: Heard
) -> Heard:
    """Digits are accepted only when two hearings agree: a wrong order number is worse than a question back."""
    wanted = expectation.digits
    if wanted is None:
        return nothing
    hearings = [unlooped(whisper.transcript), unlooped(whisper.primed)]
    readings = [digit_strings(text, expectation.language, wanted) for text in hearings]
    if streaming:
        readings.append(digit_strings(streaming.text, expectation.language, wanted))
    by_whisper = [digits for reading in readings[:2] for digits in reading]
    if not by_whisper:
        return nothing
    counted = {digits: sum(digits in reading for reading in readings) for digits in by_whisper}
    value = max(counted, key=lambda digits: counted[digits])
    sure = counted[value] > 1 and list(counted.values()).count(counted[value]) == 1
    return replace(
        nothing,
        decision=Decision.ACCEPT if sure else Decision.CONFIRM,
        value=value,
        confidence=0.3 * counted[value] if sure else 0.3,
    )


def _streamed(expectation: Expectation, streaming: StreamingEvidence | None, nothing: Heard) -> Heard:
    """Vosk alone: it cannot reject and is confident when wrong, so the caller is always asked back."""
    phrase = _exact(expectation, streaming)
    if streaming is None or streaming.confidence < 1.0:
        return nothing
    if phrase:
        return replace(nothing, decision=Decision.CONFIRM, value=phrase.value, phrase=phrase.text, confidence=0.3)
    digits = digit_strings(streaming.text, expectation.language, expectation.digits) if expectation.digits else ()
    if digits:
        return replace(nothing, decision=Decision.CONFIRM, value=digits[0], confidence=0.3)
    return nothing


def _exact(expectation: Expectation, streaming: StreamingEvidence | None) -> Phrase | None:
    """The phrase that Vosk heard as a whole: its grammar also lets halves and repetitions through."""
    text = bare(streaming.text) if streaming else ""
    return next((phrase for phrase in expectation.phrases if text and bare(phrase.text) == text), None)
