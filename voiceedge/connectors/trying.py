"""A connector tried out by hand: what it found, shown with care, and what went wrong in plain words."""

import json
from dataclasses import dataclass
from typing import Literal

from voiceedge.connectors.answers import Answer, Failed, Found
from voiceedge.context.privacy.pii import PersonalDataClass, mask


@dataclass(frozen=True, slots=True)
class Shown:
    """One value as it may be shown; None where the other system has none."""

    name: str
    text: str | None
    class_: PersonalDataClass


@dataclass(frozen=True, slots=True)
class TryOut:
    """`kept`: the answer is one from before, and nobody was asked."""

    name: str
    answer: Answer
    took_ms: float
    kept: bool

    @property
    def result(self) -> Literal["found", "not_found", "error"]:
        """The exit that a flow's look_up takes."""
        match self.answer:
            case Found():
                return "found"
            case Failed():
                return "error"
            case _:
                return "not_found"

    @property
    def explanation(self) -> str:
        match self.answer:
            case Found(values=values):
                missing = [name for name, value in values.items() if value is None]
                return f"the answer has no {', '.join(missing)}" if missing else ""
            case Failed(reason=reason):
                return reason
            case nobody if nobody.many:
                return "several fit, and it could be any of them: ask more exactly, or in SQL say which by LIMIT 1"
            case _:
                return "nobody, and nothing, is known by these values"

    def values(self, *, in_full: bool = False) -> list[Shown]:
        """Masked by their classes unless `in_full`."""
        if not isinstance(self.answer, Found):
            return []
        classes = self.answer.classes
        return [
            Shown(name, _text(value, PersonalDataClass.NONE if in_full else classes[name]), classes[name])
            for name, value in self.answer.values.items()
        ]


def _text(value: object, class_: PersonalDataClass) -> str | None:
    if value is None:
        return None
    return mask(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), class_)
