"""What control does for conversations that leave the phone or come back, as workers ask for it."""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog

from voiceedge.channels.file import Sms, Webhook, load_channels
from voiceedge.channels.senders.queue import MessageQueue
from voiceedge.channels.senders.service import MOBILE, Senders
from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.context.privacy.pii import canonical, pseudonym_key
from voiceedge.context.record import MAIN, Conversation
from voiceedge.context.resuming.continuing import Ticket
from voiceedge.context.resuming.tokens import LONGEST_S, TokenRefusedError
from voiceedge.context.service import ContextService
from voiceedge.edge.between.link import Handler, Head
from voiceedge.flow.call import NotContinued

log = structlog.get_logger()


@asynccontextmanager
async def opened(config: Config, service: ContextService, clock: Clock) -> AsyncIterator["ContinuingRoom"]:
    """Messages go out for as long as it is open. Raises ConfigError."""
    queue = MessageQueue(service.database, pseudonym_key(config.site.data_dir), clock)
    file = load_channels(config.channels.file)
    async with Senders.running(file, queue, service.ingest, config.site.name, clock) as senders:
        yield ContinuingRoom(config, service, senders, clock)


class ContinuingRoom:
    def __init__(self, config: Config, service: ContextService, senders: Senders, clock: Clock) -> None:
        self._config, self._service, self._clock = config, service, clock
        self.senders = senders

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "issue_token": self._issue,
            "redeem_token": self._redeem,
            "continue": self._continue,
            "token_key_prepare": self._prepare,
            "token_key_rotate": self._rotate,
        }

    async def _issue(self, head: Head, _: bytes) -> Head:
        wanted = head["channel"]
        via = head.get("send") or (wanted if self.senders.channel(wanted) else "")
        settings = self.senders.channel(via)
        channel: str = wanted
        if settings and (settings.link or via == wanted):
            channel = via if settings.link else settings.opens
        ticket = await self._service.continuing.issue(
            head["conversation"],
            channel,
            expires_s=head["expires_s"],
            pin=head.get("pin", False),
            tenant=self._tenant(head.get("called", "")),
        )
        if via and not settings:
            log.warning("link_not_sent", via=via, problem="there is no such channel", remedy="add it to channels.file")
        sent = False
        if via and settings:
            sent = await self.senders.put(
                ticket,
                via=via,
                to=head.get("to") or self._own_address(settings, head.get("caller", "")),
                channel=channel,
                conversation=head["conversation"],
                interaction=head["interaction"],
                language=head["language"],
            )
        return {
            "token": ticket.token,
            "channel": channel,
            "link": self.senders.link(settings, ticket) if settings else ticket.link or "",
            "pin": ticket.pin or "",
            "minutes": self._minutes(ticket),
            "sent": sent,
        }

    @staticmethod
    def _own_address(settings: object, caller: str) -> str:
        """A link goes by itself to nothing but a mobile phone, and only to one that is sure to be the caller's."""
        number = canonical(caller)
        return number if isinstance(settings, Sms | Webhook) and MOBILE.fullmatch(number) else ""

    def _minutes(self, ticket: Ticket) -> int:
        until = ticket.code_expires_at if ticket.pin else ticket.expires_at
        return math.ceil((until - self._clock.now()).total_seconds() / 60)

    async def _redeem(self, head: Head, _: bytes) -> Head:
        conversation = await self._service.redeem_token(head["token"], head["channel"])
        return {"conversation": conversation.model_dump(mode="json")}

    async def _continue(self, head: Head, _: bytes) -> Head:
        continuing = self._service.continuing
        tenant = await continuing.tenant_of(head["visit"], self._tenant(head["called"]))
        if head["way"] == "caller" and not head["confirmed"]:
            found = await continuing.hint(tenant, head["secret"])
            return {"refused": NotContinued.UNCONFIRMED if found else NotContinued.ABSENT}
        try:
            resumed = await continuing.redeem(
                head["channel"],
                head["way"],
                head["secret"],
                visit=head["visit"],
                interaction=head["interaction"],
                asker=head["asker"],
                tenant=tenant,
                attested=head["attested"],
                confirmed=head["confirmed"],
            )
        except TokenRefusedError as refused:
            return {"refused": refused.reason}
        known = resumed.conversation
        return {
            "conversation": known.id,
            "trust": resumed.trust,
            "channel": _last_channel(known, head["interaction"]),
            "intent": known.intent,
            "language": known.language,
            "slots": {name: slot.model_dump(mode="json") for name, slot in known.slots.items()},
        }

    async def _prepare(self, _head: Head, _payload: bytes) -> Head:
        return {"path": str(self._service.continuing.keys.prepare())}

    async def _rotate(self, _head: Head, _payload: bytes) -> Head:
        key = self._service.continuing.keys.rotate(LONGEST_S)
        log.info("token_key_rotated", key=key.id)
        return {"key": key.id}

    def _tenant(self, called: str) -> str:
        """Of a call that came in, before anything of it is kept."""
        return self._config.context.tenants.get(called, MAIN)


def _last_channel(conversation: Conversation, interaction: str) -> str:
    """Where the customer was before this visit."""
    before = [visit for visit in conversation.channels if visit.reference != interaction]
    return max(before, key=lambda visit: visit.started_at).channel if before else ""
