"""One flow while it runs: its slots, and its texts filled in for the caller to hear and for others to read."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from voiceedge.context.pii import PersonalDataClass, mask
from voiceedge.flow.call import CallFacts, Utterance
from voiceedge.flow.expression import Expression
from voiceedge.flow.fields import Value
from voiceedge.flow.model import Flow
from voiceedge.flow.steps import Choice, Step
from voiceedge.flow.template import Field, Template, TemplateError, plain, speak
from voiceedge.flow.words import Words, words_of

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class SlotValue:
    """What a slot holds and how careful to be with it."""

    value: Any
    class_: PersonalDataClass

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False, default=str)

    @property
    def masked(self) -> str:
        return mask(self.text, self.class_)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A prompt ready to be said, and how it may be written down."""

    utterances: tuple[Utterance, ...]
    masked: str


@dataclass(slots=True)
class Frame:
    flow: Flow
    at: str
    slots: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def enter(flow: Flow, given: Mapping[str, Any]) -> "Frame":
        return Frame(
            flow, flow.header.start, {name: slot.starts for name, slot in flow.header.slots.items()} | dict(given)
        )

    @property
    def words(self) -> Words:
        return words_of(self.flow.header)

    def class_of(self, slot: str | None) -> PersonalDataClass:
        known = self.flow.header.slots.get(slot) if slot else None
        return known.class_ if known else PersonalDataClass.NONE

    def is_about_card(self, step: Step) -> bool:
        """Whether it asks for a card number or says one."""
        slots = {slot for _, slot in step.fills()}.union(*(text.names for _, text in step.texts()))
        return any(self.class_of(slot) is PersonalDataClass.CARD for slot in slots)

    def filled_slots(self) -> dict[str, SlotValue]:
        return {name: SlotValue(value, self.class_of(name)) for name, value in self.slots.items() if value is not None}

    def values(self, facts: CallFacts, now: datetime) -> dict[str, Any]:
        """Everything that texts and conditions can name."""
        here = now.astimezone(ZoneInfo(self.flow.header.timezone))
        return {
            **self.slots,
            "settings": self.flow.header.settings,
            "call": {
                "caller": facts.caller,
                "called": facts.called,
                "headers": dict(facts.headers),
                "answered_by": facts.answered_by,
            },
            "now": {"date": f"{here:%Y-%m-%d}", "time": f"{here:%H:%M}", "weekday": _WEEKDAYS[here.weekday()]},
        }

    def calculate(self, value: Value, values: Mapping[str, Any]) -> Any:
        """Raises ExpressionError or TemplateError."""
        if isinstance(value, Expression):
            return value.evaluate(values)
        if isinstance(value, Template):
            return value.fill(values, lambda _, inner: plain(inner))
        return value

    def spoken(
        self,
        texts: Sequence[Template],
        values: Mapping[str, Any],
        *,
        recording: str | None = None,
        heard_class: PersonalDataClass = PersonalDataClass.NONE,
    ) -> Spoken:
        """Raises TemplateError. `recording` is the explicit file or the conventional name of the prompt."""
        language = self.flow.header.language
        parts = [text.fill(values, lambda field_, value: speak(value, field_.format, language)) for text in texts]
        masked = [text.fill(values, lambda field_, value: self._masked(field_, value, heard_class)) for text in texts]
        file = self._recording(texts, recording)
        if file:
            return Spoken((Utterance(" ".join(parts), language, str(file)),), " ".join(masked))
        personal = [any(self._class(field_, heard_class) for field_ in text.fields) for text in texts]
        utterances = tuple(Utterance(part, language, personal=it) for part, it in zip(parts, personal, strict=True))
        return Spoken(utterances, " ".join(masked))

    def _masked(self, field_: Field, value: Any, heard_class: PersonalDataClass) -> str:
        class_ = self._class(field_, heard_class)
        return mask(plain(value), class_) if class_ else speak(value, field_.format, self.flow.header.language)

    def _class(self, field_: Field, heard_class: PersonalDataClass) -> PersonalDataClass | None:
        """The class of what a field shows; None where it is not personal."""
        root = field_.path[0]
        if root in {"settings", "now"}:
            return None
        if root == "call":
            return PersonalDataClass.PERSONAL
        class_ = heard_class if root == "heard" else self.class_of(root)
        return None if class_ is PersonalDataClass.NONE else class_

    def _recording(self, texts: Sequence[Template], name: str | None) -> Path | None:
        """A recording cannot hold values, so it stands only for a prompt without any."""
        if name is None or any(text.fields for text in texts):
            return None
        folder = self.flow.path.parent
        file = folder / name if name.endswith(".wav") else folder / "prompts" / self.flow.name / f"{name}.wav"
        return file if file.is_file() else None


def fixed_prompts(flow: Flow, names: Collection[str] | None = None) -> Iterator[Utterance]:
    """What the flow may say that is known before a call, to be rendered ahead; of named steps, their own words only."""
    frame = Frame.enter(flow, {})
    steps = [step for name, step in flow.steps.items() if names is None or name in names]
    keys = _SPOKEN_KEYS if names is not None else _SPOKEN_KEYS | {"no_input", "no_match"}
    texts = [text for step in steps for where, text in step.texts() if where[0] in keys]
    choices: list[Choice] = []
    if names is None:
        words = frame.words
        texts += [*words.no_input, *words.no_match, *words.not_right, *words.sorry]
        choices += [*flow.header.anywhere.values()]
        choices += [choice for step in steps for choice in getattr(step, "choices", {}).values()]
    values: dict[str, Any] = {"settings": flow.header.settings}
    for text in dict.fromkeys(texts):
        try:
            yield from frame.spoken([text], values).utterances
        except TemplateError:
            continue  # it has a value of the call
    for name in dict.fromkeys(choice.name or choice.say[0] for choice in choices if choice.name or choice.say):
        yield from frame.spoken(frame.words.confirm, {**values, "heard": name}).utterances


_SPOKEN_KEYS = frozenset({"say", "ask", "hang_up", "whisper", "prompt"})
