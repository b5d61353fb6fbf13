"""The events of a call: what each says, as CloudEvents 1.0 data; every one of them has a JSON Schema made from here.

No field carries personal data in the clear: whoever makes an event masks values by their class with `context.pii`, and
free text is searched once more for numbers and addresses of persons when the event is made.
"""

import functools
import unicodedata
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo, field_validator

from voiceedge.context.privacy.pii import mask_text

# The context in which a process of ours reads what another has made: masked already, and fit to publish.
MADE_BY_US: Mapping[str, object] = {"made_by": "us"}


def _masked(text: str, info: ValidationInfo) -> str:
    return text if info.context is MADE_BY_US else mask_text(text)


FreeText = Annotated[str, AfterValidator(_masked)]


@functools.lru_cache(maxsize=256)
def _masked_id(text: str) -> str:
    """It stands in every event of a call."""
    return mask_text(text)


def _masked_call_id(text: str, info: ValidationInfo) -> str:
    return text if info.context is MADE_BY_US else _masked_id(text)


CallId = Annotated[str, AfterValidator(_masked_call_id)]

LONGEST_TEXT = 4_000  # characters; no prompt and no turn comes near


Cause = Literal["flow", "caller", "transfer", "no_rtp", "cancelled", "rejected", "failed", "shutdown"]


class EventData(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)
    type: ClassVar[str]

    @field_validator("*", mode="before")
    @classmethod
    def _fit_to_publish(cls, value: object, info: ValidationInfo) -> object:
        """Text may come from the network: no half characters, no control characters, no end in sight."""
        if not isinstance(value, str) or info.context is MADE_BY_US:
            return value
        if type(value) is str and len(value) <= LONGEST_TEXT and value.isprintable():
            return value
        whole = value[:LONGEST_TEXT].encode(errors="replace").decode()
        return "".join(" " if unicodedata.category(character) == "Cc" else character for character in whole)


class CallStarted(EventData):
    """An INVITE was taken.

    `caller` is masked, or an agent's name; `customer` is a keyed hash that stays the same for the same number, null
    where none was shown. `trunk` is the one of the switch plan by which it came, null where it came by none. `flow` is
    to_agent, to_queue, to_number or to_voicemail where the plan leads there at once, and "reject" where it refuses the
    call.
    """

    type: ClassVar[str] = "voiceedge.call.started"
    call_id: CallId
    direction: Literal["in", "out"]
    caller: FreeText
    customer: str | None
    called: str
    flow: str
    trunk: str | None = None


class CallAnswered(EventData):
    """The caller is connected."""

    type: ClassVar[str] = "voiceedge.call.answered"
    call_id: CallId
    set_up_ms: int  # INVITE received to 200 sent


class ToneHeard(EventData):
    """The line sounds a tone that means something: busy, congestion, a fax."""

    type: ClassVar[str] = "voiceedge.call.tone_heard"
    call_id: CallId
    tone: Literal["dial", "ringback", "busy", "congestion", "information", "fax_calling", "fax_answering"]
    level_dbov: float


class StepEntered(EventData):
    """The caller came to a step of a flow.

    `says` is the prompt, personal values masked; None for silent steps.
    """

    type: ClassVar[str] = "voiceedge.step.entered"
    call_id: CallId
    flow: str
    step: str
    kind: str
    says: FreeText | None = None


class TurnHeard(EventData):
    """An answer, or the lack of one; in a talk with an agent, something either of them said (`step` talk, no `flow`).

    `transcript` is what was said or written, or of a key the words of the choice it stands for. It and `value` are
    masked as the slot's class demands.
    """

    type: ClassVar[str] = "voiceedge.turn.heard"
    call_id: CallId
    flow: str
    step: str
    by: Literal["speech", "keys", "text", "none"]
    decision: Literal["accept", "confirm", "reject", "no_input"]
    value: FreeText | None = None
    transcript: FreeText | None = None
    confidence: float | None = None
    speech_ms: int | None = None
    speaker: Literal["caller", "agent"] = "caller"


