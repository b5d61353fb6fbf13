"""Sends links and codes over the channels of the file, each by itself, for as long as the control process runs."""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import httpx
import structlog

from voiceedge.channels.file import ChannelsFile, Email, Sending, Sms, Webhook
from voiceedge.channels.senders.by_email import EmailSender
from voiceedge.channels.senders.message import Message, NotSentError, Sender
from voiceedge.channels.senders.over_http import SmsSender, WebhookSender
from voiceedge.channels.senders.queue import Due, MessageQueue, masked
from voiceedge.clock import Clock, sleep, timeout
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.digital import LinkSent
from voiceedge.context.privacy.pii import canonical
from voiceedge.context.record import Changes
from voiceedge.context.resuming.continuing import Ticket
from voiceedge.errors import StoreError

FIRST_S, LONGEST_S = 2.0, 120.0  # between two tries
LOOK_S = 30.0  # for what other nodes have left; and where the store is away
MOBILE = re.compile(r"01[016-9]\d{7,8}")
_NUMBER = re.compile(r"\+?\d{7,15}")
_EMAIL = re.compile(r"[^\s@<>,;:\"()]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_LONGEST_ADDRESS = 320

Ingest = Callable[[Sequence[StampedEvent]], Awaitable[None]]
log = structlog.get_logger()


class Senders:
    """`async with Senders.running(…) as senders:`."""

    def __init__(  # noqa: PLR0917 - all of them are always given
        self,
        file: ChannelsFile,
        queue: MessageQueue,
        ingest: Ingest,
        site: str,
        client: httpx.AsyncClient,
        clock: Clock,
    ) -> None:
        self.file, self._queue, self._ingest, self._clock = file, queue, ingest, clock
        self._site = file.site or site
        self._senders = {name: sender_for(one, client, clock) for name, one in file.sending.items()}
        self._news = {name: asyncio.Event() for name in self._senders}

    @classmethod
    @asynccontextmanager
    async def running(
        cls, file: ChannelsFile, queue: MessageQueue, ingest: Ingest, site: str, clock: Clock
    ) -> AsyncIterator["Senders"]:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.TaskGroup() as tasks:
            senders = cls(file, queue, ingest, site, client, clock)
            sending = tasks.create_task(senders.run())
            try:
                yield senders
            finally:
                sending.cancel()

    @property
    def names(self) -> Sequence[str]:
        return tuple(self.file.sending)

    def channel(self, name: str) -> Sending | None:
        return self.file.sending.get(name)

    async def put(
        self, ticket: Ticket, *, via: str, to: str, channel: str, conversation: str, interaction: str, language: str
    ) -> bool:
        """Whether the link is on its way. Raises StoreError."""
        settings, address = self.file.sending[via], address_for(self.file.sending[via], to)
        link = self.link(settings, ticket)
        if address is None or not link:
            problem = "there is no address to send to" if address is None else "there is no link to send"
            remedy = "give the step an address (to)" if address is None else "set web.public_url, or the channel's link"
            log.warning("link_not_sent", via=via, conversation=conversation, problem=problem, remedy=remedy)
            return False
        minutes = math.ceil((ticket.expires_at - self._clock.now()).total_seconds() / 60)
        values = {
            "site": self._site, "link": link, "token": ticket.token, "pin": ticket.pin or "", "minutes": str(minutes),
        }  # fmt: skip
        message = Message(new_id(self._clock), conversation, interaction, channel, via, address, language, values)
        if not await self._queue.put(message, ticket.expires_at, settings.hourly):
            log.warning("link_not_sent", via=via, conversation=conversation, problem="too many to this address")
            await self._tell(message, "too many within an hour")
            return False
        self._news[via].set()
        return True

    def link(self, settings: Sending, ticket: Ticket) -> str:
        if settings.link:
            return settings.link.replace("{token}", ticket.token)
        return ticket.link or ""

    async def run(self) -> None:
        """For ever, each channel by itself: one that does not answer holds up no other."""
        async with asyncio.TaskGroup() as channels:
            for via in self._senders:
                channels.create_task(self._send(via))
            channels.create_task(self._keep_house())

    async def _send(self, via: str) -> None:
        while True:
            self._news[via].clear()
            wait_s = LOOK_S
            try:
                await asyncio.gather(*(self._try(one) for one in await self._queue.due(via)))
                next_ms = await self._queue.next_ms(via)
                if next_ms is not None:
                    wait_s = min(LOOK_S, max(0.0, next_ms / 1000 - self._clock.now().timestamp()))
            except StoreError as error:
                log.warning("messages_wait", via=via, problem=str(error))
            with suppress(TimeoutError):
                async with timeout(self._clock, wait_s):
                    await self._news[via].wait()

    async def _keep_house(self) -> None:
        while True:
            try:
                for one in await self._queue.strays(self._senders):
                    await self._over(one.message, "the channel is not in the file any more")
                await self._queue.prune()
            except StoreError as error:
                log.warning("messages_wait", problem=str(error))
            await sleep(self._clock, LOOK_S)

    async def _try(self, due: Due) -> None:
        message, why, can_retry = due.message, "", False
        if self._clock.now() >= due.until:
            why = "its link expired before it could be sent"
        else:
            try:
                await self._senders[message.via].send(message)
            except NotSentError as error:
                why, can_retry = str(error), error.can_retry
            except Exception as error:  # noqa: BLE001 - one message that cannot be made must not stop the others
                why = type(error).__name__
        if can_retry:
            log.warning("message_not_sent", via=message.via, id=message.id, problem=why, tries=due.tries + 1)
            await self._queue.again(message, min(LONGEST_S, FIRST_S * 2 ** min(due.tries, 20)))
            return
        await self._over(message, why)

    async def _over(self, message: Message, why: str) -> None:
        if why:
            log.warning("message_not_sent", via=message.via, id=message.id, problem=why, effect="it is given up")
        await self._queue.over(message, "failed" if why else "sent")
        await self._tell(message, why)

    async def _tell(self, message: Message, why: str) -> None:
        data = LinkSent(
            interaction=message.interaction,
            channel=message.channel,
            via=message.via,
            address=masked(message.address),
            result="failed" if why else "sent",
            why=why,
        )
        event = StampedEvent(
            id=new_id(self._clock),
            time=self._clock.now(),
            conversation=message.conversation,
            type=data.type,
            data=data,
            changes=Changes(),
        )
        await self._ingest([event])


def sender_for(settings: Sending, client: httpx.AsyncClient, clock: Clock) -> Sender:
    match settings:
        case Sms():
            return SmsSender(settings, client, clock)
        case Email():
            return EmailSender(settings, clock)
        case Webhook():
            return WebhookSender(settings, client, clock)


def address_for(settings: Sending, text: str) -> str | None:
    """As it is sent to; None where it cannot be one of this kind."""
    text = text.strip()[:_LONGEST_ADDRESS]
    match settings:
        case Sms():
            number = canonical(text)
            return number if _NUMBER.fullmatch(number) else None
        case Email():
            return text if text.isprintable() and _EMAIL.fullmatch(text) else None
        case Webhook():
            return text if text and text.isprintable() else None


def facts(file: ChannelsFile) -> Sequence[Mapping[str, str]]:
    """Of each channel, for whoever looks."""
    return [
        {"name": name, "kind": one.kind, "link": one.link or one.opens if isinstance(one, Sending) else ""}
        for name, one in file.channels.items()
    ]
