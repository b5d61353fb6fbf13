"""From a chat to the telephone: a call to the customer by order, or a code with which the customer calls."""

from collections import OrderedDict, deque
from dataclasses import dataclass

from voiceedge.channels.chat_model import Chat, ChatError
from voiceedge.channels.chat_runs import given_values
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
CALLS_OF_A_VISITOR, CALLS_TO_A_NUMBER, CODES_OF_A_CHAT = 5, 2, 10  # an hour
MOST_KNOWN = 10_000
LONGEST_NUMBER = 32


class Sparing:
    """At most so much in an hour for each name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, name: str, most: int) -> None:
        """Raises ChatError."""
        now, times = self._clock.monotonic(), self._times.setdefault(name, deque())
        while times and times[0] <= now - HOUR_S:
            times.popleft()
        if len(times) >= most:
            raise ChatError("too_many", "that is enough for an hour", retry_after_s=times[0] + HOUR_S - now)
        times.append(now)
        self._times.move_to_end(name)
        if len(self._times) > MOST_KNOWN:
            self._times.popitem(last=False)


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
        self.sparing.take(f"visitor {visitor}", CALLS_OF_A_VISITOR)
        hashed = pseudonym(number, self.key)
        self.sparing.take(f"number {hashed}", CALLS_TO_A_NUMBER)
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
        self.sparing.take(f"code {chat.id}", CODES_OF_A_CHAT)
        ticket = await self.context.continuing.issue(
            chat.conversation, PHONE, pin=True, number=True, tenant=chat.tenant
        )
        sent = LinkSent(interaction=chat.id, channel=PHONE, via=chat.channel, address=None, result="sent")
        QueueJournal(self.outgoing, chat.conversation, self.clock).record(sent)
        return ticket
