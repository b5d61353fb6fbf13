"""The step `hand_over`: a ticket to another channel, sent to the caller or given to the flow to say."""

from collections.abc import Mapping
from typing import Any

from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.flow.call import Call, HandOver, HandOverTicket
from voiceedge.flow.frame import Classes, Frame
from voiceedge.flow.steps import HandOverStep
from voiceedge.flow.template import plain

TOLD = ("link", "pin", "minutes", "sent")
# Of it, what lets in whoever has it.
CLASSES: Classes = {"link": PersonalDataClass.SENSITIVE, "pin": PersonalDataClass.SENSITIVE}


async def hand_over(
    call: Call, frame: Frame, step: HandOverStep, values: Mapping[str, Any], intent: str | None
) -> HandOverTicket | None:
    """None where it is impossible now. Raises TemplateError."""
    reason = frame.spoken([step.reason], values).masked  # it is published; the slots go along in the clear
    filled = frame.filled_slots()
    kept = {name: filled[name] for name in step.take if name in filled}
    return await call.hand_over(
        HandOver(
            channel=step.hand_over,
            reason=reason,
            intent=intent,
            slots={name: slot.text for name, slot in kept.items()},
            expires_s=step.valid_s,
            classes={name: slot.class_ for name, slot in kept.items()},
            send=step.send,
            to=step.to.fill(values, lambda _, value: plain(value)) if step.to else None,
            with_pin=step.into is not None,
            language=frame.flow.header.language,
        )
    )


def told(ticket: HandOverTicket) -> dict[str, Any]:
    """What a prompt can say of it."""
    return {name: getattr(ticket, name) for name in TOLD}
