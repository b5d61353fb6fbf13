"""The events of conversations beyond the telephone: visits over digital channels, messages, links, joined records."""

from typing import ClassVar, Literal

from pydantic import Field

from voiceedge.context.events.call import EventData, FreeText

Way = Literal["header", "number", "pin", "caller", "link"]
Trust = Literal["proved", "likely"]


class InteractionStarted(EventData):
    """A visit over a digital channel began; `interaction` is the channel's own name of it, `call_id` of such a visit.

    `customer` is a keyed hash that stays the same for the same person, null where nobody is known.
    """

    type: ClassVar[str] = "voiceedge.interaction.started"
    interaction: FreeText
    channel: str
    direction: Literal["in", "out"]
    customer: str | None


class InteractionEnded(EventData):
    """The visit is over: who or what ended it, and the outcome where somebody named one."""

    type: ClassVar[str] = "voiceedge.interaction.ended"
    interaction: FreeText
    channel: str
    cause: Literal["customer", "agent", "flow", "idle", "moved", "failed"]
    outcome: str | None = None


class MessageSent(EventData):
    """Something was written in a visit; `agent` is set where an agent wrote it. `text` is masked."""

    type: ClassVar[str] = "voiceedge.message.sent"
    interaction: FreeText
    channel: str
    by: Literal["customer", "agent", "voiceedge"]
    text: FreeText
    agent: str | None = None


class LinkSent(EventData):
    """A link or code by which the conversation goes on in `channel` went out over `via`, or could not.

    `address` is masked; null where it was spoken only.
    """

    type: ClassVar[str] = "voiceedge.conversation.link_sent"
    interaction: FreeText
    channel: str
    via: str
    address: FreeText | None
    result: Literal["sent", "failed"]
    why: FreeText = ""


class ConversationContinued(EventData):
    """A visit turned out to continue this conversation; `joined` is the id under which it had begun, if it had one."""

    type: ClassVar[str] = "voiceedge.conversation.continued"
    interaction: FreeText
    channel: str
    by: Way
    trust: Trust
    joined: str | None


class ContinueRefused(EventData):
    """A visit could not continue an earlier conversation, and why; the visit itself goes on."""

    type: ClassVar[str] = "voiceedge.conversation.continue_refused"
    interaction: FreeText
    channel: str
    by: Way
    reason: Literal["unknown", "used", "expired", "foreign_channel", "locked", "declined"]


class ContextChanged(EventData):
    """An agent, a key of the API or a channel noted something about the conversation; `slots` are masked."""

    type: ClassVar[str] = "voiceedge.conversation.changed"
    by: str
    intent: str | None = None
    slots: dict[str, FreeText] = Field(default_factory=dict)


class NoteAdded(EventData):
    """An agent wrote a note; `to` is the agent or queue for whom it was, where the customer was sent on."""

    type: ClassVar[str] = "voiceedge.conversation.noted"
    by: str
    text: FreeText
    to: str | None = None


class ConversationClosed(EventData):
    """It was wrapped up: how it came out, and how content the customer was (1 to 5)."""

    type: ClassVar[str] = "voiceedge.conversation.closed"
    by: str
    outcome: str | None
    note: FreeText = ""
    satisfaction: int | None = None


class CustomerIdentified(EventData):
    """The conversation's customer is known: the id in the store, and whether two were found to be one."""

    type: ClassVar[str] = "voiceedge.customer.identified"
    customer_id: str
    by: Literal["phone", "email", "chat", "external"]
    merged: bool


class ConversationErased(EventData):
    """Personal data of the conversation was deleted, by age or because the person wished it."""

    type: ClassVar[str] = "voiceedge.conversation.erased"
    why: Literal["age", "request"]
    classes: tuple[Literal["personal", "sensitive", "transcript", "all"], ...]
