"""When the next call may be placed, whether somebody may be called now, and whether they are tried again: pure."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from phonenumbers import NumberParseException, parse
from phonenumbers.timezone import time_zones_for_number

from voiceedge.switch.hours import is_open, next_opening
from voiceedge.switch.outbound.messages import Report
from voiceedge.switch.outbound.model import LIVE, Order, OrderState, Result
from voiceedge.switch.plan import Campaign, Hours, Retry

MINUTE_MS = 60_000
CATCH_UP_MS = 1_000  # what was not placed in the last second may be placed at once; not what is older
NOT_PLACED_MS = 5_000
_UNKNOWN_ZONE = "Etc/Unknown"
_FINAL = frozenset({Result.FAX, Result.INVALID})


@dataclass(frozen=True, slots=True)
class Pace:
    """One call each interval (GCRA, ITU-T I.371): in no 60 seconds, whenever they begin, more than `per_minute`.

    What may be caught up is paid for by intervals that are longer by as much.
    """

    per_minute: float

    @property
    def _interval_ms(self) -> float:
        return (MINUTE_MS + CATCH_UP_MS) / self.per_minute

    def room(self, next_ms: float, now_ms: float) -> int:
        """How many may be placed now. `next_ms` is when the next one was due."""
        if next_ms > now_ms:
            return 0
        return 1 + math.floor((now_ms - max(next_ms, now_ms - CATCH_UP_MS)) / self._interval_ms)

    def after(self, next_ms: float, now_ms: float, placed: int) -> int:
        """When the next one is due after so many more were placed."""
        if not placed:
            return math.ceil(next_ms)
        return math.ceil(max(next_ms, now_ms - CATCH_UP_MS) + placed * self._interval_ms)


def room_beside_incoming(places: int, taken: int, keep_free: float) -> int:
    """How many calls out may begin so that the kept share of all places is still free for calls that come in."""
    return max(0, places - taken - math.ceil(places * keep_free))


def zones_of(number: str) -> tuple[str, ...]:
    """Where somebody of this number may be; none where it cannot be said."""
    try:
        zones = time_zones_for_number(parse(number))
    except NumberParseException:
        return ()
    return tuple(zone for zone in zones if zone != _UNKNOWN_ZONE)


def opens_at(hours: Hours | None, number: str, now: datetime) -> datetime | None:
    """`now` where it is open on the clock of whoever has the number, else the next moment it is; None: within no year.

    A number of a country with several zones is called while it is open in all of them.
    """
    if hours is None:
        return now
    local = [hours.model_copy(update={"timezone": zone}) for zone in zones_of(number)] or [hours]
    moment = now
    for _ in range(len(local) * 20):
        closed = next((each for each in local if not is_open(each, moment)), None)
        if closed is None:
            return moment
        opening = next_opening(closed, moment)
        if opening is None:
            return None
        moment = opening.astimezone(UTC)
    return None


def counted_in(order: Order, campaign: Campaign | None, report: Report, now_ms: int) -> Order:
    """The order after what is reported of its latest call."""
    result = report.result
    if result is Result.NOT_PLACED:
        again = order.state is OrderState.CALLING
        return (
            replace(order, state=OrderState.WAITING, tries=order.tries - 1, due_ms=now_ms + NOT_PLACED_MS)
            if again
            else order
        )
    counts = {**order.counts, result.value: order.counts.get(result.value, 0) + 1}
    order = replace(order, counts=counts, result=result, outcome=report.outcome)
    if result is not Result.LOST:
        order = replace(order, call=None)  # nothing more is to be said of it
    if order.state not in LIVE:
        return replace(order, state=OrderState.DONE) if result is Result.DONE else order
    verdict = after_call(order, campaign or Campaign(flow=order.flow), result, now_ms)
    if verdict.again_ms is None:
        return closed(order, verdict.state, now_ms)
    return replace(order, state=verdict.state, due_ms=verdict.again_ms)


def closed(order: Order, state: OrderState, now_ms: int) -> Order:
    return replace(order, state=state, over_ms=now_ms)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the order is after a call; `again_ms` where it waits for another."""

    state: OrderState
    again_ms: int | None = None


def after_call(order: Order, campaign: Campaign, result: Result, now_ms: int) -> Verdict:
    """`order` as it is with this call counted."""
    if result is Result.DONE:
        return Verdict(OrderState.DONE)
    if result is Result.REFUSED:
        return Verdict(OrderState.REFUSED)
    if result in _FINAL:
        return Verdict(OrderState.FAILED)
    rule = retry_of(order, campaign, result)
    again_ms = now_ms + round(rule.after_s * 1000)
    if order.tries >= (order.attempts or campaign.attempts) or order.counts.get(result.value, 0) >= rule.attempts:
        return Verdict(OrderState.FAILED)
    if order.until_ms is not None and again_ms >= order.until_ms:
        return Verdict(OrderState.FAILED)
    return Verdict(OrderState.WAITING, again_ms)


def retry_of(order: Order, campaign: Campaign, result: Result) -> Retry:
    kind = Result.FAILED if result is Result.LOST else result
    own: Retry = getattr(campaign.retry, kind.value)
    return order.retry.get(kind.value, own)
