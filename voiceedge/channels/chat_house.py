"""The chats of this node that are not over: taken up after a restart or from a dead node, and looked after."""

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

import structlog

from voiceedge.bus.backoff import backoff
from voiceedge.channels import chat_agents, chat_screen
from voiceedge.channels.chat_life import Around, LiveChat
from voiceedge.channels.chat_model import Chat, ChatMessage, ChatState
from voiceedge.channels.chat_runs import FlowRuns, given, has_call
from voiceedge.channels.chat_store import ChatStore, Kept
from voiceedge.channels.web_chat import WebChat
from voiceedge.clock import Clock, sleep, timeout
from voiceedge.context.cloudevents import CloudEvent, StampedEvent
from voiceedge.context.events.digital import ConversationContinued
from voiceedge.context.publishing.hub import Missed
from voiceedge.context.publishing.journal import Outgoing
from voiceedge.context.record import Conversation
from voiceedge.context.service import ContextService
from voiceedge.errors import StoreError
from voiceedge.switch.queues.nodes import GONE_S

LOOK_EVERY_S = 10.0  # for chats in which nothing happens
READY_S = 5.0
PRUNE_EVERY_MS = 3_600_000
DAY_MS = 86_400_000
FLUSH_S = 1.0
FOLLOWED = chat_screen.FOLLOWED | {ConversationContinued.type}
MOST_CHANGES = 1_000  # that one who does not read may be behind

log = structlog.get_logger()


