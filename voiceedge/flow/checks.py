"""What must hold between the parts of a flow: targets, names, answers that can be told apart, and a way out for every caller."""

import re
from collections.abc import Iterable, Iterator

from voiceedge.flow.loader import UNKNOWN, Draft, strings_in
from voiceedge.flow.model import AGAIN, Ask, Choice, Header, Run, Step
from voiceedge.flow.problem import nearest, nearest_name
from voiceedge.flow.source import Location
from voiceedge.flow.template import Template

CALL_VALUES = frozenset({"caller", "called", "headers"})
NOW_VALUES = frozenset({"date", "time", "weekday"})
HEARD = "heard"  # known in the texts of confirmations only
_GROUPS = frozenset({"settings", "call", "now"})
_MEMBER = re.compile(r"\b(settings|call|now)\.([A-Za-z_]\w*)")
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
        for where, slot in step.fills():
            _check_slot(draft, header, (*place, *where), slot, key=where[0] != "into" or len(where) > 1)
        _check_texts(draft, header, place, step)
        _check_recording(draft, place, step)
    if draft.names and draft.steps:
        _check_ways(draft, header)


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
    words = header.words
    for key in ("no_input", "no_match", "not_right", "confirm", "confirm_digits", "sorry"):
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
        message = "a caller who is not understood is trapped here. Add otherwise: with the step after the last attempt, or one for the whole flow."
        draft.error(place, message, key=True)
    _check_answers(draft, header, (*place, "choices"), ask.choices)


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
                nearest(name, [*header.slots, *_GROUPS]) or f" Add it under slots:, or put it in quotes if it is text."
            )
            draft.error(location, f'there is no "{name}" to compare or calculate with.{known}')
        for group, member in _MEMBER.findall(_TEXT_IN_CEL.sub('""', expression.source)):
            _check_member(draft, header, location, group, member)
    for slot in getattr(step, "take", ()):
        _check_slot(draft, header, (*place, "take"), slot, key=True)


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
    return {"settings": header.settings.keys(), "call": CALL_VALUES, "now": NOW_VALUES}[group]


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


def _check_ways(draft: Draft, header: Header) -> None:
    """Every step can be reached, every caller can get out, and nothing turns in circles without listening."""
    ways = {name: _ways_from(draft, header, name) for name in draft.names}
    roots = [header.start, header.otherwise, header.on_error, *(choice.next for choice in header.anywhere.values())]
    known_roots = [root for root in roots if root in draft.names]
    reached = _closure(known_roots, ways)
    if header.start in draft.names:
        for name in _heads(draft, draft.names - reached, ways):
            message = f'no step leads to "{name}". Lead to it from another step, or remove it.'
            draft.error(("steps", name), message, key=True)
    ends = {name for name in draft.names if _may_end(draft, name)}
    back: dict[str, set[str]] = {name: set() for name in draft.names}
    for name, targets in ways.items():
        for target in targets:
            back[target].add(name)
    trapped = (draft.names - _closure(ends, back)) & reached
    for name in sorted(trapped, key=lambda name: draft.source.at_key(("steps", name)))[:1]:
        others = ", ".join(sorted(trapped - {name}))
        message = f'from "{name}" a call never ends{f" (nor from {others})" if others else ""}. Lead to a hang_up or transfer step.'
        draft.error(("steps", name), message, key=True)
    silent = {name: ways[name] for name in reached - trapped if not isinstance(draft.steps.get(name), Ask)}
    for name in _in_circles(silent):
        message = f'"{name}" can lead back to itself without a question in between. Ask something on the way.'
        draft.warn(("steps", name), message, key=True)
    _check_order(draft, header, ways)


def _heads(draft: Draft, names: frozenset[str], ways: dict[str, set[str]]) -> Iterator[str]:
    """The few of these steps from which all of them are reached: those are what is wrong."""
    led_to = {target for name in names for target in ways[name] if target != name}
    in_file = sorted(names, key=lambda name: (name in led_to, draft.source.at_key(("steps", name))))
    seen: set[str] = set()
    for name in in_file:
        if name not in seen:
            seen |= _closure([name], ways)
            yield name


def _ways_from(draft: Draft, header: Header, name: str) -> set[str]:
    step = draft.steps.get(name)
    targets = {target for _, target in step.targets()} if step else set()
    if isinstance(step, Ask) and step.otherwise is None and header.otherwise:
        targets.add(header.otherwise)
    if step is None or name in draft.hurt:
        body = draft.source.data["steps"] if isinstance(draft.source.data, dict) else {}
        targets |= set(strings_in(body.get(name))) if isinstance(body, dict) else set()
    # A misspelt target was reported already; what it was meant to lead to is not reported as well.
    meant = {target if target in draft.names else nearest_name(target, draft.names) for target in targets}
    return {target for target in meant if target in draft.names}


