"""The flow language as values: a flow, its slots and its steps. What every key means is in docs/flows.md."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from voiceedge.context.pii import PersonalDataClass
from voiceedge.flow.call import RecordAction
from voiceedge.flow.expression import Expression
from voiceedge.flow.problem import Problem
from voiceedge.flow.template import Template

AGAIN = "again"  # the target that repeats the question at hand
KEYS = frozenset("0123456789*#")
LONGEST_NUMBER = 32  # digits

Value = Expression | Template | bool | int | float


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _name(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", value):
        raise ValueError(f'"{value}" is no name. A name begins with a letter and holds letters a-z, digits, _ and -.')
    return value


def _variable(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", value):
        raise ValueError(
            f'"{value}" is no slot name. A slot\'s name begins with a letter and holds letters a-z, digits and _.'
        )
    return value


def _key(value: object) -> object:
    key = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(key, str) or key not in KEYS or len(key) != 1:
        raise ValueError(f'"{value}" is no key of a telephone. Use one of 0 to 9, "*" or "#".')
    return key


def _value(value: object) -> Value:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and value.startswith("="):
        return Expression.parse(value[1:].strip())
    return Template.parse(value)


def _phrase(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a phrase is a text that a caller says. Write it, or remove it.")
    return " ".join(value.split())


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


def _slot(value: object) -> object:
    return value if isinstance(value, dict) else {"means": value}


def _url(template: Template) -> Template:
    """Scheme and host may come from the settings only, so that no caller chooses whom we ask."""
    head = "".join(part if isinstance(part, str) else "{" + ".".join(part.path) + "}" for part in template.parts)
    scheme, separator, rest = head.partition("://")
    if not separator and head.startswith("{settings."):
        return template
    if scheme not in {"http", "https"} or not rest:
        raise ValueError(
            'an address begins with http://, https:// or a setting, such as "{settings.order_api}/orders".'
        )
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if re.search(r"\{(?!settings\.)", host):
        raise ValueError("the host of the address may hold {settings.…} only. Put other values behind its first /.")
    urlsplit(re.sub(r"\{[^}]*\}", "x", head))
    return template


def _transfer_target(template: Template) -> Template:
    head = template.parts[0] if template.parts and isinstance(template.parts[0], str) else None
    if head is not None and not re.match(r"(sips?|tel):", head, re.IGNORECASE):
        raise ValueError('a call is sent to a SIP address, such as "sip:number@host", or to a setting that holds one.')
    return template


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):
        raise ValueError(f'"{value}" is no time zone. Write one such as Asia/Seoul.') from None
    return value


Name = Annotated[str, PlainValidator(_name)]
Variable = Annotated[str, PlainValidator(_variable)]
Text = Annotated[Template, PlainValidator(Template.parse)]
Prompt = Annotated[tuple[Text, ...], BeforeValidator(_as_list), Field(min_length=1)]
Address = Annotated[Template, PlainValidator(Template.parse), AfterValidator(_url)]
Target = Annotated[Template, PlainValidator(Template.parse), AfterValidator(_transfer_target)]
Condition = Annotated[Expression, PlainValidator(Expression.parse)]
Filled = Annotated[Value, PlainValidator(_value)]
PhraseText = Annotated[str, PlainValidator(_phrase)]
Phrases = Annotated[tuple[PhraseText, ...], BeforeValidator(_as_list)]
Key = Annotated[str, PlainValidator(_key)]
Seconds = Annotated[float, Field(gt=0, le=60)]
Confirm = Literal["when_unsure", "always", "never"]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Slot(Part):
    """Something the flow remembers. Whoever does not say what class it is of gets the careful one."""

    means: str = ""
    class_: PersonalDataClass = Field(PersonalDataClass.PERSONAL, alias="class")
    starts: str | int | float | bool | None = None


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


class Words(Part):
    """What the flow says where a step has no words of its own. Unset: the language's own, in words.py."""

    no_input: Prompt | None = None
    no_match: Prompt | None = None
    not_right: Prompt | None = None
    confirm: Prompt | None = None
    confirm_digits: Prompt | None = None
    sorry: Prompt | None = None
    yes: Phrases | None = None
    no: Phrases | None = None


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
        for key in type(self).model_fields:
            yield from _templates((key,), getattr(self, key))

    def expressions(self) -> Iterator[tuple[tuple[str | int, ...], Expression]]:
        for key in type(self).model_fields:
            yield from _expressions((key,), getattr(self, key))

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
    recording: str | None = None
    barge_in: bool = True
    next: Name


class Ask(Step):
    kind = "ask"
    exits = ("next", "otherwise")
    ask: Prompt
    recording: str | None = None
    choices: dict[Name, Choice] = {}
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
    look_up: Address
    send: dict[Name, Filled] | None = None
    headers: dict[str, Text] = {}
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


class HandOverStep(Step):
    kind = "hand_over"
    exits = ("next", "failed")
    hand_over: Name
    reason: Text
    take: tuple[Variable, ...] = ()
    valid_s: Annotated[float, Field(ge=10, le=30 * 86400)] = 900.0
    next: Name
    failed: Name


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


class HangUp(Step):
    kind = "hang_up"
    exits = ()
    hang_up: Annotated[tuple[Text, ...], BeforeValidator(lambda value: [] if value is None else _as_list(value))]
    recording: str | None = None
    outcome: str | None = None

    @property
    def is_end(self) -> bool:
        return True


class Run(Step):
    kind = "run"
    exits = ()
    run: Name
    give: Annotated[dict[Variable, Filled], Field(alias="with")] = {}
    into: dict[Variable, Variable] = {}
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
    step.kind: step for step in (Say, Ask, Choose, Set, LookUp, Record, HandOverStep, Transfer, HangUp, Run, Return)
}


class Header(Part):
    """Everything of a flow but its steps, which are read one by one."""

    flow: Name
    language: Literal["ko", "en"]
    means: str = ""
    start: Name
    timezone: Annotated[str, AfterValidator(_timezone)] = "Asia/Seoul"
    settings: dict[Variable, str | int | float | bool] = {}
    slots: dict[Variable, Annotated[Slot, BeforeValidator(_slot)]] = {}
    words: Words = Words()
    anywhere: dict[Name, Choice] = {}
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    wait_s: Seconds = 5.0
    otherwise: Name | None = None
    on_error: Name | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow that was checked and may run."""

    header: Header
    steps: Mapping[str, Step]
    path: Path
    warnings: tuple[Problem, ...] = ()

    @property
    def name(self) -> str:
        return self.header.flow

    @property
    def results(self) -> frozenset[str]:
        """How it can return, where it is a sub-flow."""
        return frozenset(step.result for step in self.steps.values() if isinstance(step, Return))

    @property
    def runs(self) -> frozenset[str]:
        return frozenset(step.run for step in self.steps.values() if isinstance(step, Run))


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
