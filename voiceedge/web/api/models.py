"""What the API takes and gives, with examples; all text is bounded, and fit for any database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AnyHttpUrl, AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, StrictInt

from voiceedge.context.cloudevents import CONVERSATION_ID
from voiceedge.context.events.digital import Trust, Way
from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.context.record import Continuation, HandOverNote, Interaction, JourneyStep, Turn

MOST_SLOTS = 100  # of one conversation


def _plain(text: str) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not hold a NUL character, or half of one")
    return text


Plain = Annotated[str, AfterValidator(_plain)]
Word = Annotated[Plain, Field(min_length=1, max_length=64)]
Line = Annotated[Plain, Field(min_length=1, max_length=254)]
Code = Annotated[Plain, Field(min_length=1, max_length=512)]
Value = Annotated[Plain, Field(max_length=1000)]
Note = Annotated[Plain, Field(max_length=2000)]
Message = Annotated[Plain, Field(min_length=1, max_length=4000)]
Reference = Annotated[
    Plain,
    Field(min_length=1, max_length=128, description="The channel's own name of the visit, such as its chat room's id."),
]
Identifier = Annotated[str, Field(pattern=CONVERSATION_ID, max_length=64)]
Channel = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", examples=["kakao"])]
SlotName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$", max_length=64)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$", examples=["ko"])]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$", max_length=64)]


class Asked(BaseModel):
    """Keys it does not know are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Given(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    code: str = Field(description="A word that programs may rely on.")
    detail: str
    errors: list[dict[str, str]] | None = Field(None, description="Of code `invalid`: each mistake with its place.")


# --- conversations ---


class SlotWish(Asked):
    value: Value
    personal_data: PersonalDataClass = Field(
        PersonalDataClass.PERSONAL, description="How carefully it is shown and how long it is kept; card is never kept."
    )


class CustomerWish(Asked):
    """Any of these: each is an identity by which the same person is known again."""

    phone: Word | None = Field(None, examples=["010-1234-5678"])
    email: Line | None = Field(None, examples=["minji@example.com"])
    chat: Line | None = Field(None, description="Account in a chat, as the channel knows it.")
    external: Line | None = Field(None, description="Id in a system of yours, such as the CRM's.")
    verified: StrictBool = Field(
        False, description="Whether phone and e-mail were shown to be the customer's: they logged in, or keyed a code."
    )


Slots = Annotated[dict[SlotName, SlotWish], Field(max_length=MOST_SLOTS)]


class OpenWish(Asked):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "channel": "kakao",
                    "reference": "room-8812",
                    "language": "ko",
                    "intent": "delivery",
                    "customer": {"phone": "010-1234-5678"},
                    "slots": {"order": {"value": "A-20231", "personal_data": "none"}},
                }
            ]
        }
    )
    channel: Channel
    reference: Reference
    language: Language | None = None
    intent: Word | None = None
    customer: CustomerWish | None = None
    slots: Slots = Field(default_factory=dict)


class ChangeWish(Asked):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"intent": "refund", "slots": {"name": {"value": "김민지"}}}]}
    )
    language: Language | None = None
    intent: Word | None = None
    outcome: Word | None = None
    slots: Slots = Field(default_factory=dict)


class SearchWish(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [{"phone": "010-1234-5678", "limit": 5}]})
    customer: Identifier | None = None
    phone: Line | None = Field(None, description="A person's number, in the clear.")
    email: Line | None = None
    channel: Channel | None = None
    queue: Word | None = None
    agent: Word | None = None
    outcome: Word | None = None
    open: StrictBool | None = Field(None, description="Whether it goes on.")
    since: AwareDatetime | None = Field(None, description="Begun then or later.")
    until: AwareDatetime | None = Field(None, description="Begun before.")
    text: Word | None = Field(None, description="Said or written, as it is shown.")
    limit: StrictInt = Field(50, ge=1, le=200)
    cursor: Code | None = Field(None, description="`next` of the page before.")


class TurnWish(Asked):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"by": "customer", "text": "주문한 게 아직 안 왔어요. A-20231이에요."}]}
    )
    by: Literal["customer", "agent", "voiceedge"]
    text: Message
    agent: Name | None = Field(None, description="Who wrote it, of an agent's.")
    reference: Reference | None = Field(None, description="The visit; unset: the latest that is open.")


class CloseWish(Asked):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"outcome": "solved", "note": "재배송 접수", "satisfaction": 5}]}
    )
    outcome: Word | None = None
    note: Note = ""
    satisfaction: StrictInt | None = Field(None, ge=1, le=5)
    ended_by: Literal["customer", "agent", "flow", "idle"] = "agent"


class SlotView(Given):
    value: str = Field(description="Masked by its class, unless the key has the scope slots:clear.")
    personal_data: PersonalDataClass


class ConversationView(Given):
    id: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    customer_id: str | None
    language: str | None
    intent: str | None
    outcome: str | None
    note: str
    satisfaction: int | None
    queue: str | None
    agent: str | None
    slots: dict[str, SlotView]
    channels: tuple[Interaction, ...]
    turns: tuple[Turn, ...]
    journey: tuple[JourneyStep, ...]
    hand_overs: tuple[HandOverNote, ...]
    continuations: tuple[Continuation, ...]


