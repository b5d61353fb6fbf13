"""From a flow file to its model: what is wrong is reported, what is right is kept for the checks that follow."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from voiceedge.flow.model import Flow, Header
from voiceedge.flow.problem import Problem, nearest
from voiceedge.flow.source import Data, Location, Source, read
from voiceedge.flow.steps import STEPS, Step

M = TypeVar("M", bound=BaseModel)

UNKNOWN = "unknown_"  # stands for a target that is missing, so that it is reported once and not again by each check
_MOST_REPAIRS = 8
_STAND_INS: Mapping[str, Any] = {
    **dict.fromkeys(("next", "otherwise", "found", "not_found", "error", "failed", "start", "run", "into"), UNKNOWN),
    **dict.fromkeys(("say", "ask", "reason", "transfer", "hang_up"), "…"),
    "record": "start",
    **dict.fromkeys(("dial", "queue", "voicemail"), UNKNOWN.strip("_")),
    "hand_over": "web-chat",
    "look_up": "http://localhost/",
    "choose": [{"when": "true", "next": UNKNOWN}],
    "when": "true",
    "set": {UNKNOWN: 0},
    "on": {UNKNOWN: UNKNOWN},
    "return": UNKNOWN,
    "length": 1,
    "flow": UNKNOWN,
    "language": "ko",
}


@dataclass(slots=True)
class Draft:
    """A flow file as far as it could be understood. `hurt` are the steps that have problems of their own."""

    source: Source
    header: Header | None = None
    steps: dict[str, Step] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    hurt: set[str] = field(default_factory=set)

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def problems(self) -> list[Problem]:
        return self.source.problems

    def error(self, location: Location, message: str, *, key: bool = False) -> None:
        mark = self.source.at_key(location) if key else self.source.at(location)
        self.source.add(mark, message)

    def warn(self, location: Location, message: str, *, key: bool = False) -> None:
        mark = self.source.at_key(location) if key else self.source.at(location)
        self.source.problems.append(Problem(self.source.path, mark, message, "warning"))

    def flow(self) -> Flow:
        if self.header is None:
            raise ValueError(f"{self.path} has no header")
        warnings = tuple(problem for problem in self.problems if problem.severity == "warning")
        return Flow(self.header, self.steps, self.path.resolve(), warnings)


def load(path: Path) -> Draft:
    return understand(read(path))


def understand(source: Source) -> Draft:
    draft = Draft(source)
    data = source.data
    if data is None:
        if not source.problems:
            draft.error((), 'is empty. Begin with "flow:" and the flow\'s name.')
        return draft
    if not isinstance(data, dict):
        draft.error((), 'a flow file begins with names and values. Begin with "flow:" and the flow\'s name.')
        return draft
    header = {key: value for key, value in data.items() if key != "steps"}
    draft.header = _validate(Header, header, (), draft, also=("steps",))
    steps = data.get("steps")
    if not isinstance(steps, dict) or not steps:
        draft.error(("steps",), 'a flow needs steps. Write "steps:" and below it, indented, each step by its name.')
        return draft
    draft.names = frozenset(steps)
    for name, body in steps.items():
        before = len(draft.problems)
        step = _step(name, body, draft)
        if step is not None:
            draft.steps[name] = step
        if len(draft.problems) > before:
            draft.hurt.add(name)
    return draft


def strings_in(data: Data) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from strings_in(value)
    elif isinstance(data, list):
        for value in data:
            yield from strings_in(value)


def _step(name: str, body: Data, draft: Draft) -> Step | None:
    place: Location = ("steps", name)
    if not isinstance(body, dict):
        draft.error(place, f'step "{name}" must hold keys. Write one of {_listed(STEPS)} below it.', key=True)
        return None
    if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii() or not name[:1].isalpha():
        draft.error(
            place,
            f'"{name}" is no step name. A name begins with a letter and holds letters a-z, digits, _ and -.',
            key=True,
        )
    kinds = [key for key in body if key in STEPS]
    if not kinds:
        hints = [nearest(key, STEPS) for key in body]
        hint = next((hint for hint in hints if hint), "")
        draft.error(place, f'step "{name}" does nothing: it has none of {_listed(STEPS)}. Add one.{hint}', key=True)
        return None
    if len(kinds) > 1:
        draft.error(
            (*place, kinds[1]), f'step "{name}" does two things: {_listed(kinds)}. Make two steps of it.', key=True
        )
        return None
    return _validate(STEPS[kinds[0]], body, place, draft)


def _validate(
    model: type[M], data: dict[str, Data], place: Location, draft: Draft, also: tuple[str, ...] = ()
) -> M | None:
    """The model, with stand-ins where the file is wrong; each wrong thing is reported once."""
    current: Any = copy.deepcopy(data)
    reported: set[tuple[Location, str]] = set()
    for _ in range(_MOST_REPAIRS):
        try:
            return model.model_validate(current)
        except ValidationError as error:
            for detail in sorted(error.errors(), key=lambda detail: str(detail["loc"]), reverse=True):
                location = _real_location(detail["loc"], current)
                message = _explain(model, detail, location, also)
                if (location, message) not in reported:
                    reported.add((location, message))
                    wrong_name = detail["type"] == "extra_forbidden" or "[key]" in detail["loc"]
                    _report(
                        draft, (*place, *location), missing=detail["type"] == "missing", key=wrong_name, message=message
                    )
                current = _repair(current, location, detail["type"])
    return None


def _report(draft: Draft, location: Location, message: str, *, missing: bool, key: bool) -> None:
    draft.error(location[:-1] if missing else location, message, key=missing or key)


def _real_location(location: Iterable[str | int], data: Any) -> Location:
    """Pydantic's location without the parts that stand for types, list wrappers or keys, and not in the file."""
    out: list[str | int] = []
    value = data
    parts = [part for part in location if part != "[key]"]
    for index, part in enumerate(parts):
        out_of_data = not (
            (isinstance(value, dict) and part in value)
            or (isinstance(value, list) and isinstance(part, int) and part < len(value))
        )
        if out_of_data and index + 1 == len(parts) and isinstance(value, dict) and isinstance(part, str):
            out.append(part)  # a missing key
            break
        if out_of_data:
            continue
        value = value[part]
        out.append(part)
    return tuple(out)


