"""What must hold between the parts of a flow: targets and names exist, and answers can be told apart."""

import re
from collections.abc import Iterable

from voiceedge.flow.frame import CONTINUED_VALUES
from voiceedge.flow.loader import UNKNOWN, Draft
from voiceedge.flow.model import Header
from voiceedge.flow.problem import nearest
from voiceedge.flow.source import Location
from voiceedge.flow.steps import AGAIN, Ask, Choice, LookUp, Step
from voiceedge.flow.template import Template
from voiceedge.flow.ways import check_ways

CALL_VALUES = frozenset({"caller", "called", "headers", "answered_by", "channel", "continued"})
NOW_VALUES = frozenset({"date", "time", "weekday"})
_SAID = (
    "no_input", "no_match", "not_right", "confirm", "confirm_digits", "sorry", "leave_message",
    "ask_pin", "wrong_pin", "ask_continue",
)  # fmt: skip
HEARD = "heard"  # known in the texts of confirmations only
_GROUPS = frozenset({"settings", "call", "now", "continued"})
_MEMBER = re.compile(r"\b(settings|call|now|continued)\.([A-Za-z_]\w*)")
_TEXT_IN_CEL = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
_HANGUL = re.compile(r"[가-힣]")
_OTHER_SCRIPT = {"ko": re.compile(r"[^가-힣\s]"), "en": re.compile(r"[^A-Za-z'\-\s]")}


def check(draft: Draft) -> None:
    """Add every problem to the draft."""
    header = draft.header
    if header is None:
        return
    _check_header(draft, header)
    for name, step in draft.steps.items():
        place: Location = ("steps", name)
        _check_targets(draft, place, step)
        if isinstance(step, Ask):
            _check_ask(draft, header, place, step)
        if isinstance(step, LookUp):
            _check_look_up(draft, place, step)
        for where, slot in step.fills():
            _check_slot(draft, header, (*place, *where), slot, key=where[0] != "into" or len(where) > 1)
        _check_texts(draft, header, place, step)
        _check_recording(draft, place, step)
    if draft.names and draft.steps:
        check_ways(draft, header)


def _check_header(draft: Draft, header: Header) -> None:
    for key, target in (("start", header.start), ("otherwise", header.otherwise), ("on_error", header.on_error)):
        if target is not None:
            _check_target(draft, (key,), target)
    for name, choice in header.anywhere.items():
        place: Location = ("anywhere", name)
        if choice.next is None:
            draft.error(place, f'"{name}" leads nowhere. Add next: with the step that follows.', key=True)
        else:
            _check_target(draft, (*place, "next"), choice.next, again=True)
    _check_answers(draft, header, ("anywhere",), header.anywhere)
    for name in header.slots:
        if name in _GROUPS | {HEARD}:
            draft.error(("slots", name), f'"{name}" has a meaning of its own. Give the slot another name.', key=True)
    if AGAIN in draft.names:
        draft.error(("steps", AGAIN), f'"{AGAIN}" means "ask the same again". Give the step another name.', key=True)
    _check_words(draft, header)


def _check_words(draft: Draft, header: Header) -> None:
    words = header.words
    for key in _SAID:
        for index, text in enumerate(getattr(words, key) or ()):
            _check_text(draft, header, ("words", key, index), text, heard=key.startswith("confirm"))
    for key in ("yes", "no"):
        for index, phrase in enumerate(getattr(words, key) or ()):
            _check_phrase(draft, header, ("words", key, index), phrase)


def _check_targets(draft: Draft, place: Location, step: Step) -> None:
    for where, target in step.targets():
        _check_target(draft, (*place, *where), target, again=isinstance(step, Ask) and where[0] == "choices")


def _check_target(draft: Draft, place: Location, target: str, *, again: bool = False) -> None:
    if target in draft.names or target == UNKNOWN or (again and target == AGAIN):
        return
    if target == AGAIN:
        draft.error(place, f'"{AGAIN}" works in choices only. Write the name of a step.')
    else:
        draft.error(
            place,
            f'there is no step "{target}".{nearest(target, draft.names) or " Add it, or write the name of another."}',
        )


def _check_ask(draft: Draft, header: Header, place: Location, ask: Ask) -> None:
    hurt = place[1] in draft.hurt
    if not ask.choices and not ask.digits and not hurt:
        draft.error(place, "the question has no answers. Add choices: or digits:", key=True)
    if ask.digits and ask.next is None and not hurt:
        draft.error(place, '"next" is missing. Add the name of the step that follows the number.', key=True)
    if ask.digits and ask.into is None and not hurt:
        draft.error(place, '"into" is missing. Add the slot that keeps the number.', key=True)
    for name, choice in ask.choices.items():
        if choice.next is None and ask.next is None:
            draft.error(
                (*place, "choices", name), f'"{name}" leads nowhere. Add next: with the step that follows.', key=True
            )
        if ask.digits and choice.key and (choice.key.isdigit() or choice.key == ask.digits.end):
            where = (*place, "choices", name, "key")
            draft.error(
                where, f'key {choice.key} is part of the number asked for. Use "*" or "#", whichever does not end it.'
            )
    if ask.otherwise is None and header.otherwise is None and not hurt:
        message = "a caller who is not understood is trapped here. Add otherwise: with the step after the last attempt."
        draft.error(place, message, key=True)
    _check_answers(draft, header, (*place, "choices"), ask.choices)


