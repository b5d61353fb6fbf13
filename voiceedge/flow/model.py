"""A flow as a value: its head, with slots, settings and words, and its steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.flow.fields import Name, Part, Phrases, Prompt, Seconds, Variable
from voiceedge.flow.problem import Problem
from voiceedge.flow.steps import Choice, Return, Run, Step


def _slot(value: object) -> object:
    return value if isinstance(value, dict) else {"means": value}


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):
        raise ValueError(f'"{value}" is no time zone. Write one such as Asia/Seoul.') from None
    return value


class Slot(Part):
    """Something the flow remembers. Whoever does not say what class it is of gets the careful one."""

    means: str = ""
    class_: PersonalDataClass = Field(PersonalDataClass.PERSONAL, alias="class")
    starts: str | int | float | bool | None = None


class Words(Part):
    """What the flow says where a step has no words of its own. Unset: the language's own, in words.py."""

    no_input: Prompt | None = None
    no_match: Prompt | None = None
    not_right: Prompt | None = None
    confirm: Prompt | None = None
    confirm_digits: Prompt | None = None
    sorry: Prompt | None = None
    leave_message: Prompt | None = None
    ask_pin: Prompt | None = None
    wrong_pin: Prompt | None = None
    ask_continue: Prompt | None = None
    yes: Phrases | None = None
    no: Phrases | None = None


class Header(Part):
    """Everything of a flow but its steps, which are read one by one."""

    flow: Name
    language: Literal["ko", "en"]
    means: str = ""
    start: Name
    timezone: Annotated[str, AfterValidator(_timezone)] = "Asia/Seoul"
    settings: dict[Variable, str | int | float | bool] = Field(default_factory=dict)
    slots: dict[Variable, Annotated[Slot, BeforeValidator(_slot)]] = Field(default_factory=dict)
    words: Words = Words()
    anywhere: dict[Name, Choice] = Field(default_factory=dict)
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