def _may_end(draft: Draft, name: str) -> bool:
    step = draft.steps.get(name)
    return (
        step is None
        or step.is_end
        or name in draft.hurt
        or any(target not in draft.names and target != AGAIN for _, target in step.targets())
    )


def _closure(start: Iterable[str], ways: dict[str, set[str]]) -> set[str]:
    seen, waiting = set(start), list(start)
    while waiting:
        for target in ways.get(waiting.pop(), ()):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def _in_circles(ways: dict[str, set[str]]) -> Iterator[str]:
    """One name for each circle."""
    done: set[str] = set()
    for name in sorted(ways):
        if name in done:
            continue
        reach = _closure(ways[name] & ways.keys(), {key: targets & ways.keys() for key, targets in ways.items()})
        if name in reach:
            done |= reach
            yield name


def _check_order(draft: Draft, header: Header, ways: dict[str, set[str]]) -> None:
    """Warn of slots that are read where no way to the step can have set them."""
    filled_by = {name: {slot for _, slot in step.fills()} for name, step in draft.steps.items()}
    ready = {name for name, slot in header.slots.items() if slot.starts is not None}
    if any(step.kind == "return" for step in draft.steps.values()):
        ready |= header.slots.keys() - set().union(*filled_by.values())  # a sub-flow is given these
    everything = set(header.slots)
    may: dict[str, set[str]] = {}
    interrupts = [header.on_error, header.otherwise, *(choice.next for choice in header.anywhere.values())]
    waiting = [(header.start, set(ready)), *((name, everything) for name in interrupts if name)]
    while waiting:
        name, slots = waiting.pop()
        if name not in draft.names or (name in may and slots <= may[name]):
            continue
        may[name] = may.get(name, set()) | slots
        waiting += [(target, may[name] | filled_by.get(name, set())) for target in ways[name]]
    for name, step in draft.steps.items():
        known = may.get(name, everything)
        own = filled_by[name] if isinstance(step, Ask) else set()
        for where, names in _reads(step):
            for slot in sorted((names & header.slots.keys()) - known - own):
                draft.warn(
                    ("steps", name, *where),
                    f'slot "{slot}" has no value here yet. Set it before, or give it starts: under slots:',
                )


def _reads(step: Step) -> Iterator[tuple[tuple[str | int, ...], frozenset[str]]]:
    for where, text in step.texts():
        yield where, text.names
    for where, expression in step.expressions():
        if "null" not in expression.source:  # it asks whether there is a value
            yield where, expression.names


def check_across(drafts: dict[str, Draft]) -> None:
    """What must hold between flows: sub-flows exist, are given what they know, and do not run each other in circles."""
    runs = {
        name: {step.run for step in draft.steps.values() if isinstance(step, Run)} for name, draft in drafts.items()
    }
    for name, draft in drafts.items():
        for step_name, step in draft.steps.items():
            if isinstance(step, Run) and step.run != UNKNOWN:
                _check_run(draft, ("steps", step_name), step, drafts)
                if name in _closure([step.run], runs):
                    draft.error(
                        ("steps", step_name, "run"),
                        f'"{step.run}" runs "{name}" again, without end. Lead on by next: instead.',
                    )


def _check_run(draft: Draft, place: Location, step: Run, drafts: dict[str, Draft]) -> None:
    other = drafts.get(step.run)
    if other is None:
        hint = nearest(step.run, drafts) or f" Add a file with flow: {step.run} beside this one."
        draft.error((*place, "run"), f'there is no flow "{step.run}".{hint}')
        return
    if other.header is None:
        return
    results = {result for result in (getattr(inner, "result", None) for inner in other.steps.values()) if result}
    if not results:
        draft.error((*place, "run"), f'"{step.run}" never returns. End it with a step that has return: and a name.')
    for result in sorted(results - step.on.keys() - {UNKNOWN}):
        if place[1] not in draft.hurt:
            draft.error(
                (*place, "on"),
                f'"{step.run}" can return "{result}". Add it under on: with the step that follows.',
                key=True,
            )
    for result in step.on.keys() - results - {UNKNOWN}:
        if results:
            hint = nearest(result, results) or f" It returns {', '.join(sorted(results))}."
            draft.error((*place, "on", result), f'"{step.run}" never returns "{result}".{hint}', key=True)
    for slot in [*step.give, *step.into.values()]:
        if slot not in other.header.slots:
            where = (*place, "with", slot) if slot in step.give else (*place, "into")
            hint = nearest(slot, other.header.slots) or " Add it there under slots:"
            draft.error(where, f'"{step.run}" has no slot "{slot}".{hint}', key=True)
