"""What works but could serve callers better: long menus, long prompts, phrases that sound alike, careless slots."""

from collections.abc import Callable
from itertools import combinations

from voiceedge.flow.discretion import check_discretion
from voiceedge.flow.fields import Part
from voiceedge.flow.loader import Draft
from voiceedge.flow.model import Header
from voiceedge.flow.source import Location
from voiceedge.flow.steps import Ask, Choice
from voiceedge.flow.template import Template
from voiceedge.speech import jamo
from voiceedge.speech.heard import Expectation, Phrase

MOST_OPTIONS = 5
LONGEST_PROMPT_S = 30.0
ALIKE = 0.25  # jamo distance
_CHARACTERS_A_SECOND = {"ko": 6.5, "en": 15.0}  # unhurried speech; Hangul syllables, Latin letters


Unspeakable = Callable[[Expectation], list[str]]


def check_vocabulary(draft: Draft, unspeakable: Unspeakable) -> None:
    """Warn of phrases that the streaming recogniser has no words for: it would never hear them."""
    header = draft.header
    if header is None:
        return
    places: dict[Location, dict[str, Choice]] = {("anywhere",): header.anywhere}
    places |= {("steps", name, "choices"): step.choices for name, step in draft.steps.items() if isinstance(step, Ask)}
    for place, choices in places.items():
        for name, choice in choices.items():
            phrases = tuple(Phrase(text, name) for text in choice.say)
            for text in unspeakable(Expectation(header.language, phrases)):
                where = (*place, name, "say", choice.say.index(text))
                message = f'"{text}" is not in the vocabulary of the streaming recogniser. Add another way to say it.'
                draft.warn(where if where in draft.source.values else where[:-1], message)


def lint(draft: Draft) -> None:
    """Add warnings to the draft."""
    header = draft.header
    if header is None:
        return
    check_discretion(draft)
    _check_alike(draft, header.anywhere, ("anywhere",))
    for name, step in draft.steps.items():
        place: Location = ("steps", name)
        if isinstance(step, Ask):
            if len(step.choices) > MOST_OPTIONS:
                message = (
                    f"{len(step.choices)} choices are more than callers remember. Group them: {MOST_OPTIONS} at most."
                )
                draft.warn((*place, "choices"), message, key=True)
            _check_alike(draft, header.anywhere | step.choices if step.anywhere else step.choices, (*place, "choices"))
        _check_length(draft, header, place, step)


def _check_length(draft: Draft, header: Header, place: Location, step: Part) -> None:
    for key in ("say", "ask", "no_input", "no_match", "hang_up", "whisper", "prompt"):
        texts: tuple[Template, ...] = getattr(step, key, None) or ()
        lengths = [_seconds(text, header) for text in texts]
        one_at_a_time = key in {"no_input", "no_match"}
        longest = max(lengths, default=0.0) if one_at_a_time else sum(lengths)
        if longest > LONGEST_PROMPT_S:
            message = (
                f'"{key}" takes about {longest:.0f} s to say. Shorten or split it: {LONGEST_PROMPT_S:.0f} s at most.'
            )
            draft.warn((*place, key), message, key=True)


def _seconds(text: Template, header: Header) -> float:
    spoken = "".join(part if isinstance(part, str) else "00000" for part in text.parts)
    return sum(character.isalnum() for character in spoken) / _CHARACTERS_A_SECOND[header.language]


def _check_alike(draft: Draft, choices: dict[str, Choice], place: Location) -> None:
    for (name, choice), (other_name, other) in combinations(choices.items(), 2):
        for phrase in choice.say:
            for other_phrase in other.say:
                if jamo.letters(phrase) == jamo.letters(other_phrase) and phrase.split() == other_phrase.split():
                    continue  # the same phrase is an error of its own, or a choice that stands before one from anywhere
                if min(jamo.distance(phrase, other_phrase), jamo.distance(other_phrase, phrase)) <= ALIKE:
                    where = (*place, other_name, "say")
                    where = where if where in draft.source.keys else (*place, name, "say")
                    message = f'"{other_phrase}" sounds like "{phrase}" of "{name}". Word one of them otherwise.'
                    draft.warn(where, message, key=True)
