"""A message on its way out, and how a try to send it can fail."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from voiceedge.channels.file import filled
from voiceedge.errors import VoiceEdgeError


@dataclass(frozen=True, slots=True)
class Message:
    """`id` is the idempotency key; `values` are what placeholders stand for."""

    id: str
    conversation: str
    interaction: str
    channel: str
    via: str
    address: str
    language: str
    values: Mapping[str, str]

    def worded(self, template: str) -> str:
        return str(filled(template, self.values))

    def envelope(self, text: str) -> Mapping[str, str]:
        return {
            **self.values,
            "text": text,
            "address": self.address,
            "id": self.id,
            "conversation": self.conversation,
            "language": self.language,
        }


class NotSentError(VoiceEdgeError):
    """The try failed; the message names neither address nor text."""

    def __init__(self, why: str, *, can_retry: bool) -> None:
        super().__init__(why)
        self.can_retry = can_retry


class Sender(Protocol):
    async def send(self, message: Message) -> None:
        """Return when the other side has taken it. Raises NotSentError."""
