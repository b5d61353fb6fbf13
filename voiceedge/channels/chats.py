"""The chats of this node: begun by visitors, answered by flows and agents, walked on after a restart.

The store is the truth: what is written is there before anybody sees it, and what a flow was told lies beside it.
"""

import asyncio
import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import NamedTuple, Self

import structlog

from voiceedge.channels import chat_agents, chat_customer, chat_screen
from voiceedge.channels.chat_house import DAY_MS, LiveChats
from voiceedge.channels.chat_life import LiveChat, stamped
from voiceedge.channels.chat_model import Chat, ChatError, ChatMessage, ChatState
from voiceedge.channels.chat_phone import ByPhone, Sparing
from voiceedge.channels.chat_runs import FlowRuns, given, has_call
from voiceedge.channels.chat_screen import LiveCalls
from voiceedge.channels.chat_store import Change, ChatStore, FlowPlace, Kept
from voiceedge.channels.web_chat import WebChat
from voiceedge.clock import Clock
from voiceedge.context.cloudevents import new_id
from voiceedge.context.events.digital import ConversationClosed, InteractionStarted
from voiceedge.context.record import Changes, Conversation, Turn
from voiceedge.context.resuming.continuing import Ticket
from voiceedge.context.resuming.tokens import Refusal, TokenRefusedError
from voiceedge.context.service import ContextService
from voiceedge.flow.book import Flows
from voiceedge.flow.call import QueueResult
from voiceedge.switch.outbound.service import OutboundService

MOST_OPEN = 2_000  # in this process
LONGEST_NAME = 24
LETTERS = "abcdefghijklmnopqrstuvwxyz"  # digits of an id could pass for somebody's number

log = structlog.get_logger()


