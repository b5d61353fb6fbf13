"""What a key of the API notes about a conversation: as events, which change the record when they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fastapi import Request

from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.call import EventData
from voiceedge.context.events.digital import ContextChanged
from voiceedge.context.privacy.pii import mask
from voiceedge.context.record import Changes, Slot
from voiceedge.web.api.models import SlotWish
from voiceedge.web.api.once import id_for
from voiceedge.web.services import Services


@dataclass(frozen=True, slots=True)
class Told:
    data: EventData
    changes: Changes = field(default_factory=Changes)


async def tell(at: Services, request: Request, conversation: str, told: Sequence[Told]) -> datetime:
    """Return when they are kept, with their time. What is sent again by its Idempotency-Key tells nothing twice."""
    now = at.clock.now()
    await at.context.ingest_now(
        [
            StampedEvent(
                id=id_for(request, f"event {conversation} {number}", at.clock), time=now, conversation=conversation,
                type=one.data.type, data=one.data, changes=one.changes,
            )
            for number, one in enumerate(told)
        ]
    )  # fmt: skip
    return now


def slots_of(wished: dict[str, SlotWish]) -> dict[str, Slot]:
    return {name: Slot(value=one.value, personal_data=one.personal_data) for name, one in wished.items()}


def changed(by: str, intent: str | None, slots: dict[str, Slot]) -> ContextChanged:
    shown = {name: mask(slot.value, slot.personal_data) for name, slot in slots.items()}
    return ContextChanged(by=by, intent=intent, slots=shown)
