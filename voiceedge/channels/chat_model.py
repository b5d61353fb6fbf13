"""A chat as others see it, and what an agent's desk can do with it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from voiceedge.errors import VoiceEdgeError
from voiceedge.flow.call import Button

By = Literal["customer", "agent", "voiceedge"]
Cause = Literal["customer", "agent", "flow", "idle", "moved", "failed"]

LONGEST_MESSAGE = 2_000  # characters


class ChatState(StrEnum):
    BOT = "bot"  # the flow answers
    CALL = "call"  # a call of the same conversation goes on: its screen
    WAITING = "waiting"  # for an agent, in `Chat.queue`
    AGENT = "agent"  # with `Chat.agent`
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Chat:
    """Times are milliseconds since 1970. `last_number` is that of the newest message.

    `wanted` is the agent for whom it waits, where it was transferred to one; `note` what was said to whoever takes it.
    """

    id: str
    conversation: str
    channel: str
    tenant: str
    language: str
    state: ChatState
    began_ms: int
    changed_ms: int
    queue: str | None = None
    agent: str | None = None
    wanted: str | None = None
    note: str = ""
    waiting_since_ms: int | None = None
    ended_ms: int | None = None
    cause: Cause | None = None
    outcome: str | None = None
    satisfaction: int | None = None
    last_number: int = 0


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """Counted from 1 within its chat. Card numbers are masked in `text`.

    `kind`: `flow` are the flow's words, `text` a person's, `note` tells what happens (an agent came), `call` is what is
    said in a call of the conversation. `digits` are the shortest and longest number that a question takes.
    `sending` is the browser's own name of what the customer wrote, under which it is written once.
    """

    number: int
    at_ms: int
    by: By
    kind: Literal["flow", "text", "note", "call"]
    text: str
    agent: str | None = None
    step: str | None = None
    buttons: tuple[Button, ...] = ()
    digits: tuple[int, int] | None = None
    offers_phone: bool = False
    sending: str = ""


class ChatError(VoiceEdgeError):
    """It cannot be done.

    `code`: unknown, ended, elsewhere, past, taken, not_yours, empty, too_long, too_many, too_fast, no_flow, no_phone,
    bad_number.
    """

    def __init__(self, code: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code, self.retry_after_s = code, retry_after_s


class ChatDesk(Protocol):
    """What an agent's desk does with chats; every method raises ChatError and StoreError."""

    async def chat(self, chat: str) -> Chat: ...

    async def messages(self, chat: str, after: int = 0) -> Sequence[ChatMessage]:
        """Those with greater numbers, in order; 500 at most."""

    async def waiting(self) -> Sequence[Chat]:
        """All that wait for an agent, who waits longest first."""

    async def of_agent(self, agent: str) -> Sequence[Chat]:
        """Those the agent talks in."""

    async def take(self, chat: str, agent: str, title: str = "") -> Chat:
        """The agent answers, and the customer is told so; `title` is the name shown. `taken`: another was first."""

    async def say(self, chat: str, agent: str, text: str) -> ChatMessage: ...

    async def transfer(
        self, chat: str, agent: str, *, queue: str | None = None, to_agent: str | None = None, note: str = ""
    ) -> Chat:
        """It waits for somebody else: of `queue`, else of its own; for `to_agent` alone where given."""

    async def send_away(self, chat: str) -> None:
        """It waits no longer, as nobody is there any more."""

    async def end(self, chat: str, agent: str, outcome: str | None = None) -> Chat:
        """The agent has done: a flow that waited for it goes on, and says good-bye; any other chat is over."""

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[Chat]]:
        """Every chat after each of its changes, a new message among them; who does not read loses the oldest."""
