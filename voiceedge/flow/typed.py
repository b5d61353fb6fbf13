"""What somebody types, as an answer to a flow's question: keys, digits or words."""

import re
from collections.abc import Mapping
from dataclasses import replace

from voiceedge.flow.call import Button, Keyed, KeyRule, NoInput, Question, Reply
from voiceedge.speech import jamo
from voiceedge.speech.heard import Decision, Evidence, Expectation, Heard
from voiceedge.speech.numbers import digit_strings

SURE, LIKELY = 0.2, 0.5  # jamo distance up to which a phrase is taken, or taken after a confirmation
LONGEST_ANSWER = 200  # characters; a longer text is no phrase, and its distance from each would take long
_MS_A_CHARACTER = 150
_BETWEEN_DIGITS = re.compile(r"[\s.\-–—]+")
_ENGLISH_DIGITS = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SPOKEN_DIGITS = {
    "ko": dict(zip("영공일이삼사오육륙칠팔구", "001234566789", strict=True)),
    "en": dict(zip(_ENGLISH_DIGITS, "00123456789", strict=True)),
}


def chosen(button: Button) -> Heard:
    """The answer that a button stands for."""
    return Heard(Decision.ACCEPT, button.name, button.label, button.label, 1.0, 0, typed=True)


def written(line: str, question: Question) -> Reply:
    """An answer in a chat: a number is written in figures there, and a button's words are its answer."""
    text = line.strip()
    for button in question.buttons:
        if _plain(button.label) == _plain(text):
            return replace(chosen(button), transcript=text)
    bare = _BETWEEN_DIGITS.sub("", text)
    if re.fullmatch(r"[0-9*#]+", bare):
        return Keyed(bare.removesuffix(question.keys.end) or bare, typed=True)  # as a whole: nobody cuts it short
    if number := _figures(text, question.expectation):
        return Keyed(number, typed=True)
    reply = interpret(text, question)
    return reply if isinstance(reply, NoInput) else replace(reply, typed=True)


def _figures(text: str, expectation: Expectation) -> str | None:
    """A number of the length asked for, with words about it: 주문 번호는 12345입니다."""
    rule = expectation.digits
    if rule is None:
        return None
    figures = "".join(character for character in text if character.isascii() and character.isdigit())
    return figures if figures in digit_strings(text, expectation.language, rule) else None


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()


def interpret(line: str, question: Question) -> Reply:
    """What a live call would have made of it: digits and [1] are keys, nothing is silence, the rest is speech."""
    text = line.strip()
    if not text:
        return NoInput()
    keys = re.fullmatch(r"\[([0-9*#]+)\]|([0-9*#]+)", text)
    if keys:
        return Keyed(_until_end(keys[1] or keys[2], question.keys))
    return understand(text, question.expectation)


def understand(text: str, expectation: Expectation) -> Heard:
    """Typed words as recognised speech, by their distance from the phrases expected."""
    speech_ms = len(text) * _MS_A_CHARACTER
    digits = _spoken_digits(text, expectation.language) if expectation.digits else None
    rule = expectation.digits
    if digits and rule and rule.shortest <= len(digits) <= rule.longest:
        return Heard(Decision.ACCEPT, digits, None, text, 1.0, speech_ms)
    phrases = expectation.phrases if len(text) <= LONGEST_ANSWER else ()
    ranked = sorted((_distance(text, phrase.text), phrase.text, phrase.value) for phrase in phrases)
    if not ranked:
        return Heard(Decision.REJECT, None, None, text, 0.0, speech_ms)
    distance, phrase, value = ranked[0]
    confidence = max(0.0, 1.0 - distance)
    evidence = Evidence(transcript_text=text, jamo_distance=round(distance, 3))
    if distance <= SURE:
        decision = Decision.ACCEPT
    elif distance <= LIKELY:
        decision = Decision.CONFIRM
    else:
        return Heard(Decision.REJECT, None, None, text, confidence, speech_ms, evidence)
    return Heard(decision, value, phrase, text, confidence, speech_ms, evidence)


def _distance(text: str, phrase: str) -> float:
    """The whole text's, or that of the part most like the phrase where it makes up most of what was said."""
    inside, share = jamo.distance_inside(text, phrase)
    return min(jamo.distance(text, phrase), inside + (1.0 - share))


def _spoken_digits(text: str, language: str) -> str | None:
    names: Mapping[str, str] = _SPOKEN_DIGITS.get(language, {})
    words = text.lower().split() if language == "en" else [letter for letter in text if not letter.isspace()]
    out = []
    for word in words:
        cleaned = word.strip(" ,.-")
        if not cleaned:
            continue
        digit = cleaned if cleaned.isascii() and cleaned.isdigit() else names.get(cleaned)
        if digit is None:
            return None
        out.append(digit)
    return "".join(out) or None


def _until_end(keys: str, rule: KeyRule) -> str:
    """A single key answers at once; a number ends at its end key or its greatest length."""
    if keys[0] in rule.single:
        return keys[0]
    if rule.longest:
        return keys.split(rule.end, 1)[0][: rule.longest]
    return keys[0]
