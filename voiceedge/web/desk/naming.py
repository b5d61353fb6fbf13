"""What slots and intents are called, as their flows tell people."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from voiceedge.context.record import Conversation
from voiceedge.flow.book import Flows
from voiceedge.flow.model import Flow
from voiceedge.flow.steps import Ask, Choice


@dataclass(frozen=True, slots=True)
class Titles:
    """By the names that flows have for themselves; those without words of their own are not in it."""

    slots: Mapping[str, str] = field(default_factory=dict)
    intents: Mapping[str, str] = field(default_factory=dict)


def titles(flows: Flows, record: Conversation) -> Titles:
    """Those of the flows that the conversation went through, the last first."""
    slots, intents = dict[str, str](), dict[str, str]()
    for name in dict.fromkeys(step.flow for step in reversed(record.journey)):
        if flow := flows.get(name):
            slots = {slot: told.means for slot, told in flow.header.slots.items() if told.means} | slots
            intents = dict(_intents(flow)) | intents
    return Titles(slots, intents)


def _intents(flow: Flow) -> Iterator[tuple[str, str]]:
    choices: list[Choice] = [*flow.header.anywhere.values()]
    for step in flow.steps.values():
        choices += step.choices.values() if isinstance(step, Ask) else ()
    for choice in choices:
        words = choice.name or next(iter(choice.say), "")
        if choice.intent and words:
            yield choice.intent, words
