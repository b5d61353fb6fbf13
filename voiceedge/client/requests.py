"""Requests of the API as values: what to send, and of which type the answer is."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from voiceedge.client.answers import Call, Conversation, ConversationPage, Resolved, Slot, Ticket, Webhook

Answer = TypeVar("Answer")
Speaker = Literal["customer", "agent", "voiceedge"]


@dataclass(frozen=True)
class Request(Generic[Answer]):
    """It has one effect, however often it is sent: `once` is its Idempotency-Key; empty where it changes nothing."""

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    body: Mapping[str, Any] | None = None
    once: str = field(default_factory=lambda: str(uuid.uuid4()))


def open_conversation(
    channel: str,
    reference: str,
    *,
    language: str | None = None,
    intent: str | None = None,
    customer: Mapping[str, Any] | None = None,
    slots: Mapping[str, Slot] | None = None,
) -> Request[Conversation]:
    body = _given(
        channel=channel, reference=reference, language=language, intent=intent, customer=customer, slots=slots
    )
    return Request("POST", "/v1/conversations", body)


def search_conversations(**wanted: Any) -> Request[ConversationPage]:
    """`wanted` as the document says, such as phone, channel, since, text, limit and cursor."""
    return Request("POST", "/v1/conversations/search", _given(**wanted), once="")


def read_conversation(conversation: str) -> Request[Conversation]:
    return Request("GET", f"/v1/conversations/{conversation}")


def change_conversation(
    conversation: str,
    *,
    language: str | None = None,
    intent: str | None = None,
    outcome: str | None = None,
    slots: Mapping[str, Slot] | None = None,
) -> Request[Conversation]:
    body = _given(language=language, intent=intent, outcome=outcome, slots=slots)
    return Request("PATCH", f"/v1/conversations/{conversation}", body)


def add_turn(
    conversation: str, by: Speaker, text: str, *, agent: str | None = None, reference: str | None = None
) -> Request[Conversation]:
    body = _given(by=by, text=text, agent=agent, reference=reference)
    return Request("POST", f"/v1/conversations/{conversation}/turns", body)


def close_conversation(
    conversation: str, *, outcome: str | None = None, note: str = "", satisfaction: int | None = None
) -> Request[Conversation]:
    body = _given(outcome=outcome, note=note, satisfaction=satisfaction)
    return Request("POST", f"/v1/conversations/{conversation}/close", body)


def issue_token(
    conversation: str, channel: str, *, expires_s: float | None = None, pin: bool = False, number: bool = False
) -> Request[Ticket]:
    body = _given(channel=channel, expires_s=expires_s, pin=pin, number=number)
    return Request("POST", f"/v1/conversations/{conversation}/tokens", body)


def resolve_token(token: str, channel: str, reference: str, *, conversation: str | None = None) -> Request[Resolved]:
    body = _given(token=token, channel=channel, reference=reference, conversation_id=conversation)
    return Request("POST", "/v1/tokens/resolve", body)


def order_call(
    campaign: str,
    *,
    number: str | None = None,
    customer: str | None = None,
    conversation: str | None = None,
    values: Mapping[str, Any] | None = None,
    not_before: str | None = None,
) -> Request[Call]:
    body = _given(
        campaign=campaign, number=number, customer_id=customer, conversation_id=conversation, values=values,
        not_before=not_before,
    )  # fmt: skip
    return Request("POST", "/v1/calls", body)


def call_back(conversation: str, campaign: str, *, number: str | None = None) -> Request[Call]:
    return Request("POST", f"/v1/conversations/{conversation}/call-back", _given(campaign=campaign, number=number))


def read_call(call: str) -> Request[Call]:
    return Request("GET", f"/v1/calls/{call}")


def subscribe(url: str, types: Sequence[str] = ()) -> Request[Webhook]:
    """To events by webhook. Keep the secret: it is told this once."""
    return Request("POST", "/v1/webhooks", {"url": url, "types": list(types)})


def unsubscribe(webhook: str) -> Request[None]:
    return Request("DELETE", f"/v1/webhooks/{webhook}")


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
