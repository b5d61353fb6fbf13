"""One flow while it runs: its slots, and its texts filled in for the caller to hear and for others to read."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from voiceedge.context.privacy.pii import PersonalDataClass, mask, strictest
from voiceedge.flow.call import CallFacts, Continued, Utterance
from voiceedge.flow.expression import Expression
from voiceedge.flow.fields import Value
from voiceedge.flow.model import Flow
from voiceedge.flow.steps import Choice, ContinueFrom, Step
from voiceedge.flow.template import Field, Template, TemplateError, plain, speak
from voiceedge.flow.words import Words, words_of
from voiceedge.flow.writing import write

Classes = Mapping[str, PersonalDataClass]  # of the members of a record; of any other value by ""

CONTINUED_VALUES = ("channel", "intent", "language", "by", "trust")
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
    found: dict[str, Classes] = field(default_factory=dict)  # of slots with something that a connector found
    on_screen: bool = False  # its words are read, not heard

    @staticmethod
    def enter(
        flow: Flow,
        given: Mapping[str, Any],
        found: Mapping[str, Classes] | None = None,
        *,
        on_screen: bool = False,
    ) -> "Frame":
        slots = {name: slot.starts for name, slot in flow.header.slots.items()}
        frame = Frame(flow, flow.header.start, slots, on_screen=on_screen)
        frame.fill(given, found)
        return frame

    def fill(self, slots: Mapping[str, Any], found: Mapping[str, Classes] | None = None) -> None:
        self.slots.update(slots)
        for name in slots:
            self.found.pop(name, None)
        self.found |= {name: classes for name, classes in (found or {}).items() if classes}

    @property
    def words(self) -> Words:
        return words_of(self.flow.header, on_screen=self.on_screen)

    def class_of(self, slot: str | None, member: str | None = None) -> PersonalDataClass:
        """The flow's word for the slot or the connector's for what it found, whichever is stricter."""
        known = self.flow.header.slots.get(slot) if slot else None
        return strictest([known.class_ if known else PersonalDataClass.NONE, *self._found(slot or "", member)])

    def classes_in(self, values: Mapping[str, Value]) -> dict[str, Classes]:
        """By their names, of what each shows of something that a connector found."""
        read = {
            name: [class_ for what in reads(value) for class_ in self._found(*what)] for name, value in values.items()
        }
        return {name: {"": strictest(classes)} for name, classes in read.items() if classes}

    def _found(self, slot: str, member: str | None) -> Collection[PersonalDataClass]:
        classes = self.found.get(slot, {})
        return [classes[member]] if member is not None and member in classes else classes.values()

    def is_about_card(self, step: Step) -> bool:
        """Whether it asks for a card number or says one."""
        shown = {(slot, None) for _, slot in step.fills()}.union(*(reads(text) for _, text in step.texts()))
        return any(self.class_of(*what) is PersonalDataClass.CARD for what in shown)

    def filled_slots(self) -> dict[str, SlotValue]:
        return {name: SlotValue(value, self.class_of(name)) for name, value in self.slots.items() if value is not None}

    def texts(self, heard: Sequence[Template], shown: Sequence[Template] | None) -> Sequence[Template]:
        """Those of a step that fit how the customer takes them in."""
        return shown if shown and self.on_screen else heard

    def values(self, facts: CallFacts, now: datetime, continued: Continued | None = None) -> dict[str, Any]:
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
                "channel": facts.channel,
                "continued": continued is not None,
            },
            "continued": {name: (getattr(continued, name, None) or "") for name in CONTINUED_VALUES},
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
        parts = [text.fill(values, lambda field_, value: self._rendered(field_, value, heard_class)) for text in texts]
        masked = [text.fill(values, lambda field_, value: self._masked(field_, value, heard_class)) for text in texts]
        file = None if self.on_screen else self._recording(texts, recording)
        if file:
            return Spoken((Utterance(" ".join(parts), language, str(file)),), " ".join(masked))
        personal = [any(self._class(field_, heard_class) for field_ in text.fields) for text in texts]
        utterances = tuple(Utterance(part, language, personal=it) for part, it in zip(parts, personal, strict=True))
        return Spoken(utterances, " ".join(masked))

    def _rendered(self, field_: Field, value: Any, heard_class: PersonalDataClass) -> str:
        """For the customer: aloud, or on a screen, which keeps no card number."""
        if not self.on_screen:
            return speak(value, field_.format, self.flow.header.language)
        if self._class(field_, heard_class) is PersonalDataClass.CARD:
            return mask(plain(value), PersonalDataClass.CARD)
        return write(plain(value), field_.format, self.flow.header.language)

    def _masked(self, field_: Field, value: Any, heard_class: PersonalDataClass) -> str:
        class_ = self._class(field_, heard_class)
        return mask(plain(value), class_) if class_ else self._rendered(field_, value, heard_class)

    def _class(self, field_: Field, heard_class: PersonalDataClass) -> PersonalDataClass | None:
        """The class of what a field shows; None where it is not personal."""
        root = field_.path[0]
        if root in {"settings", "now", "continued"}:
            return None
        if root == "call":
            return PersonalDataClass.PERSONAL
        class_ = heard_class if root == "heard" else self.class_of(root, _member(field_))
        return None if class_ is PersonalDataClass.NONE else class_

    def _recording(self, texts: Sequence[Template], name: str | None) -> Path | None:
        """A recording cannot hold values, so it stands only for a prompt without any."""
        if name is None or any(text.fields for text in texts):
            return None
        folder = self.flow.path.parent
        file = folder / name if name.endswith(".wav") else folder / "prompts" / self.flow.name / f"{name}.wav"
        return file if file.is_file() else None


def reads(value: Value) -> set[tuple[str, str | None]]:
    """The slots that a text or calculation shows, each with its member where it is one that is shown."""
    if isinstance(value, Template):
        return {(field_.path[0], _member(field_)) for field_ in value.fields}
    if isinstance(value, Expression):
        return {(name, member) for name in value.names for member in value.members(name)}
    return set()


def _member(field_: Field) -> str | None:
    return field_.path[1] if len(field_.path) > 1 else None


def fixed_prompts(flow: Flow, names: Collection[str] | None = None) -> Iterator[Utterance]:
    """What the flow may say that is known before a call, to be rendered ahead; of named steps, their own words only."""
    frame = Frame.enter(flow, {})
    steps = [step for name, step in flow.steps.items() if names is None or name in names]
    keys = _SPOKEN_KEYS if names is not None else _SPOKEN_KEYS | {"no_input", "no_match"}
    texts = [text for step in steps for where, text in step.texts() if where[0] in keys]
    texts += [text for step in steps if isinstance(step, ContinueFrom) for text in _asked_to_continue(frame, step)]
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


def _asked_to_continue(frame: Frame, step: ContinueFrom) -> Iterator[Template]:
    if "pin" in step.continue_from:
        yield from step.ask_pin or frame.words.ask_pin
    if {"number", "caller"} & set(step.continue_from):
        yield from step.confirm or frame.words.ask_continue


_SPOKEN_KEYS = frozenset({"say", "ask", "hang_up", "whisper", "prompt"})
