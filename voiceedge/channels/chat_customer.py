"""What a customer does in a chat: writes, chooses, leaves."""

import unicodedata
from contextlib import suppress

from voiceedge.channels import chat_agents
from voiceedge.channels.chat_life import LiveChat, Told
from voiceedge.channels.chat_model import LONGEST_MESSAGE, Chat, ChatError, ChatMessage, ChatState
from voiceedge.channels.chat_words import words
from voiceedge.context.events.call import EventData
from voiceedge.context.privacy.beside import beside
from voiceedge.context.privacy.identifiers import Kind
from voiceedge.context.privacy.pii import PersonalDataClass, mask, mask_text
from voiceedge.flow.call import Keyed, Question, QueueResult
from voiceedge.flow.typed import written

MOST_AHEAD = 5  # answers that may wait for their questions
MOST_MESSAGES = 1_000  # in one chat
NEVER_KEPT = frozenset({Kind.CARD, Kind.RESIDENT})
HIDDEN = frozenset({PersonalDataClass.CARD, PersonalDataClass.SENSITIVE})


class _ChangedError(Exception):
    """The chat is in another state than a moment ago."""


async def hear(life: LiveChat, text: str, sending: str = "") -> ChatMessage:
    """Something was written. Raises ChatError and StoreError."""
    text = tidy(text)
    while True:
        with suppress(_ChangedError):
            return await _hear(life, text, sending)


async def _hear(life: LiveChat, text: str, sending: str) -> ChatMessage:
    state = life.chat.state

    def check(chat: Chat) -> None:
        _allows(life, chat)
        if chat.state is not state:
            raise _ChangedError

    shown = await beside(text, lambda: mask_text(text, NEVER_KEPT))
    if state is not ChatState.BOT:
        sent = await life.told_as("customer", shown)

        def tells(_: Chat) -> list[EventData]:
            return [] if state is ChatState.CALL else [sent]  # the flow of the call tells it

        draft = life.draft("customer", "text", shown, sending=sending)
        (message,) = await life.write(draft, guard=check, tells=tells)
    else:
        shown, answer = _kept(text, shown, life.question)
        draft = life.draft("customer", "text", shown, sending=sending)
        (message,) = await life.write(draft, told=[answer], guard=check)
    _heard(life)
    return message


async def choose(life: LiveChat, number: int, name: str) -> ChatMessage:
    """The button `name` of the message `number`. Raises ChatError and StoreError."""
    state, question = life.chat.state, life.question

    def check(chat: Chat) -> None:
        _allows(life, chat)
        answered = life.question is not question or life.tape.waiting("reply")
        if chat.state is not state or (state is ChatState.BOT and answered):
            raise ChatError("past", "this question has been answered")

    if state is ChatState.WAITING and name == chat_agents.LEAVE:
        said = life.draft("customer", "text", words(life.chat.language, "leave"))
        (message,) = await chat_agents.over(life, QueueResult.LEFT, said, guard=check)
    else:
        buttons = question.buttons if question and life.asked == number else ()
        button = next((one for one in buttons if one.name == name), None)
        if button is None:
            raise ChatError("past", "this question has been answered")
        said = life.draft("customer", "text", button.label)
        (message,) = await life.write(said, told=[Told("reply", {"choice": name})], guard=check)
    _heard(life)
    return message


def tidy(text: str) -> str:
    """What people write, without what nobody sees. Raises ChatError where nothing is left, or too much."""
    whole = unicodedata.normalize("NFC", text.encode(errors="replace").decode())
    plain = "".join(one for one in whole if one == "\n" or unicodedata.category(one) not in {"Cc", "Cs"}).strip()
    if not plain:
        raise ChatError("empty", "write something first")
    if len(plain) > LONGEST_MESSAGE:
        raise ChatError("too_long", f"a message has at most {LONGEST_MESSAGE} characters")
    return plain


def _kept(text: str, shown: str, question: Question | None) -> tuple[str, Told]:
    """How it is shown, and what the flow is told. A card number is in the flow's memory alone."""
    class_ = question.class_ if question else PersonalDataClass.NONE
    if question is None or class_ not in HIDDEN or not _has_number(text, question):
        return shown, Told("reply", {"text": shown})
    return mask(text, class_), Told("reply", {"text": text}, secret=class_ is PersonalDataClass.CARD)


def _has_number(text: str, question: Question) -> bool:
    """Whether any of it may be the number asked for, or a part of it."""
    return any(map(str.isdigit, text)) or isinstance(written(text, question), Keyed)


def _allows(life: LiveChat, chat: Chat) -> None:
    if chat.state is ChatState.ENDED:
        raise ChatError("ended", "this chat has ended: begin a new one")
    if chat.last_number >= MOST_MESSAGES:
        raise ChatError("too_many", "this chat has grown too long: begin a new one")
    if life.tape.waiting("reply") >= MOST_AHEAD:
        raise ChatError("too_fast", "one thing after the other, please", retry_after_s=2.0)


def _heard(life: LiveChat) -> None:
    life.heard_ms, life.reminded = life.now_ms, False
