"""Chats that wait are offered to agents as callers are: by queue and skills, the longest idle first, one by one."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from voiceedge.channels.chat_model import Chat, ChatDesk, ChatError
from voiceedge.channels.desks import GONE_S, Desks
from voiceedge.clock import Clock, timeout
from voiceedge.errors import StoreError
from voiceedge.switch.plan import AgentEntry, QueueEntry
from voiceedge.switch.queues.matching import MIDDLE, Free, Waiting, match, rank_ms
from voiceedge.switch.queues.messages import AgentChange, AgentState
from voiceedge.switch.queues.model import BACK_FIRST, MISSED, Agent
from voiceedge.switch.queues.service import QueueService

WANTED_S = 60.0  # a chat waits for one agent alone, and then for anybody of its queue
BEAT_S, IDLE_BEAT_S = 1.0, 10.0
ANY = ""  # the queue of chats that name none: any agent of the tenant

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Offer:
    """`since_ms` is by the wall clock, for people to see; `until` by the monotonic one."""

    chat: Chat
    agent: str
    since_ms: int
    until: float


@dataclass(slots=True)
class _Conduct:
    """Of an agent. `swept`: the chats of one who has gone have been given back."""

    swept: bool = False
    missed: int = 0  # offers in a row


@dataclass(slots=True)
class _History:
    """Of a chat that waits: who has let it pass, and whether an agent of its has gone."""

    passed: set[str] = field(default_factory=set)
    returned: bool = False


class ChatAssigning:
    """`changed` is told of each agent to whom something is offered, or no longer; `taken` is done before the latter."""

    def __init__(
        self,
        chats: ChatDesk,
        queues: QueueService,
        desks: Desks,
        clock: Clock,
        *,
        changed: Callable[[str], None],
        taken: Callable[[Chat], Awaitable[None]],
    ) -> None:
        self._chats, self._queues, self._desks, self._clock = chats, queues, desks, clock
        self._changed, self._taken = changed, taken
        self._conducts: dict[str, _Conduct] = {}
        self._histories: dict[str, _History] = {}
        self._offers: dict[str, Offer] = {}  # by chat
        self._wake = asyncio.Event()

    # What desks tell and ask.

    def arrived(self, agent: str) -> None:
        """One more desk of theirs is open."""
        self._desks.opened(agent)
        self._conduct(agent).swept = False
        self.wake()

    def left(self, agent: str) -> None:
        self._desks.closed(agent)
        self.wake()

    def wake(self) -> None:
        """Something has changed for which somebody may wait."""
        self._wake.set()

    def offers_to(self, agent: str) -> list[Offer]:
        return [offer for offer in self._offers.values() if offer.agent == agent]

    async def accept(self, chat: str, agent: str, title: str) -> Chat:
        """Raises ChatError where it is not offered to them any more, and StoreError."""
        if chat not in self._offers or self._offers[chat].agent != agent:
            raise ChatError("taken", "this chat is not offered to you any more")
        taken = await self._chats.take(chat, agent, title)
        await self._taken(taken)
        self._withdraw(chat)
        self._histories.pop(chat, None)
        self._conduct(agent).missed = 0
        return taken

    def decline(self, chat: str, agent: str) -> None:
        offer = self._offers.get(chat)
        if offer and offer.agent == agent:
            self._pass(offer)
            self.wake()

    async def give_back(self, agent: str) -> None:
        """All chats of an agent who leaves wait again, before those who have talked with nobody yet."""
        for offer in self.offers_to(agent):
            self._pass(offer)
        for chat in await self._chats.of_agent(agent):
            with suppress(ChatError):  # it has just ended
                await self._chats.transfer(chat.id, agent, queue=chat.queue, note=chat.note)
                self._histories[chat.id] = _History({agent}, returned=True)
        self.wake()

    # Time.

    async def run(self) -> None:
        """For ever: no trouble of the store's ends this."""
        while True:
            self._wake.clear()
            busy = True
            try:
                busy = await self.take_turn()
            except StoreError as error:
                log.warning("chats_wait", problem=str(error), effect="nobody is offered a chat until it is back")
            except Exception:
                log.exception("chats_not_offered")
            with suppress(TimeoutError):
                async with timeout(self._clock, BEAT_S if busy else IDLE_BEAT_S):
                    await self._wake.wait()

    async def take_turn(self) -> bool:
        """Once; whether time alone will change something soon."""
        for agent in self._queues.rules.agents:
            self._conduct(agent)
        for agent, conduct in list(self._conducts.items()):
            if not conduct.swept and self._desks.has_gone(agent):
                await self.give_back(agent)
                conduct.swept = True
        waiting = {chat.id: chat for chat in await self._chats.waiting()}
        agents = (await self._queues.picture()).state.agents
        await self._let_go(waiting, agents)
        await self._send_away(waiting.values(), agents)
        for chat in self._histories.keys() - waiting.keys():
            del self._histories[chat]
        await self._offer([chat for chat in waiting.values() if chat.id not in self._offers])
        return bool(waiting) or any(
            not conduct.swept and not self._desks.is_open(agent) for agent, conduct in self._conducts.items()
        )

    async def _let_go(self, waiting: Mapping[str, Chat], agents: Mapping[str, Agent]) -> None:
        """Offers nobody took in time, and those of chats that wait no more."""
        for offer in list(self._offers.values()):
            if offer.chat.id not in waiting:
                self._withdraw(offer.chat.id)
            elif not self._may_take(offer.agent, agents):
                self._withdraw(offer.chat.id)  # through no fault of theirs
            elif self._clock.monotonic() >= offer.until:
                self._pass(offer)
                await self._missed(offer.agent)

    async def _send_away(self, waiting: Collection[Chat], agents: Mapping[str, Agent]) -> None:
        """Whoever has waited for a while in a queue that all have left: its last agent's chats may have another yet."""
        queues, now_ms = self._queues.rules.queues, self._now_ms
        for chat in waiting:
            queue, since = chat.queue or ANY, chat.waiting_since_ms or chat.changed_ms
            patient = queue not in queues or now_ms - since < GONE_S * 1000
            if not patient and not self._desks.attend(queue, chat.tenant, agents):
                with suppress(ChatError):  # it has just ended
                    await self._chats.send_away(chat.id)

    async def _missed(self, agent: str) -> None:
        conduct, entry = self._conduct(agent), self._queues.rules.agents.get(agent)
        conduct.missed += 1
        if entry and conduct.missed >= entry.misses:
            conduct.missed = 0
            await self._queues.agent_asked(AgentChange(agent=agent, state=AgentState.BREAK, reason=MISSED))

    async def _offer(self, chats: Sequence[Chat]) -> None:
        rules, now_ms = self._queues.rules, self._now_ms
        agents = (await self._queues.picture()).state.agents
        room = {name: entry.chats for name, entry in rules.agents.items() if self._may_take(name, agents)}
        for name in room:
            room[name] -= len(await self._chats.of_agent(name)) + len(self.offers_to(name))
        free = [name for name, places in room.items() if places > 0]
        for chat in chats:  # those that are meant for somebody
            if chat.wanted in free and chat.wanted not in self._history(chat).passed:
                self._begin(chat, chat.wanted)
                free.remove(chat.wanted)
        chats = [chat for chat in chats if chat.id not in self._offers and not self._is_kept(chat, now_ms)]
        for tenant in {chat.tenant for chat in chats}:
            able = {name: rules.agents[name] for name in free if rules.agents[name].tenant == tenant}
            self._match([chat for chat in chats if chat.tenant == tenant], able, agents, now_ms)

    def _match(
        self, chats: Sequence[Chat], able: Mapping[str, AgentEntry], agents: Mapping[str, Agent], now_ms: int
    ) -> None:
        """As callers and agents are matched; who has let a chat pass gets it again when all others have, too."""
        queues = {**self._queues.rules.queues, ANY: QueueEntry()}
        waiting = [self._waiting(chat) for chat in chats if (chat.queue or ANY) in queues]
        by_id = {chat.id: chat for chat in chats}
        left = dict(able)
        for one in sorted(waiting, key=lambda one: one.rank_ms):
            history = self._history(by_id[one.ticket])
            free = [self._free(name, entry, agents[name]) for name, entry in left.items() if name not in history.passed]
            found = match([one], free, queues, now_ms)
            if not found and history.passed:
                history.passed.clear()  # at the next beat
            for pair in found:
                self._begin(by_id[one.ticket], pair.agents[0])
                del left[pair.agents[0]]

    def _waiting(self, chat: Chat) -> Waiting:
        queue = self._queues.rules.queues.get(chat.queue or ANY)
        since = chat.waiting_since_ms or chat.changed_ms
        priority = BACK_FIRST if self._history(chat).returned else queue.priority if queue else MIDDLE
        return Waiting(chat.id, chat.queue or ANY, rank_ms(since, priority), since)

    @staticmethod
    def _free(name: str, entry: AgentEntry, agent: Agent) -> Free:
        return Free(name, agent.idle_since_ms, frozenset((*entry.queues, ANY)), entry.skills)

    def _may_take(self, name: str, agents: Mapping[str, Agent]) -> bool:
        agent = agents.get(name)
        return self._desks.is_open(name) and agent is not None and agent.free(self._now_ms)

    def _is_kept(self, chat: Chat, now_ms: int) -> bool:
        """Whether it still waits for one agent alone, who may come back."""
        since = chat.waiting_since_ms or chat.changed_ms
        declined = chat.wanted in self._history(chat).passed
        return chat.wanted is not None and not declined and now_ms - since < WANTED_S * 1000

    def _begin(self, chat: Chat, agent: str) -> None:
        entry = self._queues.rules.agents[agent]
        self._offers[chat.id] = Offer(chat, agent, self._now_ms, self._clock.monotonic() + entry.ring_s)
        self._changed(agent)

    def _pass(self, offer: Offer) -> None:
        self._history(offer.chat).passed.add(offer.agent)
        self._withdraw(offer.chat.id)

    def _withdraw(self, chat: str) -> None:
        if offer := self._offers.pop(chat, None):
            self._changed(offer.agent)

    def _history(self, chat: Chat) -> _History:
        return self._histories.setdefault(chat.id, _History())

    def _conduct(self, agent: str) -> _Conduct:
        return self._conducts.setdefault(agent, _Conduct())

    @property
    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)