class ConversationLine(Given):
    """What a search gives of a conversation."""

    id: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    customer_id: str | None
    outcome: str | None
    queue: str | None
    agent: str | None
    channels: tuple[str, ...]


class ConversationPage(Given):
    conversations: list[ConversationLine]
    next: str | None = Field(description="Give it as `cursor` for the next page; null: there is none.")


# --- tokens ---


class TokenWish(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [{"channel": "phone", "pin": True}]})
    channel: Channel = Field(description="Where the conversation is to go on; phone for a call.")
    expires_s: float | None = Field(None, strict=True, ge=1, le=86_400 * 7)
    pin: StrictBool = Field(False, description="Six digits to key in on the phone.")
    number: StrictBool = Field(False, description="A number to be called for nothing but this.")


class TokenView(Given):
    """What the customer is given. It is told this once."""

    token: str
    expires_at: datetime
    pin: str | None
    number: str | None
    code_expires_at: datetime | None = Field(description="When PIN and number end.")
    link: str | None


class ResolveWish(Asked):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token": "1f0c…", "channel": "kakao", "reference": "room-9001"}]}
    )
    token: Code
    channel: Channel = Field(description="The one that resolves it: a token is for one channel.")
    reference: Reference
    conversation_id: Identifier | None = Field(
        None, description="As which this visit was opened, if it was: that conversation becomes a part of the other."
    )


class ResolvedView(Given):
    """`conversation` with its values in the clear."""

    by: Way
    trust: Trust
    conversation: ConversationView


# --- calls ---


class CallWish(Asked):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"number": "010-1234-5678", "campaign": "remind", "values": {"name": "김민지"}}]
        }
    )
    campaign: Annotated[str, Field(max_length=64)] = Field(
        description="Of the switch plan: which flow, when, how often."
    )
    number: Word | None = Field(None, description="Unset: the phone of the customer.")
    customer_id: Identifier | None = None
    conversation_id: Identifier | None = Field(
        None, description="The one that the call continues; its slots are known."
    )
    flow: Annotated[str, Field(max_length=64)] | None = None
    values: Annotated[dict[SlotName, Value | bool | int | float], Field(max_length=50)] = Field(
        default_factory=dict, description="For slots of the flow."
    )
    not_before: AwareDatetime | None = Field(None, description="Unset: now.", examples=["2026-11-24T10:00:00+09:00"])
    until: AwareDatetime | None = None
    priority: StrictInt = Field(5, ge=1, le=9, description="1 first.")


class CallBackWish(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [{"campaign": "call-back"}]})
    campaign: Annotated[str, Field(max_length=64)]
    number: Word | None = None
    not_before: AwareDatetime | None = None


class CallView(Given):
    """An order for a call. The number is masked."""

    id: str
    conversation_id: str
    campaign: str
    number: str
    state: Literal["waiting", "calling", "done", "failed", "cancelled", "expired", "refused"]
    tries: int
    due_at: datetime
    result: str | None
    outcome: str | None


# --- customers ---


class IdentityView(Given):
    kind: Literal["phone", "email", "chat", "external"]
    value: str = Field(description="Masked, unless the key has the scope slots:clear.")
    verified: bool = Field(description="Whether the customer has shown that it is theirs.")
    source: str
    added_at: datetime


class CustomerView(Given):
    id: str
    created_at: datetime
    identities: list[IdentityView]
    attributes: dict[str, SlotView]
    merged: Sequence[str] = Field(description="Who turned out to be the same person.")


class CustomerList(Given):
    customers: list[CustomerView]


class TrailLine(Given):
    time: datetime
    customer: str
    action: str
    other: str | None
    who: str
    why: str


class Trail(Given):
    entries: list[TrailLine]


class FindWish(Asked):
    """All who may be known by one of these."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"phone": "010-1234-5678"}]})
    phone: Line | None = None
    email: Line | None = None
    chat: Line | None = None
    external: Line | None = None


class MergeWish(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [{"other": "01a2…", "why": "같은 분이라고 확인함"}]})
    other: Identifier
    why: Word = Field(description="For the trail.")


class SplitWish(Asked):
    model_config = ConfigDict(json_schema_extra={"examples": [{"why": "가족이 같은 번호를 씀"}]})
    why: Word


# --- webhooks ---


class WebhookWish(Asked):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "https://crm.example/voiceedge", "types": ["voiceedge.conversation.closed"]}]
        }
    )
    url: AnyHttpUrl = Field(
        description="Its scheme, host and port must be listed in web.webhook_targets.", max_length=2000
    )
    types: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=50)] = Field(
        default_factory=list, description="Of events; none: all of them."
    )


class WebhookView(Given):
    id: str
    url: str
    types: tuple[str, ...]
    created_at: datetime
    state: Literal["enabled", "disabled"]
    why: str


class NewWebhookView(WebhookView):
    secret: str = Field(description="For checking Webhook-Signature. It is told this once.")


class WebhookList(Given):
    webhooks: list[WebhookView]


class TestView(Given):
    delivered: bool
    status: int | None
    problem: str


class DeliveryView(Given):
    event_id: str
    type: str
    conversation_id: str
    state: Literal["waiting", "delivered", "failed"]
    tries: int
    status: int | None
    problem: str
    again_at: datetime | None


class DeliveryList(Given):
    deliveries: list[DeliveryView] = Field(description="The latest first.")
