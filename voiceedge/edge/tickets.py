"""Tickets for conversations that leave the phone: issued by control, published by the call that asked."""

from datetime import timedelta

import structlog

from voiceedge.clock import Clock
from voiceedge.context.events import HandedOver, Journal
from voiceedge.context.pii import mask
from voiceedge.edge.link import LinkClient
from voiceedge.errors import LinkError
from voiceedge.flow.call import CallFacts, HandOver, HandOverTicket

TICKET_S = 2.0  # how long a caller waits for a ticket

log = structlog.get_logger()


class TicketOffice:
    def __init__(self, control: LinkClient, clock: Clock) -> None:
        self._control, self._clock = control, clock

    async def hand_over(self, facts: CallFacts, request: HandOver, journal: Journal) -> HandOverTicket | None:
        """Issue and publish a ticket; None where control is away: the flow has an exit for it."""
        wish = {
            "conversation": facts.conversation_id,
            "channel": request.channel,
            "expires_s": request.expires_s,
        }
        try:
            ticket = await self._control.request("issue_token", wish, timeout_s=TICKET_S)
        except LinkError as error:
            log.warning("hand_over_failed", channel=request.channel, problem=str(error))
            return None
        journal.record(
            HandedOver(
                call_id=facts.call_id,
                channel=request.channel,
                reason=request.reason,
                token=ticket["token"],
                expires_at=(self._clock.now() + timedelta(seconds=request.expires_s)).isoformat(),
                intent=request.intent,
                slots={name: mask(value, request.classes[name]) for name, value in request.slots.items()},
            )
        )
        return HandOverTicket(ticket["token"], request.channel)
