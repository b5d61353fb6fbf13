"""The steps of the flow language, one model for each. What every key means is in docs/flows.md."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from voiceedge.flow.call import RecordAction
from voiceedge.flow.expression import Expression
from voiceedge.flow.fields import (
    Condition,
    Confirm,
    Filled,
    Key,
    Name,
    Part,
    Phrases,
    Place,
    Prompt,
    Seconds,
    System,
    Target,
    Text,
    Variable,
    Whom,
    as_list,
    number_in_quotes,
)
from voiceedge.flow.template import Template

AGAIN = "again"  # the target that repeats the question at hand
LONGEST_NUMBER = 32  # digits

ContinueWay = Literal["header", "number", "pin", "caller"]


def _length(value: object) -> object:
    match = re.fullmatch(r"\s*(\d{1,3})\s*(?:\.\.\s*(\d{1,3})\s*)?", str(value))
    if isinstance(value, bool) or match is None:
        raise ValueError(f'"{value}" is no number of digits. Write one, such as 4, or a range, such as 5..12.')
    shortest, longest = int(match[1]), int(match[2] or match[1])
    if not 1 <= shortest <= longest <= LONGEST_NUMBER:
        raise ValueError(f"the number of digits must grow from left to right and lie within 1..{LONGEST_NUMBER}.")
    return (shortest, longest)


def _digits(value: object) -> object:
    return value if isinstance(value, dict) else {"length": value}


def _each_once(ways: tuple[str, ...]) -> tuple[str, ...]:
    if not ways or len(set(ways)) < len(ways):
        raise ValueError("name each way once: header, number, pin or caller.")
    return ways


class Choice(Part):
    """One answer: what to say or which key to press for it, and where it leads."""

    say: Phrases = ()
    key: Key | None = None
    next: Name | None = None
    intent: str | None = None
    name: str | None = None  # how a confirmation calls it; else its first phrase


class Digits(Part):
    length: Annotated[tuple[int, int], PlainValidator(_length)]
    end: Literal["#", "*"] = "#"


class Step(Part):
    """What every step can have. `kind` is the key that makes it this kind of step."""

    kind: ClassVar[str]
    exits: ClassVar[tuple[str, ...]] = ("next",)

    def targets(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Where it leads: the place of the target in the step, and the target."""
        for key in self.exits:
            target = getattr(self, key)
            if target is not None:
                yield (key,), target

    def texts(self) -> Iterator[tuple[tuple[str | int, ...], Template]]:
        """Every text with values in it, by its place in the step."""
        for key, field in type(self).model_fields.items():
            yield from _templates((field.alias or key,), getattr(self, key))

    def expressions(self) -> Iterator[tuple[tuple[str | int, ...], Expression]]:
        for key, field in type(self).model_fields.items():
            yield from _expressions((field.alias or key,), getattr(self, key))

    def fills(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """The slots it sets."""
        yield from ()

    @property
    def is_end(self) -> bool:
        """Whether the call, or the sub-flow, can end here."""
        return False


class Say(Step):
    kind = "say"
    say: Prompt
    shown: Prompt | None = None  # in place of it, on a screen
    recording: str | None = None
    barge_in: bool = True
    next: Name


class Ask(Step):
    kind = "ask"
    exits = ("next", "otherwise")
    ask: Prompt
    shown: Prompt | None = None
    recording: str | None = None
    choices: dict[Name, Choice] = Field(default_factory=dict)
    digits: Annotated[Digits | None, BeforeValidator(lambda value: None if value is None else _digits(value))] = None
    into: Variable | None = None
    next: Name | None = None
    otherwise: Name | None = None
    no_input: Prompt | None = None
    no_match: Prompt | None = None
    attempts: Annotated[int | None, Field(ge=1, le=10)] = None
    confirm: Confirm = "when_unsure"
    confirm_with: Prompt | None = None
    barge_in: bool = True
    wait_s: Seconds | None = None
    anywhere: bool = True

    def targets(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        yield from super().targets()
        for name, choice in self.choices.items():
            if choice.next is not None:
                yield ("choices", name, "next"), choice.next

    def fills(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        if self.into:
            yield ("into",), self.into


class Branch(Part):
    when: Condition
    next: Name


class Choose(Step):
    kind = "choose"
    exits = ("otherwise",)
    choose: Annotated[tuple[Branch, ...], Field(min_length=1)]
    otherwise: Name

    def targets(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        for index, branch in enumerate(self.choose):
            yield ("choose", index, "next"), branch.next
        yield from super().targets()

    def expressions(self) -> Iterator[tuple[tuple[str | int, ...], Expression]]:
        for index, branch in enumerate(self.choose):
            yield ("choose", index, "when"), branch.when


class Set(Step):
    kind = "set"
    set: Annotated[dict[Variable, Filled], Field(min_length=1)]
    next: Name

    def fills(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        for name in self.set:
            yield ("set", name), name


class LookUp(Step):
    kind = "look_up"
    exits = ("found", "not_found", "error")
    look_up: System
    give: dict[Variable, Filled] = Field(default_factory=dict, alias="with")  # to a connector
    send: dict[Name, Filled] | None = None
    headers: dict[str, Text] = Field(default_factory=dict)
    timeout_s: Annotated[float, Field(gt=0, le=10)] = 2.0
    into: Variable
    found: Name
    not_found: Name
    error: Name

    def fills(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        yield ("into",), self.into


class Record(Step):
    kind = "record"
    record: RecordAction
    next: Name


class ContinueFrom(Step):
    kind = "continue_from"
    exits = ("next", "expired", "used", "unknown", "declined")
    continue_from: Annotated[tuple[ContinueWay, ...], BeforeValidator(as_list), AfterValidator(_each_once)]
    ask_pin: Prompt | None = None
    confirm: Prompt | None = None
    attempts: Annotated[int | None, Field(ge=1, le=5)] = None
    take: tuple[Variable, ...] = ()
    next: Name
    expired: Name | None = None
    used: Name | None = None
    unknown: Name
    declined: Name | None = None

    def fills(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        for index, name in enumerate(self.take):
            yield ("take", index), name


class HandOverStep(Step):
    kind = "hand_over"
    exits = ("next", "failed")
    hand_over: Name
    reason: Text
    take: tuple[Variable, ...] = ()
    valid_s: Annotated[float, Field(ge=10, le=30 * 86400)] = 900.0
    send: Name | None = None
    to: Annotated[Template | None, PlainValidator(number_in_quotes)] = None
    into: Variable | None = None
    next: Name
    failed: Name

    def fills(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        if self.into:
            yield ("into",), self.into


class Transfer(Step):
    kind = "transfer"
    exits = ("busy", "no_answer", "failed")
    transfer: Target
    outcome: str | None = None
    busy: Name | None = None
    no_answer: Name | None = None
    failed: Name

    @property
    def is_end(self) -> bool:
        return True


class DialStep(Step):
    kind = "dial"
    exits = ("next", "busy", "no_answer", "refused", "failed")
    dial: Annotated[tuple[Whom, ...], BeforeValidator(as_list), Field(min_length=1)]
    ring_s: Annotated[float | None, Field(ge=5, le=180)] = None
    whisper: Prompt | None = None
    accept: bool = False
    caller_id: Annotated[Template | None, PlainValidator(number_in_quotes)] = None
    recorded: bool = False
    next: Name
    busy: Name | None = None
    no_answer: Name | None = None
    refused: Name | None = None
    failed: Name


class QueueStep(Step):
    """What has no exit is not offered to the caller: leaving by a key, being called back."""

    kind = "queue"
    exits = ("next", "full", "closed", "timeout", "left", "call_back", "failed")
    queue: Place
    priority: Annotated[int | None, Field(ge=1, le=9)] = None
    skills: dict[Name, Annotated[int, Field(ge=1, le=5)]] = Field(default_factory=dict)
    whisper: Prompt | None = None
    next: Name
    full: Name | None = None
    closed: Name | None = None
    timeout: Name | None = None
    left: Name | None = None
    call_back: Name | None = None
    failed: Name


class VoicemailStep(Step):
    kind = "voicemail"
    exits = ("next", "empty", "failed")
    voicemail: Place
    prompt: Prompt | None = None
    recording: str | None = None
    longest_s: Annotated[float | None, Field(ge=5, le=3600)] = None
    next: Name
    empty: Name | None = None
    failed: Name


class HangUp(Step):
    kind = "hang_up"
    exits = ()
    hang_up: Annotated[tuple[Text, ...], BeforeValidator(lambda value: [] if value is None else as_list(value))]
    shown: Prompt | None = None
    recording: str | None = None
    outcome: str | None = None

    @property
    def is_end(self) -> bool:
        return True


class Run(Step):
    kind = "run"
    exits = ()
    run: Name
    give: dict[Variable, Filled] = Field(default_factory=dict, alias="with")
    into: dict[Variable, Variable] = Field(default_factory=dict)
    on: dict[Name, Name]

    def targets(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        for name, target in self.on.items():
            yield ("on", name), target

    def fills(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        for name in self.into:
            yield ("into", name), name


class Return(Step):
    kind = "return"
    exits = ()
    result: Annotated[Name, Field(alias="return")]

    @property
    def is_end(self) -> bool:
        return True


STEPS: Mapping[str, type[Step]] = {
    step.kind: step
    for step in (
        Say, Ask, Choose, Set, LookUp, Record, ContinueFrom, HandOverStep, Transfer, DialStep, QueueStep, VoicemailStep,
        HangUp, Run, Return,
    )
}  # fmt: skip


def _templates(place: tuple[str | int, ...], value: Any) -> Iterator[tuple[tuple[str | int, ...], Template]]:
    for inner, found in _walk(place, value):
        if isinstance(found, Template):
            yield inner, found


def _expressions(place: tuple[str | int, ...], value: Any) -> Iterator[tuple[tuple[str | int, ...], Expression]]:
    for inner, found in _walk(place, value):
        if isinstance(found, Expression):
            yield inner, found


def _walk(place: tuple[str | int, ...], value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _walk((*place, index), item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _walk((*place, name), item)
    else:
        yield place, value
