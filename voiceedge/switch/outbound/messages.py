"""What commands and workers say to control about calls out, and what they are answered.

    outbound_add     {"orders": [OrderRequest], "by"} → {"orders": [Added]}, each by itself
    outbound_list    ListRequest   → {"orders": [OrderView], "paused": [campaign, "" for all]}
    outbound_show    {"order"}     → OrderView
    outbound_cancel  {"order"}     → OrderView
    outbound_pause   PauseRequest  → {}
    outbound_said    Report        → {}   a worker: what became of a call
    outbound_go_on   {"calls"}     → {}   a worker: these calls are still up; every RENEW_S
    do_not_call_add  {"numbers", "reason"} → {"added"}
    do_not_call_list {}            → {"numbers": [{"shown", "reason", "added_at"}], "count"}
    do_not_call_remove {"number"}  → {"removed"}

A worker's own request, on its worker-N.sock: `outbound` CallOrder → {}.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from voiceedge.context.cloudevents import CONVERSATION_ID
from voiceedge.switch.outbound.model import OrderState, Result
from voiceedge.switch.plan import Retry

OrderId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
SlotName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w{0,63}$")]
SlotText = Annotated[str, Field(max_length=500)]
Machine = Literal["hang_up", "message", "go_on", "off"]
AnsweredBy = Literal["person", "machine", "fax", "silence"]

LEASE_S = 45.0  # how long a call counts as up after its worker's last word
RENEW_S = 15.0


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Loose(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a link's request carries its name and number too


class RetryRules(Strict):
    busy: Retry | None = None
    no_answer: Retry | None = None
    machine: Retry | None = None
    failed: Retry | None = None


class OrderRequest(Strict):
    """Somebody to call. An id that is known already changes nothing; unset, one is made.

    `flow`, `caller_id`, `attempts` and `retry` go before what the campaign says; `values` are for slots of the flow.
    `conversation` continues an existing one.
    """

    id: OrderId | None = None
    number: Annotated[str, Field(max_length=64)]
    campaign: Annotated[str, Field(max_length=64)]
    flow: Annotated[str, Field(max_length=64)] | None = None
    values: Annotated[dict[SlotName, SlotText | int | float | bool], Field(max_length=50)] = Field(default_factory=dict)
    caller_id: Annotated[str, Field(max_length=64)] | None = None
    not_before: AwareDatetime | None = None
    until: AwareDatetime | None = None
    priority: int = Field(5, ge=1, le=9)  # 1 first
    attempts: int | None = Field(None, ge=1, le=100)
    retry: RetryRules = RetryRules()
    conversation: Annotated[str, Field(pattern=CONVERSATION_ID)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "OrderRequest":
        if self.not_before and self.until and self.until <= self.not_before:
            raise ValueError("until: must be after not_before")
        return self


class Added(Strict):
    id: str
    state: Literal["added", "known", "refused"]
    why: str = ""


class OrderView(Strict):
    """The number is masked."""

    id: str
    campaign: str
    number: str
    state: OrderState
    priority: int
    tries: int
    due_at: AwareDatetime
    result: Result | None
    outcome: str | None
    conversation: str


class ListRequest(Loose):
    campaign: str | None = None
    state: OrderState | None = None
    limit: int = Field(100, ge=1, le=1000)


class OneOrder(Loose):
    order: OrderId


class OneNumber(Loose):
    number: Annotated[str, Field(max_length=64)]


class Forbid(Loose):
    numbers: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=1000)]
    reason: Annotated[str, Field(max_length=200)] = ""


class GoOn(Loose):
    calls: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=1000)]


class PauseRequest(Loose):
    """`campaign` empty: all of them."""

    campaign: str = ""
    paused: bool


class CallOrder(Loose):
    """To a worker: one call to place. `call` names it in all that is said of it."""

    order: str
    call: str
    number: str
    campaign: str
    flow: str
    slots: dict[str, str | int | float | bool]
    conversation: str
    caller_id: str | None
    ring_s: float
    machine: Machine


class Report(Loose):
    """From a worker."""

    order: str
    call: str
    result: Result
    answered_by: AnsweredBy | None = None
    outcome: Annotated[str, Field(max_length=64)] | None = None