class ChatService:
    """`async with ChatService(...) as chats:`. A `ChatDesk`; its methods raise ChatError and StoreError.

    Chats that are over are kept for `kept_days`.
    """

    def __init__(  # noqa: PLR0917 - all of them are always given
        self,
        context: ContextService,
        channels: Mapping[str, WebChat],
        runs: FlowRuns,
        calls: LiveCalls,
        outbound: OutboundService,
        clock: Clock,
        *,
        kept_days: float,
        key: bytes,
    ) -> None:
        self._context, self._channels, self._runs, self._calls, self._clock = context, channels, runs, calls, clock
        self._store = ChatStore(context.database)
        self._live = LiveChats(context, self._store, channels, runs, clock, kept_days)
        self._beginning, self._opening, self._key = 0, asyncio.Lock(), key
        self._by_phone = ByPhone(context, outbound, self._live.outgoing, clock, key, Sparing(clock))

    async def __aenter__(self) -> Self:
        await self._live.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._live.__aexit__()

    # Visitors.

    @property
    def channels(self) -> Collection[str]:
        return self._channels.keys()

    @property
    def flows(self) -> Flows:
        """Those of chats and calls, as they are now."""
        return self._runs.flows

    def channel(self, name: str) -> WebChat:
        if settings := self._channels.get(name):
            return settings
        raise ChatError("unknown", "there is no such chat")

    async def begin(self, channel: str, language: str, visitor: str) -> tuple[Chat, str]:
        """A chat of somebody new, and the secret by which they come back to it. `visitor` is a keyed hash."""
        return await self._begin(channel, language, visitor, Names.new(), None)

    async def open_link(
        self, channel: str, token: str, language: str, visitor: str, opening: str = ""
    ) -> tuple[Chat, str]:
        """The same, of somebody whose conversation goes on here: in `channel`, or in the chat that the token is for.

        `opening` is the page's own secret name of it: asked again under it, it is answered again. Raises
        TokenRefusedError, too.
        """
        names = Names.of(self._key, token, opening) if opening else Names.new()
        async with self._opening:
            if opening and (kept := await self._kept(names.chat)):
                return kept.chat, names.secret
            for own in (channel, *(other for other in self._channels if other != channel)):
                if opened := await self._opened(own, token, language, visitor, names):
                    return opened
        raise TokenRefusedError(Refusal.FOREIGN_CHANNEL)

    async def _opened(
        self, channel: str, token: str, language: str, visitor: str, names: "Names"
    ) -> tuple[Chat, str] | None:
        """None where the token is for another channel."""
        settings = self.channel(channel)
        self._room_for(settings, visitor)
        self._runs.flow_of(settings, language, linked=True)  # before the token is used up
        try:
            resumed = await self._context.continuing.redeem(
                channel, "link", token, interaction=names.chat, who=names.chat, asker=visitor, tenant=settings.tenant
            )
        except TokenRefusedError as refused:
            if refused.reason is Refusal.FOREIGN_CHANNEL:
                return None
            raise
        return await self._begin(channel, language, visitor, names, resumed.conversation)

    async def visited(self, chat: str, secret: str) -> Chat:
        """The visitor's own, by its secret; `unknown` for any other."""
        kept = await self._kept(chat)
        if kept is None or not hmac.compare_digest(kept.secret, _hashed(secret)):
            raise ChatError("unknown", "there is no such chat")
        return kept.chat

    async def hear(self, chat: str, text: str, sending: str = "") -> ChatMessage:
        """The customer writes; what comes twice under one name of the `sending` is written once."""
        life = await self._one(chat)
        async with life.hearing:
            if sending and (known := await self._store.sent(chat, sending)):
                return known
            message = await chat_customer.hear(life, text, sending)
        if life.chat.state is ChatState.CALL:
            await chat_screen.pass_on(life, self._calls, message, text=text)
        return message

    async def choose(self, chat: str, number: int, name: str) -> ChatMessage:
        """The customer takes the button `name` of the message `number`."""
        life = await self._one(chat)
        async with life.hearing:
            if life.chat.state is ChatState.CALL:
                return await chat_screen.choose(life, self._calls, number, name)
            return await chat_customer.choose(life, number, name)

    async def leave(self, chat: str) -> None:
        """The customer ends it."""
        await (await self._one(chat)).end("customer")

    async def rate(self, chat: str, satisfaction: int) -> None:
        """How content the customer was with a chat that is over, 1 to 5; said once, within a day."""
        kept = await self._kept(chat)
        now_ms = self._now_ms
        if kept is None or kept.chat.ended_ms is None or now_ms - kept.chat.ended_ms > DAY_MS:
            raise ChatError("past", "this chat can be rated for a day after its end")
        if kept.chat.satisfaction is not None:
            raise ChatError("past", "this chat has been rated")
        one = kept.chat
        closed = ConversationClosed(by=one.channel, outcome=one.outcome, satisfaction=satisfaction)
        event = stamped(closed, one, self._clock)
        await self._store.write(Change(replace(one, satisfaction=satisfaction), events=[event]))
        self._live.outgoing.put(event)

    async def call_me(self, chat: str, number: str) -> None:
        """Have the customer called: the conversation goes on there."""
        life = await self._one(chat)
        shown = await self._by_phone.call(life.chat, self.channel(life.chat.channel), life.visitor, number)
        await life.write(life.note("calling", number=shown))

    async def phone_code(self, chat: str) -> Ticket:
        """A PIN, or a number lent for it, with which the customer goes on by phone."""
        return await self._by_phone.code((await self._one(chat)).chat)

    async def story(self, chat: Chat) -> Sequence[Turn]:
        """What was said in the conversation before the chat, masked."""
        known = await self._context.conversation(chat.conversation)
        turns = known.turns if known else ()
        return [turn for turn in turns if turn.time.timestamp() * 1000 < chat.began_ms and turn.text]

    async def follow(self, chat: str, after: int) -> AsyncGenerator[tuple[Chat, Sequence[ChatMessage]], None]:
        """How it is and every message after the number `after`, now and on each change, to the chat's end."""
        while True:
            kept, life = await self._kept(chat), await self._live.find(chat)
            if kept is None:
                raise ChatError("unknown", "there is no such chat")
            news = life.bell.next if life else None
            now = life.chat if life else kept.chat
            messages = await self._store.messages(chat, after) if now.last_number > after else []
            yield now, messages
            after = messages[-1].number if messages else after
            if messages and after < now.last_number:
                continue
            if news is None or now.state is ChatState.ENDED:
                return
            await news.wait()

    # Agents.

    def title_of(self, agent: str) -> str:
        """As customers see the agent."""
        return self._runs.title_of(agent)

    async def chat(self, chat: str) -> Chat:
        if kept := await self._kept(chat):
            return kept.chat
        raise ChatError("unknown", "there is no such chat")

    async def messages(self, chat: str, after: int = 0) -> Sequence[ChatMessage]:
        return await self._store.messages(chat, after)

    async def waiting(self) -> Sequence[Chat]:
        chats = [life.chat for life in self._live.all() if life.chat.state is ChatState.WAITING]
        return sorted(chats, key=lambda one: (one.waiting_since_ms or 0, one.id))

    async def of_agent(self, agent: str) -> Sequence[Chat]:
        await self._live.ready()
        return [life.chat for life in self._live.all() if life.chat.agent == agent]

    async def take(self, chat: str, agent: str, title: str = "") -> Chat:
        return await chat_agents.take(await self._one(chat), agent, title or self.title_of(agent))

    async def say(self, chat: str, agent: str, text: str) -> ChatMessage:
        return await chat_agents.say(await self._one(chat), agent, chat_customer.tidy(text))

    async def transfer(
        self, chat: str, agent: str, *, queue: str | None = None, to_agent: str | None = None, note: str = ""
    ) -> Chat:
        return await chat_agents.transfer(await self._one(chat), agent, queue, to_agent, note)

    async def send_away(self, chat: str) -> None:
        await chat_agents.give_up(await self._one(chat), QueueResult.CLOSED)

    async def end(self, chat: str, agent: str, outcome: str | None = None) -> Chat:
        return await chat_agents.done(await self._one(chat), agent, outcome)

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[Chat]]:
        news: asyncio.Queue[Chat] = asyncio.Queue()

        async def each() -> AsyncIterator[Chat]:
            while True:
                yield await news.get()

        self._live.watchers.add(news)
        try:
            yield each()
        finally:
            self._live.watchers.discard(news)

    # What all of that needs.

    @property
    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    async def _one(self, chat: str) -> LiveChat:
        if life := await self._live.find(chat):
            return life
        kept = await self._store.find(chat)
        if kept is None:
            raise ChatError("unknown", "there is no such chat")
        if kept.chat.state is ChatState.ENDED:
            raise ChatError("ended", "this chat has ended: begin a new one")
        raise ChatError("elsewhere", "this chat is at another node", retry_after_s=2.0)

    async def _kept(self, chat: str) -> Kept | None:
        if life := await self._live.find(chat):
            return Kept(life.chat, life.place, life.secret, life.visitor)
        return await self._store.find(chat)

    def _room_for(self, settings: WebChat, visitor: str) -> None:
        lives = self._live.all()
        if sum(life.visitor == visitor for life in lives) >= settings.most_from_one_address:
            remedy = "name proxies before us in web.trusted_proxies, or raise the channel's most_from_one_address"
            log.warning("chat_refused", reason="too many from one address", remedy=remedy)
        elif len(lives) + self._beginning >= MOST_OPEN:
            log.warning("chat_refused", reason="too many chats", open=len(lives))
        else:
            return
        raise ChatError("too_many", "there are too many chats at the moment", retry_after_s=30.0)

    async def _begin(
        self, channel: str, language: str, visitor: str, names: "Names", known: Conversation | None
    ) -> tuple[Chat, str]:
        settings = self.channel(channel)
        self._room_for(settings, visitor)
        language = (known and known.language) or language
        flow = self._runs.flow_of(settings, language, linked=known is not None)
        now_ms = self._now_ms
        chat = Chat(
            id=names.chat,
            conversation=known.id if known else new_id(self._clock),
            channel=channel,
            tenant=settings.tenant,
            language=flow.header.language,
            state=ChatState.BOT,
            began_ms=now_ms,
            changed_ms=now_ms,
        )
        kept = Kept(chat, FlowPlace(flow.name, 0, 0, now_ms), _hashed(names.secret), visitor)
        customer = known.customer if known else None
        began = InteractionStarted(interaction=chat.id, channel=channel, direction="in", customer=customer)
        event = stamped(began, chat, self._clock, Changes(tenant=settings.tenant))
        self._beginning += 1
        try:
            await self._store.add(kept, [event])
        finally:
            self._beginning -= 1
        self._live.outgoing.put(event)
        life = self._live.add(kept)
        if known and has_call(known):
            await chat_screen.begin(life)
            await chat_screen.catch_up(life, known, self._runs.flows)
        else:
            await life.begin(flow.name, given(flow, known), self._runs.made_of)
        return life.chat, names.secret


class Names(NamedTuple):
    """The chat's own, and the secret by which its visitor comes back."""

    chat: str
    secret: str

    @classmethod
    def new(cls) -> Self:
        return cls(_spelled(secrets.token_bytes(32)), secrets.token_urlsafe(32))

    @classmethod
    def of(cls, key: bytes, token: str, opening: str) -> Self:
        """The same for whoever opens `token` under this name; nobody else can tell them."""

        def derived(what: str) -> bytes:
            return hmac.digest(key, f"{what} of a chat: {token} {opening}".encode(), "sha256")

        return cls(_spelled(derived("name")), urlsafe_b64encode(derived("secret")).rstrip(b"=").decode())


def _spelled(random: bytes) -> str:
    number, letters = int.from_bytes(random), ""
    while len(letters) < LONGEST_NAME:
        number, place = divmod(number, len(LETTERS))
        letters += LETTERS[place]
    return letters


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
