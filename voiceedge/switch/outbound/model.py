"""An order to call somebody: what was asked for, and how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voiceedge.switch.plan import Retry

Value = str | int | float | bool


class OrderState(StrEnum):
    WAITING = "waiting"  # for its time, its turn or its next attempt
    CALLING = "calling"  # a worker has it
    DONE = "done"  # somebody, or as wanted a machine, was talked to
    FAILED = "failed"  # given up
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"  # the do-not-call list or the guard forbids it


LIVE = frozenset({OrderState.WAITING, OrderState.CALLING})


class Result(StrEnum):
    """What became of one call."""

    DONE = "done"  # the flow ran
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    MACHINE = "machine"  # one answered, and we hung up
    FAX = "fax"
    INVALID = "invalid"  # the number is nobody's
    FAILED = "failed"  # no trunk took it
    LOST = "lost"  # its worker died, or could not be reached any more
    REFUSED = "refused"  # by our own rules: no other attempt would fare better
    NOT_PLACED = "not_placed"  # no line was free, or a cap is reached: it was no attempt


@dataclass(frozen=True, slots=True)
class Order:
    """Times are milliseconds since 1970. `number` is E.164, or digits where there is no such form; masked once over.

    `call` names the latest attempt: what a worker says of another one is no news. `retry` are the order's own rules by
    result, `counts` how many calls ended so.
    """

    id: str
    campaign: str
    flow: str
    number: str
    customer: str
    conversation: str
    added_ms: int
    due_ms: int
    caller_id: str | None = None
    slots: Mapping[str, Value] = field(default_factory=dict)
    priority: int = 5
    attempts: int | None = None
    retry: Mapping[str, Retry] = field(default_factory=dict)
    until_ms: int | None = None
    state: OrderState = OrderState.WAITING
    tries: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    result: Result | None = None
    outcome: str | None = None
    call: str | None = None
    node: str = ""
    lease_ms: int = 0
    over_ms: int | None = None
