"""One chat while it is not over: what is written in it is on the disk before anybody sees it, in one order for all."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import structlog

from voiceedge.bus.backoff import backoff
from voiceedge.channels.chat_model import By, Cause, Chat, ChatError, ChatMessage, ChatState
from voiceedge.channels.chat_store import Change, ChatStore, FlowPlace, Input, InputKind, Kept
from voiceedge.channels.chat_tape import RunJournal, Tape
from voiceedge.channels.chat_words import Word, words
from voiceedge.clock import Clock, sleep
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import EventData, Journal
from voiceedge.context.events.digital import InteractionEnded, MessageSent
from voiceedge.context.privacy.beside import beside
from voiceedge.context.publishing.journal import Outgoing
from voiceedge.context.record import Changes
from voiceedge.errors import StoreError
from voiceedge.flow.call import Button, Question, Reply
from voiceedge.flow.typed import chosen, written

LONGEST_OUTCOME = 64
NOTHING: Mapping[str, Any] = {}
BACK: Mapping[str, Any] = {  # with its flow
    "state": ChatState.BOT, "queue": None, "agent": None, "wanted": None, "note": "", "waiting_since_ms": None,
}  # fmt: skip

log = structlog.get_logger()


class Bell:
    """Wakes all who wait: each takes `next` first, looks at how things are, and waits for it then."""

    def __init__(self) -> None:
        self.next = asyncio.Event()

    def ring(self) -> None:
        rung, self.next = self.next, asyncio.Event()
        rung.set()


@dataclass(frozen=True, slots=True)
class Told:
    """Something the flow is told. A secret is not for the disk: it is asked for once more after a restart."""

    kind: InputKind
    value: Any
    secret: bool = False


@dataclass(frozen=True)
class Around:
    """What chats share. `play` walks a chat's flow to its end, and tells the outcome."""

    store: ChatStore
    clock: Clock
    outgoing: Outgoing
    play: Callable[["LiveChat"], Awaitable[str]]
    changed: Callable[[Chat], None]
    over: Callable[["LiveChat"], None]
    spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]


