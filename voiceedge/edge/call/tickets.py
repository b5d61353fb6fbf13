"""Conversations that leave the phone and come back: tickets issued and redeemed by control, for the call that asks."""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

import structlog

from voiceedge.clock import Clock
from voiceedge.context.events.call import HandedOver, Journal
from voiceedge.context.events.digital import Way
from voiceedge.context.privacy.pii import canonical, mask
from voiceedge.context.record import Slot
from voiceedge.context.resuming.tokens import Refusal
from voiceedge.edge.between.link import Head, LinkClient
from voiceedge.edge.call.user_to_user import tokens_of
from voiceedge.errors import LinkError
from voiceedge.flow.call import PHONE, CallFacts, Continued, HandOver, HandOverTicket, NotContinued
from voiceedge.switch.numbers import is_anonymous

TICKET_S = 2.0  # how long a caller waits for a ticket
TRIES = 2  # where the answer is lost; redeeming twice for the same call harms nothing
_REFUSALS = {
    Refusal.UNKNOWN: NotContinued.UNKNOWN,
    Refusal.FOREIGN_CHANNEL: NotContinued.UNKNOWN,
    Refusal.USED: NotContinued.USED,
    Refusal.EXPIRED: NotContinued.EXPIRED,
    Refusal.LOCKED: NotContinued.LOCKED,
    Refusal.UNCONFIRMED: NotContinued.UNCONFIRMED,
}

log = structlog.get_logger()


class TicketOffice:
    """`continue_numbers` are called only to continue; `customer_of` gives the keyed hash of a number."""

    def __init__(
        self,
        control: LinkClient,
        clock: Clock,
        *,
        continue_numbers: Collection[str] = (),
        customer_of: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._control, self._clock, self._customer_of = control, clock, customer_of
        self._numbers = {canonical(number) for number in continue_numbers}

    async def hand_over(self, facts: CallFacts, request: HandOver, journal: Journal) -> HandOverTicket | None:
        """Issue and publish a ticket; None where control is away: the flow has an exit for it."""
        wish = {
            "conversation": facts.conversation_id,
            "interaction": facts.call_id,
            "called": facts.called,
            "channel": request.channel,
            "expires_s": request.expires_s,
            "pin": request.with_pin,
            "send": request.send,
            "to": request.to,
            "language": request.language,
            "caller": facts.caller if _is_sure(facts) else "",
        }
        try:
            ticket = await self._control.request("issue_token", wish, timeout_s=TICKET_S)
        except LinkError as error:
            log.warning("hand_over_failed", channel=request.channel, problem=str(error))
            return None
        journal.record(
            HandedOver(
                call_id=facts.call_id,
                channel=ticket["channel"],
                reason=request.reason,
                token=ticket["token"],
                expires_at=(self._clock.now() + timedelta(seconds=request.expires_s)).isoformat(),
                intent=request.intent,
                slots={name: mask(value, request.classes[name]) for name, value in request.slots.items()},
            )
        )
        return HandOverTicket(**{name: ticket[name] for name in HandOverTicket.__dataclass_fields__})

    async def resume(
        self, facts: CallFacts, way: Way, pin: str, *, confirmed: bool = False
    ) -> Continued | NotContinued:
        """Never raises: where control is away there is nothing to continue."""
        found: Continued | NotContinued = NotContinued.ABSENT
        for secret in self._secrets(facts, way, pin):
            found = await self._redeem(facts, way, secret, confirmed=confirmed)
            if isinstance(found, Continued):
                break
        return found

    def _secrets(self, facts: CallFacts, way: Way, pin: str) -> Collection[str]:
        """What a call has to show for this way; nothing where it is not to be believed."""
        match way:
            case "header":
                return tokens_of(facts.headers)
            case "number":
                return [facts.called] if canonical(facts.called) in self._numbers else []
            case "pin":
                return [pin]
            case "caller":
                return [facts.caller] if _is_sure(facts) and self._customer_of(facts.caller) else []
            case "link":
                return []

    async def _redeem(self, facts: CallFacts, way: Way, secret: str, *, confirmed: bool) -> Continued | NotContinued:
        hidden = is_anonymous(facts.caller) or facts.attestation == "failed"
        wish = {
            "channel": facts.channel,
            "way": way,
            "secret": secret,
            "visit": facts.conversation_id,
            "interaction": facts.call_id,
            "called": facts.called,
            "asker": (None if hidden else self._customer_of(facts.caller)) or f"trunk:{facts.trunk}",
            "attested": _is_sure(facts),
            "confirmed": confirmed,
        }
        for _ in range(TRIES):
            try:
                return _read(way, await self._control.request("continue", wish, timeout_s=TICKET_S))
            except LinkError as error:
                log.warning("not_continued", way=way, problem=str(error))
                if not error.can_retry:
                    break
        return NotContinued.ABSENT


def _is_sure(facts: CallFacts) -> bool:
    """Whether the caller's number is to be taken for theirs."""
    vouched = facts.attestation == "passed" or (facts.trusted and facts.attestation == "none")
    return facts.channel == PHONE and vouched and not is_anonymous(facts.caller)


def _read(way: Way, answer: Head) -> Continued | NotContinued:
    refused = answer.get("refused")
    if refused is not None:
        return _REFUSALS[Refusal(refused)] if refused != NotContinued.ABSENT else NotContinued.ABSENT
    slots: dict[str, Any] = answer["slots"]
    return Continued(
        conversation=answer["conversation"],
        by=way,
        trust=answer["trust"],
        channel=answer["channel"],
        intent=answer["intent"],
        language=answer["language"],
        slots={name: Slot.model_validate(slot) for name, slot in slots.items()},
    )
