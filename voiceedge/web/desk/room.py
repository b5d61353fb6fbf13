"""What all desks of this process share: sessions, contacts, offered chats, open streams, and how they hear of news."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import structlog

from voiceedge.channels.assigning import ChatAssigning
from voiceedge.channels.chat_model import Chat, ChatState
from voiceedge.clock import sleep
from voiceedge.context.events.call import (
    AgentStateChanged,
    BridgeEnded,
    BridgeStarted,
    CallEnded,
    CallTransferred,
    QueueJoined,
    QueueLeft,
)
from voiceedge.context.events.digital import ConversationContinued
from voiceedge.context.privacy.pii import mask_text
from voiceedge.context.publishing.hub import Delivery, Missed
from voiceedge.context.record import Conversation
from voiceedge.context.storage.rows import ms
from voiceedge.errors import StoreError
from voiceedge.switch.plan import AgentEntry, Desk
from voiceedge.switch.queues.messages import AgentChange, AgentState
from voiceedge.switch.queues.watching import Watching
from voiceedge.web.desk.attempts import Attempts
from voiceedge.web.desk.coming import Coming
from voiceedge.web.desk.contacts import Contacts
from voiceedge.web.desk.naming import Titles, titles
from voiceedge.web.desk.sessions import Sessions
from voiceedge.web.desk.streams import Streams
from voiceedge.web.services import Services

AGAIN_S = 2.0
PRUNE_EVERY_S = 3_600.0
NOTED_FOR_S = 900.0  # a conversation that stays open at a desk is one reading for so long
MOST_NOTED = 10_000

log = structlog.get_logger()


class DeskRoom:
    def __init__(self, services: Services) -> None:
        self.services = services
        context, clock, queues = services.context, services.clock, services.queues
        self.sessions, self.attempts = Sessions(context.database, clock, self._code_of), Attempts(clock)
        self.contacts, self.coming = Contacts(context.database, clock), Coming(clock)
        self.watching = Watching(queues, context.database, clock)
        self.assigning = ChatAssigning(
            services.chats, queues, services.desks, clock, changed=self._changed, taken=self._taken
        )
        self.streams = Streams(self._came, self._went)
        self._read: dict[tuple[str, str], float] = {}

    @property
    def agents(self) -> Mapping[str, AgentEntry]:
        return self.services.queues.rules.agents

    @property
    def plan(self) -> Desk:
        return self.services.queues.rules.desk

    def titles(self, record: Conversation) -> Titles:
        return titles(self.services.chats.flows, record)

    def _code_of(self, agent: str) -> str | None:
        entry = self.agents.get(agent)
        return entry.code if entry else None

    async def note(self, actor: str, action: str, subject: str = "", *, conversation: str | None = None) -> None:
        await self.services.context.access.note(actor, action, subject, conversation=conversation)

    async def note_reading(self, session: str, actor: str, conversation: str) -> None:
        """Once for as long as somebody has it open."""
        now, key = self.services.clock.monotonic(), (session, conversation)
        if now - self._read.get(key, -NOTED_FOR_S) >= NOTED_FOR_S:
            await self.note(actor, "read", conversation=conversation)
            self._read.pop(key, None)
            self._read[key] = now
            if len(self._read) > MOST_NOTED:
                del self._read[next(iter(self._read))]

    async def begin_work(self, agent: str) -> None:
        """Whoever is not at work yet is available; a break or a talk goes on."""
        picture = await self.services.queues.picture()
        known = picture.state.agents.get(agent)
        if known is None or known.state is AgentState.LOGGED_OUT:
            await self.services.queues.agent_asked(AgentChange(agent=agent, state=AgentState.AVAILABLE))

    async def end_work(self, agent: str) -> None:
        await self.assigning.give_back(agent)
        await self.services.queues.agent_asked(AgentChange(agent=agent, state=AgentState.LOGGED_OUT))

    # What happens.

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for work in (self._follow_events(), self._follow_chats(), self.assigning.run(), self._prune()):
                group.create_task(work)

    async def _follow_events(self) -> None:
        after = None  # the last event that was dealt with
        while True:
            try:
                async with self.services.context.hub.subscribe(after=after) as deliveries:
                    after = after or str(deliveries.position)
                    await self._reconcile()
                    async for delivery in deliveries:
                        if isinstance(delivery, Missed):
                            self._changed()
                        else:
                            await self._heard(delivery)
                        after = delivery.cursor
            except StoreError as error:
                log.warning("desk_behind", problem=str(error), effect="desks are told when the store is back")
            await sleep(self.services.clock, AGAIN_S)

    async def _reconcile(self) -> None:
        """Calls whose end nobody told us, as we were not there: of those no worker of ours knows the call."""
        if self.services.context.database.shared:
            return  # other nodes' calls are not ours to judge
        answers = await self.services.ask_workers("calls", {})
        up = {mask_text(call["call_id"]) for answer in answers.values() for call in answer.get("calls", ())}
        for contact in await self.contacts.under_way():
            if contact.channel == "phone" and contact.reference not in up:
                await self.contacts.end(contact.reference, ms(self.services.clock.now()))

    async def _prune(self) -> None:
        while True:
            with suppress(StoreError):  # then the next time
                await self.contacts.prune(self.services.config.retention.conversations_days)
            await sleep(self.services.clock, PRUNE_EVERY_S)

    async def _heard(self, delivery: Delivery) -> None:
        event, data, at_ms = delivery.event, delivery.event.data, ms(delivery.event.time)
        self.streams.conversation_changed(event.subject)
        match event.type:
            case BridgeStarted.type if agent := data["agent"]:
                await self.contacts.begin(agent, event.subject, "phone", data["call_id"], data["queue"], at_ms)
                self.coming.answered(data["call_id"], agent)
                self._changed(agent)
            case BridgeEnded.type if agent := data["agent"]:
                self.coming.left(data["call_id"], agent)
                await self.contacts.end(data["call_id"], at_ms, agent)
                self._changed(agent)
            case CallTransferred.type if data["result"] != "done":  # else they are joined in a moment
                self.coming.over(data["call_id"])
                self._changed()
            case CallEnded.type:
                self.coming.over(data["call_id"])
                self._changed(*await self.contacts.end(data["call_id"], at_ms))
            case AgentStateChanged.type:
                self.assigning.wake()
                self._changed(data["agent"])
            case ConversationContinued.type if joined := data["joined"]:
                await self.contacts.joined(joined, event.subject)
                self.streams.conversation_changed(joined)
                self._changed()
            case QueueJoined.type | QueueLeft.type:
                self.streams.desk_changed(*self.services.queues.rules.agents_of.get(data["queue"], ()))

    async def _follow_chats(self) -> None:
        async with self.services.chats.changes() as changes:
            known = await self._written()  # after that, so that no change falls between
            async for chat in changes:
                try:
                    await self._chat_changed(chat, known)
                except StoreError as error:
                    log.warning("desk_behind", problem=str(error), effect="a chat may be missing from its agent's list")

    async def _written(self) -> dict[str, str]:
        """Chats that agents are in, and who is."""
        while True:
            try:
                return {chat.id: agent for agent in self.agents for chat in await self.services.chats.of_agent(agent)}
            except StoreError:  # whoever has the chats tells of it
                await sleep(self.services.clock, AGAIN_S)

    async def _chat_changed(self, chat: Chat, known: dict[str, str]) -> None:
        agent = chat.agent if chat.state is ChatState.AGENT else None
        before = known.pop(chat.id, None)
        if before and before != agent:
            await self.contacts.end(chat.id, chat.changed_ms, before)
            self._changed(before)
        if agent:
            known[chat.id] = agent
            if before != agent:
                await self._taken(chat)
            self._changed(agent)
        elif chat.state is ChatState.WAITING:
            self._changed()
        self.assigning.wake()
        self.streams.conversation_changed(chat.conversation)

    async def _taken(self, chat: Chat) -> None:
        agent = chat.agent or ""
        await self.contacts.begin(agent, chat.conversation, chat.channel, chat.id, chat.queue, chat.changed_ms)

    def _changed(self, *agents: str) -> None:
        """For these agents; for everybody where none is named."""
        self.streams.desk_changed(*(agents or self.agents))

    def _came(self, agent: str) -> None:
        self.assigning.arrived(agent)

    def _went(self, agent: str) -> None:
        self.assigning.left(agent)


@asynccontextmanager
async def opened(services: Services) -> AsyncIterator[DeskRoom]:
    """For as long as the block lasts desks are told what happens."""
    room = DeskRoom(services)
    running = asyncio.create_task(_guarded(room))
    try:
        yield room
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _guarded(room: DeskRoom) -> None:
    """What fails in here is told, and begun anew: desks must not go blind."""
    while True:
        try:
            await room.run()
        except* Exception:
            log.exception("desks_not_followed")
        await sleep(room.services.clock, AGAIN_S)
