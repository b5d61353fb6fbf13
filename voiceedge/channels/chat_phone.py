"""From a chat to the telephone: a call to the customer by order, or a code with which the customer calls."""

from dataclasses import dataclass

from voiceedge.channels.chat_model import Chat, ChatError
from voiceedge.channels.chat_runs import given_values
from voiceedge.channels.lately import Lately
from voiceedge.channels.web_chat import WebChat
from voiceedge.clock import Clock
from voiceedge.context.events.digital import LinkSent
from voiceedge.context.privacy.pii import PersonalDataClass, mask, pseudonym
from voiceedge.context.publishing.journal import Outgoing, QueueJournal
from voiceedge.context.resuming.continuing import Ticket
from voiceedge.context.service import ContextService
from voiceedge.flow.call import PHONE
from voiceedge.switch.outbound.messages import OrderRequest
from voiceedge.switch.outbound.service import OutboundService

HOUR_S = 3600.0
LONGEST_NUMBER = 32


class Sparing:
    """What a visitor may ask for in an hour."""

    def __init__(self, clock: Clock) -> None:
        self._by_visitor, self._to_number = Lately(5, HOUR_S, clock), Lately(2, HOUR_S, clock)
        self._codes = Lately(10, HOUR_S, clock)

    def call(self, visitor: str, number: str) -> None:
        """Raises ChatError."""
        _take(self._by_visitor, visitor)
        _take(self._to_number, number)

    def code(self, chat: str) -> None:
        """Raises ChatError."""
        _take(self._codes, chat)


@dataclass(frozen=True)
class ByPhone:
    """`key` is that of the hashes by which people are known."""

    context: ContextService
    outbound: OutboundService
    outgoing: Outgoing
    clock: Clock
    key: bytes
    sparing: Sparing

    async def call(self, chat: Chat, settings: WebChat, visitor: str, number: str) -> str:
        """Have the customer called, with what is known; how the number is shown. Raises ChatError and StoreError."""
        if settings.campaign is None:
            raise ChatError("no_phone", "nobody can be called from here")
        digits = sum(map(str.isdigit, number))
        if not digits or len(number) > LONGEST_NUMBER:
            raise ChatError("bad_number", "this is no telephone number")
        hashed = pseudonym(number, self.key)
        self.sparing.call(visitor, hashed)
        wanted = self.outbound.slots_of(settings.campaign, None)
        known = await self.context.conversation(chat.conversation)
        order = OrderRequest(
            id=f"{chat.id}.{hashed[:8]}.{int(self.clock.now().timestamp())}",
            number=number,
            campaign=settings.campaign,
            values=given_values(known, wanted),
            conversation=chat.conversation,
            priority=1,
        )
        (answer,) = await self.outbound.add([order], "api")
        if answer.state == "refused":
            raise ChatError("bad_number", "this number cannot be called from here")
        return mask(number, PersonalDataClass.PERSONAL)

    async def code(self, chat: Chat) -> Ticket:
        """What the customer is asked for when calling, to go on there. Raises ChatError and StoreError."""
        self.sparing.code(chat.id)
        ticket = await self.context.continuing.issue(
            chat.conversation, PHONE, pin=True, number=True, tenant=chat.tenant
        )
        sent = LinkSent(interaction=chat.id, channel=PHONE, via=chat.channel, address=None, result="sent")
        QueueJournal(self.outgoing, chat.conversation, self.clock).record(sent)
        return ticket


def _take(lately: Lately, name: str) -> None:
    if left_s := lately.left_s(name):
        raise ChatError("too_many", "that is enough for an hour", retry_after_s=left_s)
    lately.add(name)
