"""The events of a call: what each says, as CloudEvents 1.0 data; every one of them has a JSON Schema made from here.

No field carries personal data in the clear: whoever makes an event masks with `context.pii` first.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict


class EventData(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    type: ClassVar[str]


class CallStarted(EventData):
    """An INVITE was taken. `caller` is masked; `customer` is a keyed hash that stays the same for the same number."""

    type: ClassVar[str] = "voiceedge.call.started"
    call_id: str
    direction: Literal["in", "out"]
    caller: str
    customer: str
    called: str
    flow: str


class CallAnswered(EventData):
    type: ClassVar[str] = "voiceedge.call.answered"
    call_id: str
    set_up_ms: int  # INVITE received to 200 sent


class StepEntered(EventData):
    """The caller's way through the flow. `says` is the prompt, personal values masked; None for silent steps."""

    type: ClassVar[str] = "voiceedge.step.entered"
    call_id: str
    flow: str
    step: str
    kind: str
    says: str | None = None


class TurnHeard(EventData):
    """An answer, or the lack of one. `value` and `transcript` are masked as the slot's class demands."""

    type: ClassVar[str] = "voiceedge.turn.heard"
    call_id: str
    flow: str
    step: str
    by: Literal["speech", "keys", "none"]
    decision: Literal["accept", "confirm", "reject", "no_input"]
    value: str | None = None
    transcript: str | None = None
    confidence: float | None = None
    speech_ms: int | None = None


class HandedOver(EventData):
    """The conversation may go on in `channel` by whoever presents `token`: once, until `expires_at` (RFC 3339)."""

    type: ClassVar[str] = "voiceedge.conversation.handed_over"
    call_id: str
    channel: str
    reason: str
    token: str
    expires_at: str
    intent: str | None
    slots: dict[str, str]


class CallTransferred(EventData):
    type: ClassVar[str] = "voiceedge.call.transferred"
    call_id: str
    target: str
    result: Literal["done", "refused", "busy", "no_answer", "failed"]


class CallEnded(EventData):
    """`cause`: what ended it; `sip_code` the final or BYE status, `talk_ms` from answer to end."""

    type: ClassVar[str] = "voiceedge.call.ended"
    call_id: str
    cause: Literal["flow", "caller", "transfer", "no_rtp", "cancelled", "rejected", "failed", "shutdown"]
    sip_code: int
    reason: str
    duration_ms: int
    talk_ms: int
    outcome: str | None = None  # the name of the flow's last exit


EVENTS: tuple[type[EventData], ...] = (
    CallStarted, CallAnswered, StepEntered, TurnHeard, HandedOver, CallTransferred, CallEnded,
)  # fmt: skip


class Journal(Protocol):
    """Where a call writes down what happens. Never blocks and never raises: delivery is somebody else's worry."""

    def record(self, event: EventData, conversation: Mapping[str, object] | None = None) -> None:
        """Note the event and, where given, the fields of the conversation record that it changed."""