class LiveChats:
    """`async with`. Chats that are over are kept for `kept_days`."""

    def __init__(  # noqa: PLR0917 - all of them are always given
        self,
        context: ContextService,
        store: ChatStore,
        channels: Mapping[str, WebChat],
        runs: FlowRuns,
        clock: Clock,
        kept_days: float,
    ) -> None:
        self._context, self._store, self._channels, self._runs, self._clock = context, store, channels, runs, clock
        self._kept_ms = int(kept_days * DAY_MS)
        self.outgoing = Outgoing(clock)
        self.watchers: set[asyncio.Queue[Chat]] = set()
        self._live: dict[str, LiveChat] = {}
        self._adopted: list[Kept] = []  # that are not taken up yet
        self._work: set[asyncio.Task[Any]] = set()
        self._revived, self._some = asyncio.Event(), asyncio.Event()
        self._prune_due_ms = 0
        self._running = AsyncExitStack()
        self._around = Around(
            store=store,
            clock=clock,
            outgoing=self.outgoing,
            play=lambda life: runs.play(life, self.waiting_in),
            changed=self._changed,
            over=self._over,
            spawn=self._spawn,
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            for work in (self.outgoing.drain(self._tell), self._revive(), self._look(), self._follow()):
                stack.callback(tasks.create_task(work).cancel)
            self._running = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        for life in self.all():
            await life.leave_flow()
        if self._work:
            await asyncio.wait(self._work)
        await self.outgoing.flushed(FLUSH_S)
        await self._running.aclose()

    def all(self) -> list[LiveChat]:
        return list(self._live.values())

    async def find(self, chat: str) -> LiveChat | None:
        """Raises StoreError while the store is away since the start."""
        await self.ready()
        return self._live.get(chat)

    async def ready(self) -> None:
        """Return when those of before the start are here. Raises StoreError while the store is away since then."""
        if not self._revived.is_set():
            try:
                async with timeout(self._clock, READY_S):
                    await self._revived.wait()
            except TimeoutError:
                raise StoreError("the store is away: chats go on when it is back.") from None

    def add(self, kept: Kept) -> LiveChat:
        life = self._live[kept.chat.id] = LiveChat(kept, self._around)
        self._some.set()
        return life

    def waiting_in(self, queue: str) -> int:
        """How many wait for an agent there."""
        chats = (life.chat for life in self._live.values())
        return sum(one.queue == queue and one.state is ChatState.WAITING for one in chats)

    def _over(self, life: LiveChat) -> None:
        self._live.pop(life.chat.id, None)

    def _changed(self, chat: Chat) -> None:
        for news in self.watchers:
            if news.qsize() >= MOST_CHANGES:
                news.get_nowait()
            news.put_nowait(chat)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._work.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked has been told, or has gone

    async def _tell(self, batch: Sequence[StampedEvent]) -> None:
        await self._context.ingest(batch)
        await self._store.told([event.id for event in batch])

    async def _revive(self) -> None:
        delays = backoff()
        while True:
            try:
                for event in await self._store.untold():
                    self.outgoing.put(event)
                for kept in await self._store.open():
                    if kept.chat.id not in self._live:
                        await self._revive_one(self.add(kept))
            except StoreError as error:
                log.warning("chats_wait", problem=str(error), effect="they go on when the store is back")
                await sleep(self._clock, next(delays))
            else:
                self._revived.set()
                return

    async def _revive_one(self, life: LiveChat) -> None:
        try:
            await self._guarded(life, self._take_up(life))
        except StoreError:
            self._over(life)
            await life.leave_flow()
            raise

    async def _guarded(self, life: LiveChat, work: Awaitable[None]) -> None:
        """What is wrong with one chat ends that one, and is no matter of the others. Raises StoreError."""
        try:
            await work
        except StoreError:
            raise
        except Exception:
            if life.chat.state is not ChatState.ENDED and not life.is_elsewhere:
                log.exception("chat_failed", chat=life.chat.id)
                await life.end("failed", "failed")

    async def _take_up(self, life: LiveChat) -> None:
        """Where it was. What has changed its flow begins again, unless an agent is there or awaited."""
        chat, place = life.chat, life.place
        is_same = place.runs > 0 and place.made_of == self._runs.made_of
        known = await self._known(life)
        if chat.state is ChatState.CALL:
            if known is None or not has_call(known):
                await self._after_call(life)
            else:
                await chat_screen.catch_up(life, known, self._runs.flows)
        elif is_same or chat.state in chat_agents.WITH_AGENTS:
            inputs, said = await self._store.inputs(chat.id), await self._store.said_by_flow(chat.id, place.run_after)
            life.go_on(inputs, said)
        else:
            await self._begin_again(life, life.note("new_flow"))

    async def _known(self, life: LiveChat) -> Conversation | None:
        """Its conversation, which may have become a part of another."""
        known = await self._context.conversation(life.chat.conversation)
        if known and known.id != life.chat.conversation:
            await life.write(changes={"conversation": known.id})
        return known

    async def _after_call(self, life: LiveChat) -> None:
        async with life.leaving_call:
            if life.chat.state is ChatState.CALL:
                await self._begin_again(life, life.note("call_over"))

    async def _begin_again(self, life: LiveChat, note: ChatMessage) -> None:
        settings = self._channels.get(life.chat.channel, WebChat())
        flow = self._runs.flow_of(settings, life.chat.language, linked=True)
        known = await self._known(life)
        await life.begin(flow.name, given(flow, known), self._runs.made_of, note)

    async def _look(self) -> None:
        while True:
            await sleep(self._clock, LOOK_EVERY_S)
            try:
                await self._adopt()
                for life in list(self._live.values()):
                    await self._guarded(life, self._look_at(life))
                now_ms = int(self._clock.now().timestamp() * 1000)
                if now_ms >= self._prune_due_ms:
                    self._prune_due_ms = now_ms + PRUNE_EVERY_MS
                    await self._store.prune(now_ms - self._kept_ms)
            except StoreError as error:
                log.warning("chats_not_looked_after", problem=str(error))

    async def _adopt(self) -> None:
        """The visitors of a node that is gone go on here, as after a restart."""
        if nodes := await self._context.silent_nodes(GONE_S):
            kept, events = await self._store.adopt(nodes)
            self._adopted += kept
            for event in events:
                self.outgoing.put(event)
            if kept:
                log.warning("chats_taken_over", chats=len(kept), nodes=nodes)
        while self._adopted:
            life = self.add(self._adopted[-1])
            async with life.hearing:  # what the customer says meanwhile comes after what the flow has heard
                await self._revive_one(life)
            self._adopted.pop()

    async def _look_at(self, life: LiveChat) -> None:
        """A reminder after half the time that a customer may be silent; the end after all of it.

        A call whose end was missed is over.
        """
        if life.chat.state is ChatState.CALL:
            known = await self._known(life)
            if known is None or not has_call(known):
                await self._after_call(life)
            return
        settings = self._channels.get(life.chat.channel, WebChat())
        silent_min = (life.now_ms - life.heard_ms) / 60_000
        if life.chat.state not in {ChatState.BOT, ChatState.AGENT}:
            return
        if silent_min >= settings.idle_min:
            await life.end("idle", word="idle")
        elif silent_min >= settings.idle_min / 2 and life.question and not life.reminded:
            life.reminded = True
            await life.write(life.note("reminder"))

    async def _follow(self) -> None:
        """Calls of the chats' conversations."""
        while True:
            await self._some.wait()
            try:
                async with self._context.hub.subscribe(types=FOLLOWED) as subscription:
                    async for delivery in subscription:
                        if isinstance(delivery, Missed):
                            continue
                        for life in self._concerned_by(delivery.event):
                            await self._guarded(life, self._follow_one(life, delivery.event))
            except StoreError as error:
                log.warning("calls_not_followed", problem=str(error))
                await sleep(self._clock, LOOK_EVERY_S)

    def _concerned_by(self, event: CloudEvent) -> list[LiveChat]:
        names = {event.subject, event.data.get("joined")}
        return [life for life in self._live.values() if life.chat.conversation in names]

    async def _follow_one(self, life: LiveChat, event: CloudEvent) -> None:
        if event.type == ConversationContinued.type:
            await self._known(life)
        elif await chat_screen.follow(life, event, self._runs.flows):
            await self._after_call(life)
