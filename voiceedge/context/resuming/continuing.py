"""Conversations that go on elsewhere: what a customer is given for it, and what it opens, once and for one channel."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import select

from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import EventData
from voiceedge.context.events.digital import ContinueRefused, ConversationContinued, Trust, Way
from voiceedge.context.privacy.keys import KeyRing
from voiceedge.context.privacy.pii import pseudonym, pseudonym_key
from voiceedge.context.record import MAIN, Changes, Conversation
from voiceedge.context.resuming.lent_numbers import LentNumbers
from voiceedge.context.resuming.pins import Pins
from voiceedge.context.resuming.tokens import Refusal, TokenRefusedError, Tokens
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.store import Store
from voiceedge.context.storage.tables import conversations
from voiceedge.errors import JoinRefusedError

LONGEST_CODE_S = 3600.0
PHONE = "phone"

log = structlog.get_logger()

Ingest = Callable[[Sequence[StampedEvent]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a customer is given. `pin` and `number` hold until `code_expires_at`; `link` leads to the web chat."""

    token: str
    expires_at: datetime
    code_expires_at: datetime
    pin: str | None = None
    number: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """`conversation` as it is now, the visit's own record included."""

    conversation: Conversation
    by: Way
    trust: Trust


class Continuing:
    def __init__(self, store: Store, database: Database, config: Config, clock: Clock, ingest: Ingest) -> None:
        self._store, self._database, self._config = store, database, config
        self._clock, self._ingest = clock, ingest
        directory = config.site.data_dir
        self._pseudonym_key = pseudonym_key(directory)
        self.keys = KeyRing(directory, "token", clock)
        self._tokens = Tokens(database, self.keys, clock)
        self._pins = Pins(database, self._pseudonym_key, clock)
        self._numbers = LentNumbers(database, config.context.continue_numbers, clock)

    async def issue(
        self,
        conversation: str,
        channel: str,
        *,
        expires_s: float | None = None,
        pin: bool = False,
        number: bool = False,
        tenant: str = MAIN,
    ) -> Ticket:
        """What opens `conversation` in `channel`, and there only, each once, for its own tenant.

        A PIN and a number live `context.pin_s`, or `expires_s`, an hour at most. Where all numbers are lent, there is a
        PIN in place of one. `tenant` is whose it is if nothing is kept of it yet. Raises StoreError.
        """
        tenant = await self.tenant_of(conversation, tenant)
        lives_s = self._config.context.hand_over_s if expires_s is None else expires_s
        code_s = min(self._config.context.pin_s if expires_s is None else expires_s, LONGEST_CODE_S)
        now = self._clock.now()
        token = await self._tokens.issue(conversation, channel, lives_s, tenant)
        lent = await self._numbers.lend(conversation, channel, code_s, tenant) if number else None
        wants_pin = pin or (number and lent is None)
        return Ticket(
            token=token,
            expires_at=now + timedelta(seconds=lives_s),
            code_expires_at=now + timedelta(seconds=code_s),
            pin=await self._pins.issue(conversation, channel, code_s, tenant) if wants_pin else None,
            number=lent,
            link=self.link(token),
        )

    async def tenant_of(self, conversation: str, otherwise: str = MAIN) -> str:
        """Whose it is; `otherwise` where nothing is kept of it yet."""
        known = await self._store.conversation(conversation)
        return known.tenant if known else otherwise

    def link(self, token: str) -> str | None:
        """None where the site has no pages that customers reach. The token is in no server's log: it is a fragment."""
        base = self._config.web.public_url
        return f"{base}/c#{token}" if base else None

    async def redeem(
        self,
        channel: str,
        way: Way,
        secret: str,
        *,
        visit: str | None = None,
        who: str | None = None,
        interaction: str = "",
        asker: str = "",
        tenant: str = MAIN,
        attested: bool = True,
        confirmed: bool = False,
    ) -> Resumed:
        """Open the conversation that `secret` stands for, and make `visit` a part of it.

        `secret` is a token (header, link), a PIN, the number called (number), or the caller's number (caller).
        `visit` is the conversation as which the visit began, `interaction` the channel's own name of it. Under the name
        `who`, 64 characters at most, or else as the same visit, one who has lost the answer may ask again. `asker` is
        who asks, as a keyed hash of a number or an address; `attested`: it is really theirs. `confirmed`: the customer
        said that they had been in touch. Raises TokenRefusedError and StoreError.
        """
        try:
            name, trust = await self._opened(
                channel, way, secret, who or visit, asker, tenant, attested=attested, confirmed=confirmed
            )
            known = await self._known(name, tenant)
            if visit and visit != known.id:
                await self._join(visit, known.id)
        except TokenRefusedError as refused:
            if visit and refused.reason is not Refusal.UNCONFIRMED:
                told = ContinueRefused(interaction=interaction, channel=channel, by=way, reason=refused.reason.value)
                await self._tell(visit, told)
            raise
        joined = visit if visit != known.id else None
        continued = ConversationContinued(interaction=interaction, channel=channel, by=way, trust=trust, joined=joined)
        await self._tell(known.id, continued, asked=f"{who or visit} {way}" if who or visit else "")
        return Resumed(await self._store.conversation(known.id) or known, way, trust)

    async def _known(self, name: str, tenant: str) -> Conversation:
        known = await self._store.conversation(name)
        if known is None or known.tenant != tenant:
            raise TokenRefusedError(Refusal.UNKNOWN)
        return known

    async def _join(self, visit: str, into: str) -> None:
        try:
            await self._store.join(visit=visit, into=into)
        except JoinRefusedError as error:
            log.warning("not_continued", conversation=visit, problem=str(error))
            raise TokenRefusedError(Refusal.UNKNOWN) from None

    async def _opened(  # noqa: PLR0917 - those of redeem
        self,
        channel: str,
        way: Way,
        secret: str,
        who: str | None,
        asker: str,
        tenant: str,
        *,
        attested: bool,
        confirmed: bool,
    ) -> tuple[str, Trust]:
        match way:
            case "header" | "link":
                return await self._tokens.redeem(secret, channel, who, tenant), "proved"
            case "pin":
                sure = attested and channel == PHONE  # elsewhere people are known by addresses, which are cheap
                return await self._pins.redeem(secret, channel, asker, tenant, who, sure=sure), "proved"
            case "number":
                return await self._by_number(secret, channel, asker, tenant, attested=attested, confirmed=confirmed)
            case "caller":
                found = await self.hint(tenant, secret)
                if found is None:
                    raise TokenRefusedError(Refusal.UNKNOWN)
                if not confirmed:
                    raise TokenRefusedError(Refusal.UNCONFIRMED)
                return found, "likely"

    async def _by_number(
        self, called: str, channel: str, asker: str, tenant: str, *, attested: bool, confirmed: bool
    ) -> tuple[str, Trust]:
        """Whoever calls it may have misdialled: it proves something only with the customer's own number."""
        name = await self._numbers.conversation(called, channel, tenant)
        known = await self._store.conversation(name) if name else None
        if name is None or known is None:
            raise TokenRefusedError(Refusal.UNKNOWN)
        if known.customer not in {None, asker}:
            raise TokenRefusedError(Refusal.UNKNOWN)
        if known.customer and attested:
            return name, "proved"
        if not confirmed:
            raise TokenRefusedError(Refusal.UNCONFIRMED)
        return name, "likely"

    async def hint(self, tenant: str, caller: str) -> str | None:
        """The open digital conversation in which a customer with this number was last, `context.hint_s` ago at most."""
        since = self._clock.now() - timedelta(seconds=self._config.context.hint_s)
        customer = pseudonym(caller, self._pseudonym_key)
        query = (
            select(conversations.c.id)
            .where(
                conversations.c.tenant == tenant,
                conversations.c.customer == customer,
                conversations.c.joined_into.is_(None),
                conversations.c.ended_ms.is_(None),
                conversations.c.updated_at_ms >= int(since.timestamp() * 1000),
                conversations.c.channels.not_in(["", f" {PHONE} "]),
            )
            .order_by(conversations.c.updated_at_ms.desc())
            .limit(1)
        )
        async with self._database.begin() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def _tell(self, conversation: str, data: EventData, asked: str = "") -> None:
        """Once for what was `asked`, where that has a name."""
        told_by = hashlib.sha256(f"{conversation} {data.type} {asked}".encode()).digest()[:16]
        event = StampedEvent(
            id=str(UUID(bytes=told_by, version=4)) if asked else new_id(self._clock),
            time=self._clock.now(),
            conversation=conversation,
            type=data.type,
            data=data,
            changes=Changes(),
        )
        await self._ingest([event])