def _repair(data: Any, location: Location, kind: str) -> Any:
    if not location:
        return data
    *parents, last = location
    holder = data
    for part in parents:
        try:
            holder = holder[part]
        except (KeyError, IndexError, TypeError):
            return data
    if isinstance(holder, dict):
        if (
            kind != "extra_forbidden"
            and last in _STAND_INS
            and not (kind != "missing" and holder.get(last) == _STAND_INS[str(last)])
        ):
            holder[last] = copy.deepcopy(_STAND_INS[str(last)])
        else:
            holder.pop(last, None)
    elif isinstance(holder, list) and isinstance(last, int) and last < len(holder):
        del holder[last]
    return data


def _explain(model: type[BaseModel], detail: ErrorDetails, location: Location, also: tuple[str, ...]) -> str:
    key = str(location[-1]) if location else ""
    kind, value = detail["type"], detail.get("input")
    if kind in _SENTENCES:
        return _SENTENCES[kind].format(key=key, value=_named(value))
    match kind:
        case "missing":
            return f'"{key}" is missing. {_ADVICE.get(key, f"Add {key}:")}'
        case "extra_forbidden":
            known = [*_known_keys(model, location[:-1]), *also]
            return f'unknown key "{key}".{nearest(key, known) or " Known here: " + ", ".join(known) + "."}'
        case "value_error":
            return detail["msg"].removeprefix("Value error, ")
        case "literal_error" | "enum":
            expected = str(detail.get("ctx", {}).get("expected", "")).replace("'", '"')
            hint = nearest(str(value), expected.replace('"', "").replace(" or ", ", ").split(", "))
            return f'"{value}" is not known for "{key}". Write {expected}.{hint}'
        case _:
            return f'"{key}" must be {detail["msg"].removeprefix("Input should be ")}, not {_named(value)}.'


_WHOLE = '"{key}" must be a whole number, not {value}.'
_NUMBER = '"{key}" must be a number, not {value}.'
_RECORD = '"{key}" must hold names and values, not {value}. Write them indented below it.'
_LIST = '"{key}" must be a list, not {value}. Write it as [first, second].'
_TRUTH = '"{key}" is either true or false, not {value}.'
_SENTENCES: Mapping[str, str] = {
    "too_short": '"{key}" is empty. Add at least one entry.',
    "string_type": '"{key}" must be text, not {value}. Put it in quotes.',
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), _WHOLE),
    **dict.fromkeys(("float_parsing", "float_type"), _NUMBER),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _RECORD),
    **dict.fromkeys(("tuple_type", "list_type"), _LIST),
    **dict.fromkeys(("bool_parsing", "bool_type"), _TRUTH),
}
_ADVICE = {
    "next": "Add the name of the step that follows, or end the call with a hang_up step.",
    "otherwise": "Add the name of the step for when nothing else fits.",
    "failed": "Add the name of the step for when it does not work.",
    "error": "Add the name of the step for when the service does not answer.",
    "not_found": "Add the name of the step for when nothing is found.",
    "found": "Add the name of the step for when something is found.",
    "start": "Add the name of the first step.",
    "language": 'Add "language: ko" or "language: en".',
    "flow": "Add the flow's name.",
    "reason": "Add why the conversation is handed over; the agent reads it.",
}


def _known_keys(model: type[BaseModel], location: Location) -> list[str]:
    """The keys of the model that lies at `location`."""
    current: Any = model
    for part in location:
        if isinstance(current, type) and issubclass(current, BaseModel):
            fields = {info.alias or name: info.annotation for name, info in current.model_fields.items()}
            current = _model_in(fields.get(str(part)))
    if not (isinstance(current, type) and issubclass(current, BaseModel)):
        return []
    return [info.alias or name for name, info in current.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def _named(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "names and values"
        case list():
            return "a list"
        case _:
            return f'"{str(value)[:40]}"'


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