class LiveChat:
    """Its methods raise StoreError; those that its flow uses wait for the store instead."""

    def __init__(self, kept: Kept, around: Around) -> None:
        self.chat, self.place, self.secret, self.visitor = kept.chat, kept.place, kept.secret, kept.visitor
        self.bell = Bell()
        self.heard_ms = kept.chat.changed_ms  # when a person last wrote
        self.reminded = False
        self.is_elsewhere = False  # where this node was thought to be gone
        self.question: Question | None = None  # that waits for its answer …
        self.asked = 0  # … and the message it stands in
        self.call: str | None = None  # one of the conversation that goes on …
        self.on_call: tuple[tuple[Button, ...], str] = (), ""  # … and what can be chosen at which of its steps
        self.leaving_call = asyncio.Lock()
        self.hearing = asyncio.Lock()  # one thing after the other of the customer's
        self._around, self._clock = around, around.clock
        self.tape = Tape((), kept.place.run_ms, around.clock)
        self._silent: deque[int] = deque()  # messages that the flow had sent before a restart
        self._writing = asyncio.Lock()
        self._run: asyncio.Task[Any] | None = None
        self.run_journal: Journal = self._journal()

    @property
    def now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    # What is written.

    async def write(
        self,
        *drafts: ChatMessage,
        told: Sequence[Told] = (),
        place: FlowPlace | None = None,
        forget_inputs_from: int | None = None,
        guard: Callable[[Chat], None] | None = None,
        changes: Mapping[str, Any] = NOTHING,
        tells: Callable[[Chat], Sequence[EventData]] | None = None,
    ) -> list[ChatMessage]:
        """Whole, even where whoever asked has gone meanwhile. The messages get their numbers here.

        `guard` raises ChatError where the chat, as it is when its turn has come, does not allow it; `changes` are those
        of the chat's own fields; `tells` says what others are told, given the chat as it was. Raises ChatError, too,
        where it has ended.
        """
        change = self._write(drafts, told, place, forget_inputs_from, guard, changes, tells)
        return await asyncio.shield(self._around.spawn(change))

    async def _write(  # noqa: PLR0917 - those of write
        self,
        drafts: Sequence[ChatMessage],
        told: Sequence[Told],
        place: FlowPlace | None,
        forget_inputs_from: int | None,
        guard: Callable[[Chat], None] | None,
        changes: Mapping[str, Any],
        tells: Callable[[Chat], Sequence[EventData]] | None,
    ) -> list[ChatMessage]:
        async with self._writing:
            if guard:
                guard(self.chat)
            if self.chat.state is ChatState.ENDED:
                raise ChatError("ended", "this chat has ended: begin a new one")
            now, last = self.now_ms, self.chat.last_number
            messages = [replace(draft, number=last + count, at_ms=now) for count, draft in enumerate(drafts, 1)]
            chat = replace(self.chat, **changes, changed_ms=now, last_number=last + len(messages))
            first = self.tape.next_number
            inputs = [Input(first + count, now, one.kind, one.value) for count, one in enumerate(told)]
            kept = [
                replace(one, value={"secret": True}) if given.secret else one
                for one, given in zip(inputs, told, strict=True)
            ]
            events = [stamped(event, chat, self._clock) for event in (tells(self.chat) if tells else ())]
            try:
                await self._around.store.write(Change(chat, messages, kept, place, forget_inputs_from, events))
            except ChatError:
                self._lost()
                raise
            self.chat, self.place = chat, place or self.place
            for one in inputs:
                self.tape.add(one)
            for event in events:
                self._around.outgoing.put(event)
        self.bell.ring()
        self._around.changed(chat)
        return messages

    def _lost(self) -> None:
        """Another node has it by now."""
        self.is_elsewhere = True
        self._around.over(self)
        self._around.spawn(self.leave_flow())
        self.bell.ring()

    async def patiently(self, *drafts: ChatMessage, **more: Any) -> list[ChatMessage]:
        """The same, for what nobody could try again."""
        delays = backoff()
        while True:
            try:
                return await self.write(*drafts, **more)
            except StoreError as error:
                log.warning("chat_waits", problem=str(error), effect="it goes on when the store is back")
                await sleep(self._clock, next(delays))

    def draft(self, by: By, kind: Any, text: str, **more: Any) -> ChatMessage:
        return ChatMessage(0, 0, by, kind, text, **more)

    def note(self, word: Word, **values: str) -> ChatMessage:
        return self.draft("voiceedge", "note", words(self.chat.language, word).format(**values))

    async def told_as(self, by: Literal["customer", "agent"], text: str, agent: str | None = None) -> MessageSent:
        """What others are told of what somebody wrote: masked, beside the event loop where it is long."""
        chat = self.chat
        return await beside(
            text, lambda: MessageSent(interaction=chat.id, channel=chat.channel, by=by, text=text, agent=agent)
        )

    # The flow.

    async def begin(self, flow: str, given: Mapping[str, Any], made_of: str, *before: ChatMessage) -> None:
        """Walk `flow` from its start, after these messages."""
        await self.leave_flow()
        after = self.chat.last_number + len(before)
        place = FlowPlace(flow, self.place.runs + 1, after, self.now_ms, given, made_of)
        self.tape = Tape((), place.run_ms, self._clock)
        await self.write(*before, place=place, forget_inputs_from=0, changes=BACK)
        self._start()

    def go_on(self, inputs: Sequence[Input], said: Sequence[int]) -> None:
        """Walk the flow again to where it was: it had been told `inputs`, and had sent the messages `said`."""
        self.tape = Tape(inputs, self.place.run_ms, self._clock)
        self._silent = deque(said)
        self._start()

    def _journal(self) -> RunJournal:
        run = f"{self.chat.id}.{self.place.runs}"
        return RunJournal(self._around.outgoing, self.chat.conversation, run, self.tape, self._clock)

    def _start(self) -> None:
        self.run_journal = self._journal()
        self._run = self._around.spawn(self._live())

    async def _live(self) -> None:
        cause: Cause = "flow"
        try:
            outcome = await self._around.play(self)
        except Exception:
            if self.chat.state is ChatState.ENDED or self.is_elsewhere:
                return
            log.exception("chat_failed", flow=self.place.flow)
            outcome, cause = "failed", "failed"
        delays = backoff()
        while True:
            try:
                await self.end(cause, outcome)
            except StoreError:
                await sleep(self._clock, next(delays))
            else:
                return

    async def leave_flow(self) -> None:
        """Nothing of its run happens after this."""
        run, self._run = self._run, None
        if run and run is not asyncio.current_task():
            run.cancel()
            await asyncio.wait([run])
        self.question = None
        self._silent.clear()

    async def show(self, text: str, **more: Any) -> None:
        """The flow's words; those that it had sent before a restart are not sent twice."""
        if not text.strip():
            return
        if self._silent:
            self.asked = self._silent.popleft()
            return
        (message,) = await self.patiently(self.draft("voiceedge", "flow", text, **more))
        self.asked = message.number

    async def answer(self, question: Question, put: Callable[[], Awaitable[None]]) -> Reply:
        """The customer's next one; `put` asks once more."""
        self.question = question
        try:
            while True:
                told = await self.told()
                if told.value.get("secret"):
                    self.tape.forget()
                    self._silent.clear()
                    await self.patiently(self.note("secret"), forget_inputs_from=told.number)
                    await put()
                elif choice := told.value.get("choice"):
                    found = next((button for button in question.buttons if button.name == choice), None)
                    return chosen(found or Button(choice, choice))
                else:
                    return written(told.value["text"], question)
        finally:
            self.question = None

    async def told(self) -> Input:
        """What the customer answers next."""
        while True:
            news = self.bell.next
            if told := self.tape.take("reply"):
                return told
            await news.wait()

    async def keep(self, kind: InputKind, value: Any) -> None:
        """For the walk after a restart."""
        await self.patiently(told=[Told(kind, value)])

    # The end.

    async def end(self, cause: Cause, outcome: str | None = None, word: Word = "ended") -> None:
        outcome = (self.chat.outcome or outcome or "")[:LONGEST_OUTCOME] or None
        nothing = replace(self.place, given={})
        over = {"state": ChatState.ENDED, "ended_ms": self.now_ms, "cause": cause, "outcome": outcome}

        def tells(chat: Chat) -> list[EventData]:
            return [InteractionEnded(interaction=chat.id, channel=chat.channel, cause=cause, outcome=outcome)]

        try:
            await self.write(self.note(word), place=nothing, forget_inputs_from=0, changes=over, tells=tells)
        except ChatError:  # somebody else was first
            return
        self._around.over(self)
        await self.leave_flow()


def stamped(event: EventData, chat: Chat, clock: Clock, changes: Changes | None = None) -> StampedEvent:
    """It happens now."""
    return StampedEvent(
        id=new_id(clock),
        time=clock.now(),
        conversation=chat.conversation,
        type=event.type,
        data=event,
        changes=changes or Changes(),
    )