class HandedOver(EventData):
    """The conversation may go on in `channel` by whoever presents `token`: once, until `expires_at` (RFC 3339).

    `slots` are masked; whoever redeems the token gets them in the clear.
    """

    type: ClassVar[str] = "voiceedge.conversation.handed_over"
    call_id: CallId
    channel: str
    reason: FreeText
    token: str
    expires_at: str
    intent: str | None
    slots: dict[str, FreeText]


class CallTransferred(EventData):
    """The flow sent the caller to `target`, and what came of it."""

    type: ClassVar[str] = "voiceedge.call.transferred"
    call_id: CallId
    target: FreeText
    result: Literal["done", "refused", "busy", "no_answer", "failed"]


class BridgeStarted(EventData):
    """The caller and `with_leg`, the Call-ID of a call we placed, hear each other.

    `agent` is set where it is an agent's phone, `queue` where the caller waited in one. `wait_ms` is how long that, or
    the ringing, took. `by` says how it came about.
    """

    type: ClassVar[str] = "voiceedge.bridge.started"
    call_id: CallId
    with_leg: FreeText
    agent: str | None
    queue: str | None
    by: Literal["dial", "queue", "transfer", "consultation"]
    wait_ms: int


class BridgeEnded(EventData):
    """The caller and `with_leg` hear each other no more.

    `ended_by`: the caller or the other side hung up, the other side sent the caller on (`transfer`), or its line broke
    (`failed`).
    """

    type: ClassVar[str] = "voiceedge.bridge.ended"
    call_id: CallId
    with_leg: FreeText
    agent: str | None
    queue: str | None
    ended_by: Literal["caller", "other", "transfer", "failed"]
    talk_ms: int


class VoicemailLeft(EventData):
    """A message is in `mailbox`: the file at `path`, which is below `voicemail` in the site's data directory."""

    type: ClassVar[str] = "voiceedge.voicemail.left"
    call_id: CallId
    mailbox: str
    path: str
    seconds: float


class QueueJoined(EventData):
    """The caller waits for an agent; `returned`: once more, after an agent's line failed, say.

    `priority` goes from 1, first, to 9 (0: returned after a talk); `position` counts from 1.
    """

    type: ClassVar[str] = "voiceedge.queue.joined"
    call_id: CallId
    queue: str
    priority: int
    position: int
    returned: bool = False
    expected_wait_s: int | None = None


class QueueLeft(EventData):
    """The waiting is over: `answered` by `agent`, or why not."""

    type: ClassVar[str] = "voiceedge.queue.left"
    call_id: CallId
    queue: str
    reason: Literal["answered", "abandoned", "left", "full", "closed", "no_agent", "timeout", "not_reached", "lost"]
    waited_ms: int
    agent: str | None = None


class QueueCallBack(EventData):
    """The caller is called back instead of waiting: asked for, dialled, or given up after so many `attempts`."""

    type: ClassVar[str] = "voiceedge.queue.call_back"
    call_id: CallId
    queue: str
    state: Literal["asked", "dialled", "not_reached"]
    attempts: int


class AgentStateChanged(EventData):
    """An agent is in another `state` than before (`was`, for `lasted_ms`); its subject is `agent-` and the name.

    `reason` is that of a break. `queue` and `conversation` are whose caller rings or talks.
    """

    type: ClassVar[str] = "voiceedge.agent.state"
    agent: str
    state: Literal["logged_out", "available", "break", "ringing", "talking", "after_call"]
    reason: FreeText
    was: Literal["logged_out", "available", "break", "ringing", "talking", "after_call"]
    lasted_ms: int
    queue: str | None = None
    conversation: str | None = None


class OutboundOrdered(EventData):
    """Somebody is to be called: the order `order` was taken, or was `known` already and stays as it is."""

    type: ClassVar[str] = "voiceedge.outbound.ordered"
    order: str
    campaign: str
    number: str
    by: Literal["command", "mqtt", "api"]
    known: bool = False


class OutboundRefused(EventData):
    """An order was not taken, and why; its subject is `outbound`. `order` is empty where it names itself by no id."""

    type: ClassVar[str] = "voiceedge.outbound.refused"
    order: str
    why: FreeText


class OutboundDialled(EventData):
    """The number of the order is called for the `attempt`-th time."""

    type: ClassVar[str] = "voiceedge.outbound.dialled"
    order: str
    campaign: str
    number: str
    attempt: int


