"""A flow's `Call` in a chat: prompts are messages, choices are buttons, and answers are typed or tapped."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

from voiceedge.channels.chat_life import LiveChat
from voiceedge.channels.chat_words import words
from voiceedge.context.events.digital import MessageSent, Way
from voiceedge.context.record import Slot
from voiceedge.flow.call import (
    PHONE,
    CallFacts,
    Continued,
    Dial,
    DialResult,
    Enqueue,
    HandOver,
    HandOverTicket,
    NotContinued,
    Question,
    QueueResult,
    RecordAction,
    Reply,
    TransferResult,
    Utterance,
    Voicemail,
    VoicemailResult,
)


class ChatCall:
    """What does not depend on the customer is taken from the tape where it is there: it happened before a restart."""

    def __init__(
        self,
        life: LiveChat,
        wait: Callable[[Enqueue], Awaitable[QueueResult]],
        resume: Callable[[str], Awaitable[Continued | NotContinued]],
    ) -> None:
        """`wait` is for an agent; `resume` goes on with what was there before the chat, or what a PIN stands for."""
        self._life, self._wait, self._resume = life, wait, resume
        chat = life.chat
        self._facts = CallFacts(
            call_id=chat.id,
            conversation_id=chat.conversation,
            caller="",
            called="",
            given=life.place.given,
            channel=chat.channel,
        )

    @property
    def facts(self) -> CallFacts:
        return self._facts

    async def say(self, utterances: Sequence[Utterance], *, barge_in: bool = True) -> None:  # noqa: ARG002
        await self._life.show(_text(utterances))

    async def ask(self, question: Question) -> Reply:
        digits = (question.keys.shortest, question.keys.longest) if question.keys.longest else None

        async def put() -> None:
            await self._life.show(_text(question.prompt), buttons=question.buttons, digits=digits, step=question.name)

        await put()
        return await self._life.answer(question, put)

    async def hand_over(self, request: HandOver) -> HandOverTicket | None:
        """To the telephone: the customer takes it up, or not. To this very chat: there is nothing to hand over."""
        if request.channel != PHONE:
            return None
        await self._offer_phone()
        return HandOverTicket("", PHONE)

    async def resume(self, way: Way, pin: str = "", *, confirmed: bool = False) -> Continued | NotContinued:  # noqa: ARG002 - a link is proof
        if told := self._life.tape.take("resumed"):
            return _read(told.value)
        found = await self._resume(pin)
        await self._life.keep("resumed", _written(found))
        self._life.tape.take("resumed")
        return found

    async def transfer(self, target: str) -> TransferResult:  # noqa: ARG002 - nobody can be sent there from here
        await self._offer_phone()
        return TransferResult.FAILED

    async def dial(self, wish: Dial) -> DialResult:  # noqa: ARG002 - as above
        await self._offer_phone()
        return DialResult.FAILED

    async def queue(self, wish: Enqueue) -> QueueResult:
        return await self._wait(wish)

    async def voicemail(self, wish: Voicemail) -> VoicemailResult:
        await self._life.show(_text(wish.prompt))
        text = str((await self._life.told()).value["text"])
        chat = self._life.chat
        self._life.run_journal.record(MessageSent(interaction=chat.id, channel=chat.channel, by="customer", text=text))
        await self._life.show(words(chat.language, "kept"))
        return VoicemailResult.KEPT

    async def record(self, action: RecordAction) -> None:
        pass  # what is written is kept anyway

    async def hang_up(self) -> None:
        pass  # with its flow the chat is over

    async def _offer_phone(self) -> None:
        await self._life.show(words(self._life.chat.language, "by_phone"), offers_phone=True)


def _written(found: Continued | NotContinued) -> Any:
    if isinstance(found, NotContinued):
        return found.value
    return asdict(found) | {"slots": {name: slot.model_dump(mode="json") for name, slot in found.slots.items()}}


def _read(value: Any) -> Continued | NotContinued:
    if isinstance(value, str):
        return NotContinued(value)
    return Continued(**value | {"slots": {name: Slot.model_validate(slot) for name, slot in value["slots"].items()}})


def _text(utterances: Sequence[Utterance]) -> str:
    return "\n".join(utterance.text for utterance in utterances)