def _check_look_up(draft: Draft, place: Location, step: LookUp) -> None:
    if isinstance(step.look_up, str):
        for key in ("send", "headers", "timeout_s"):
            if key in step.model_fields_set:
                message = f'"{key}" is for an address; the connector has its own. Remove it, or give values by with:'
                draft.error((*place, key), message, key=True)
    elif step.give:
        draft.error((*place, "with"), '"with" is for a connector. Write the values into the address.', key=True)


def _check_answers(draft: Draft, header: Header, place: Location, choices: dict[str, Choice]) -> None:
    keys: dict[str, str] = {}
    phrases: dict[str, str] = {}
    for name, choice in choices.items():
        if not choice.say and choice.key is None and place[-2:-1] and place[1:2] and place[1] not in draft.hurt:
            draft.error((*place, name), f'nobody can choose "{name}". Add say: with phrases, or key:', key=True)
        if choice.key is not None:
            other = keys.setdefault(choice.key, name)
            if other != name:
                draft.error((*place, name, "key"), f'key {choice.key} is already that of "{other}". Take another.')
        for index, phrase in enumerate(choice.say):
            where = (*place, name, "say", index)
            where = where if where in draft.source.values else (*place, name, "say")
            other = phrases.setdefault("".join(phrase.split()).casefold(), name)
            if other != name:
                draft.error(where, f'"{phrase}" is already a phrase of "{other}". Remove one of them.')
            _check_phrase(draft, header, where, phrase)


def _check_phrase(draft: Draft, header: Header, place: Location, phrase: str) -> None:
    found = _OTHER_SCRIPT[header.language].search(phrase)
    if found and header.language == "ko":
        draft.error(
            place,
            f'"{phrase}" holds "{found[0]}", which is not Hangul. Write it as it is said, such as 에이에스 for AS.',
        )
    elif found:
        draft.error(
            place, f'"{phrase}" holds "{found[0]}", which is not a letter a-z. Write it as it is said, in English.'
        )


def _check_slot(draft: Draft, header: Header, place: Location, slot: str, *, key: bool) -> None:
    if slot in header.slots or slot == UNKNOWN:
        return
    known = nearest(slot, header.slots)
    draft.error(
        place, f'there is no slot "{slot}".{known or f" Add it under slots: as {slot}: and what it means."}', key=key
    )


def _check_texts(draft: Draft, header: Header, place: Location, step: Step) -> None:
    for where, text in step.texts():
        _check_text(draft, header, (*place, *where), text, heard=where[0] == "confirm_with")
    for where, expression in step.expressions():
        location = (*place, *where)
        for name in sorted(expression.names - header.slots.keys() - _GROUPS):
            known = (
                nearest(name, [*header.slots, *_GROUPS]) or " Add it under slots:, or put it in quotes if it is text."
            )
            draft.error(location, f'there is no "{name}" to compare or calculate with.{known}')
        for group, member in _MEMBER.findall(_TEXT_IN_CEL.sub('""', expression.source)):
            _check_member(draft, header, location, group, member)
    for index, slot in enumerate(getattr(step, "take", ())):
        _check_slot(draft, header, (*place, "take", index), slot, key=False)


def _check_text(draft: Draft, header: Header, place: Location, text: Template, *, heard: bool = False) -> None:
    for field in text.fields:
        root = field.path[0]
        if root in _GROUPS:
            if len(field.path) == 1:
                draft.error(
                    place,
                    f'"{{{root}}}" is a group. Write one of its values, such as {{{root}.{_example(header, root)}}}.',
                )
            else:
                _check_member(draft, header, place, root, field.path[1])
        elif root == HEARD and heard:
            continue
        elif root not in header.slots:
            hint = nearest(root, header.slots) or f" Add it under slots: as {root}: and what it means."
            draft.error(place, f'there is no slot "{root}".{hint}')


def _check_member(draft: Draft, header: Header, place: Location, group: str, member: str) -> None:
    known = _members(header, group)
    if member not in known:
        listed = ", ".join(sorted(known)) or "nothing"
        draft.error(place, f'there is no "{group}.{member}".{nearest(member, known) or f" {group} has {listed}."}')


def _members(header: Header, group: str) -> Iterable[str]:
    known = {"settings": header.settings.keys(), "call": CALL_VALUES, "now": NOW_VALUES, "continued": CONTINUED_VALUES}
    return known[group]


def _example(header: Header, group: str) -> str:
    return min(_members(header, group), default="name")


def _check_recording(draft: Draft, place: Location, step: Step) -> None:
    recording = getattr(step, "recording", None)
    if recording is None:
        return
    folder = draft.path.resolve().parent
    file = (folder / recording).resolve()
    if not file.is_relative_to(folder):
        draft.error(
            (*place, "recording"), f'"{recording}" lies outside the folder of the flow. Move it below {folder.name}/.'
        )
    elif not file.is_file():
        draft.error(
            (*place, "recording"),
            f'there is no file "{recording}". Record it, or remove the key to have the text spoken.',
        )