class OutboundResult(EventData):
    """What became of the `attempt`-th call of an order.

    `answered_by` is null where nobody answered. `outcome` is the flow's. `again_at` (RFC 3339) is when it is tried
    again at the earliest; null: never.
    """

    type: ClassVar[str] = "voiceedge.outbound.result"
    order: str
    campaign: str
    attempt: int
    result: Literal["done", "busy", "no_answer", "machine", "fax", "invalid", "failed", "lost", "refused"]
    answered_by: Literal["person", "machine", "fax", "silence"] | None = None
    outcome: FreeText | None = None
    again_at: str | None = None


class OutboundOver(EventData):
    """Nobody is called for this order any more: done, given up, cancelled, past its time, or not allowed."""

    type: ClassVar[str] = "voiceedge.outbound.over"
    order: str
    campaign: str
    state: Literal["done", "failed", "cancelled", "expired", "refused"]
    attempts: int
    why: FreeText = ""


class RecordingStarted(EventData):
    """The call is being recorded to `path`, which is below `recordings` in the site's data directory."""

    type: ClassVar[str] = "voiceedge.recording.started"
    call_id: CallId
    path: str
    format: Literal["wav", "opus"]


class RecordingEnded(EventData):
    """Nothing more is recorded to `path`. It may never have begun, for the reason that `error` tells.

    `paused_s` of its `seconds` are silence, in so many `pauses`: for card numbers, or as the flow wanted it.
    """

    type: ClassVar[str] = "voiceedge.recording.ended"
    call_id: CallId
    path: str
    format: Literal["wav", "opus"]
    seconds: float
    pauses: int
    paused_s: float
    error: str | None = None


class RecordingDeleted(EventData):
    """The recording or message at `path`, below the site's data directory, was older than the site keeps them."""

    type: ClassVar[str] = "voiceedge.recording.deleted"
    path: str
    age_days: float


class LegEnded(EventData):
    """The call-detail record of one leg: a call has one to the caller, and one to everybody it was connected to.

    `far_end` is masked. Delays are those of RFC 6076: `request_delay_ms` from INVITE to the first answer that is not
    100, `disconnect_delay_ms` from our BYE to its answer. `in` is what we received, `out` what the other side reported
    to have received (RTCP, RFC 3550), None where it never did; `mos` is the opinion they let one expect (ITU-T G.107).
    """

    type: ClassVar[str] = "voiceedge.leg.ended"
    call_id: CallId
    role: Literal["caller", "agent", "other"]
    direction: Literal["in", "out"]
    trunk: str | None
    agent: str | None
    far_end: FreeText
    began_at: str
    answered_at: str | None
    ended_at: str
    request_delay_ms: int | None
    disconnect_delay_ms: int | None
    talk_ms: int
    cause: Literal["caller", "us", "no_rtp", "cancelled", "failed", "transfer"]
    sip_code: int
    q850: int | None
    codec: str | None = None
    packets_in: int = 0
    packets_out: int = 0
    lost_in: int = 0
    lost_out: int | None = None
    jitter_in_ms: float | None = None
    jitter_out_ms: float | None = None
    round_trip_ms: float | None = None
    mos: float | None = None


class CallEnded(EventData):
    """The call is over.

    `cause` is what ended it, `sip_code` the final or BYE status, `talk_ms` lasts from answer to end.
    """

    type: ClassVar[str] = "voiceedge.call.ended"
    call_id: CallId
    cause: Cause
    sip_code: int
    reason: FreeText
    duration_ms: int
    talk_ms: int
    outcome: str | None = None  # the name of the flow's last exit


class Journal(Protocol):
    """Where a call writes down what happens. Never blocks and never raises: delivery is somebody else's worry."""

    def record(self, event: EventData, conversation: Mapping[str, object] | None = None) -> None:
        """Note the event and, where given, what it changed in the conversation's record.

        `conversation` holds fields of `context.record.Changes`: "language", "intent", "outcome", "customer", and
        "slots", name to `Slot(value, personal_data)`; slots keep their values in the clear, and are in no event.
        """
