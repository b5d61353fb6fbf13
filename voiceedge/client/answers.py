"""What the API answers, for type checkers: plain dictionaries otherwise. Times are RFC 3339."""

from typing import Any, Literal, TypedDict


class Slot(TypedDict):
    value: str
    personal_data: Literal["none", "personal", "sensitive", "card"]


class Visit(TypedDict):
    channel: str
    reference: str
    direction: Literal["in", "out"]
    started_at: str
    ended_at: str | None
    cause: str | None


class Turn(TypedDict):
    time: str
    speaker: Literal["caller", "agent", "voiceedge"]
    channel: str
    text: str
    agent: str | None


class Conversation(TypedDict):
    id: str
    started_at: str
    updated_at: str
    ended_at: str | None
    customer_id: str | None
    language: str | None
    intent: str | None
    outcome: str | None
    note: str
    satisfaction: int | None
    queue: str | None
    agent: str | None
    slots: dict[str, Slot]
    channels: list[Visit]
    turns: list[Turn]


class ConversationLine(TypedDict):
    id: str
    started_at: str
    ended_at: str | None
    customer_id: str | None
    outcome: str | None
    channels: list[str]


class ConversationPage(TypedDict):
    conversations: list[ConversationLine]
    next: str | None


class Ticket(TypedDict):
    """By which a customer goes on in another channel."""

    token: str
    expires_at: str
    pin: str | None
    number: str | None
    code_expires_at: str | None
    link: str | None


class Resolved(TypedDict):
    by: str
    trust: Literal["proved", "likely"]
    conversation: Conversation


class Call(TypedDict):
    id: str
    conversation_id: str
    campaign: str
    number: str
    state: str
    tries: int
    due_at: str
    result: str | None
    outcome: str | None


class Webhook(TypedDict):
    id: str
    url: str
    types: list[str]
    state: Literal["enabled", "disabled"]
    why: str
    secret: str


Event = dict[str, Any]
