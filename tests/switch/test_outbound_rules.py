"""The pace of calls out, their hours and their retries, as rules alone."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceedge.switch.hours import is_open
from voiceedge.switch.outbound.messages import Report
from voiceedge.switch.outbound.model import Order, OrderState, Result
from voiceedge.switch.outbound.rules import Pace, counted_in, opens_at, room_beside_incoming, zones_of
from voiceedge.switch.plan import Campaign, Hours, Retry

DAY = Hours.model_validate({"open": [{"from": "09:00", "to": "18:00"}]})
ORDER = Order("o", "remind", "remind", "+821012345678", "hash", "c", 0, 0, state=OrderState.CALLING, call="x", tries=1)
CAMPAIGN = Campaign(flow="remind")


@settings(max_examples=200)
@given(
    per_minute=st.floats(0.5, 3000),
    gaps_ms=st.lists(st.integers(0, 30_000), min_size=1, max_size=200),
    wanted=st.lists(st.integers(0, 50), min_size=1, max_size=200),
)
def test_in_no_minute_are_more_calls_placed_than_allowed(
    per_minute: float, gaps_ms: list[int], wanted: list[int]
) -> None:
    pace, now_ms, next_ms = Pace(per_minute), 1_000_000, 0
    placed: list[int] = []
    for gap_ms, wish in zip(gaps_ms, wanted, strict=False):
        now_ms += gap_ms
        count = min(wish, pace.room(next_ms, now_ms))
        next_ms = pace.after(next_ms, now_ms, count)
        placed += [now_ms] * count
    for index, began in enumerate(placed):
        in_minute = sum(at < began + 60_000 for at in placed[index:])
        assert in_minute <= max(1, -(-per_minute // 1))


@given(per_minute=st.floats(1, 600))
def test_who_always_has_somebody_to_call_reaches_the_pace(per_minute: float) -> None:
    pace, next_ms, placed = Pace(per_minute), 0, 0
    for now_ms in range(0, 600_000, 500):
        count = pace.room(next_ms, now_ms)
        next_ms = pace.after(next_ms, now_ms, count)
        placed += count
    assert placed >= per_minute * 10 * 0.97 - 1


def test_what_was_not_placed_for_long_is_not_caught_up() -> None:
    assert Pace(60).room(0, 3_600_000) == 1
    assert Pace(600).room(0, 3_600_000) <= 11


@given(places=st.integers(0, 300), taken=st.integers(0, 300), keep=st.floats(0, 0.99))
def test_the_kept_share_stays_free_for_incoming_calls(places: int, taken: int, keep: float) -> None:
    room = room_beside_incoming(places, taken, keep)
    assert room >= 0
    if room:
        assert places - taken - room >= places * keep - 1e-9


@pytest.mark.parametrize(
    ("number", "zones"), [("+821012345678", ("Asia/Seoul",)), ("+12125551234", ("America/New_York",)), ("15881234", ())]
)
def test_where_somebody_is_follows_from_the_number(number: str, zones: tuple[str, ...]) -> None:
    assert zones_of(number) == zones


def test_people_are_called_on_their_own_clock() -> None:
    at = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)  # 10:00 in Seoul, 20:00 the evening before in New York
    assert opens_at(DAY, "+821012345678", at) == at
    assert opens_at(DAY, "+12125551234", at) == datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
    assert opens_at(None, "+12125551234", at) == at


@pytest.mark.parametrize("number", ["+61412345678", "+79161234567", "15881234"])
def test_in_a_country_of_several_zones_it_is_open_in_all_of_them(number: str) -> None:
    at = opens_at(DAY, number, datetime(2026, 11, 23, 20, 0, tzinfo=UTC))
    for zone in zones_of(number) or ["Asia/Seoul"]:
        assert at is None or is_open(DAY.model_copy(update={"timezone": zone}), at)


def after(order: Order, result: Result, campaign: Campaign = CAMPAIGN, now_ms: int = 0) -> Order:
    report = Report(order="o", call="x", result=result)
    again = counted_in(order, campaign, report, now_ms)
    return order if again is order else again


@pytest.mark.parametrize("result", ["busy", "no_answer", "machine", "failed"])
def test_each_result_has_its_own_delay_and_number_of_calls(result: str) -> None:
    rule: Retry = getattr(CAMPAIGN.retry, result)
    order = ORDER
    for tries in range(1, rule.attempts + 1):
        order = after(
            Order(**{**_fields(order), "state": OrderState.CALLING, "tries": tries, "call": "x"}), Result(result)
        )
        if tries < rule.attempts:
            assert (order.state, order.due_ms) == (OrderState.WAITING, rule.after_s * 1000)
    assert order.state is OrderState.FAILED


def _fields(order: Order) -> dict[str, object]:
    return {name: getattr(order, name) for name in Order.__slots__}


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (Result.DONE, OrderState.DONE),
        (Result.FAX, OrderState.FAILED),
        (Result.INVALID, OrderState.FAILED),
        (Result.REFUSED, OrderState.REFUSED),
    ],
)
def test_what_another_call_would_not_change_is_final(result: Result, state: OrderState) -> None:
    assert after(ORDER, result).state is state


def test_a_call_that_was_not_placed_is_no_attempt() -> None:
    order = after(ORDER, Result.NOT_PLACED)
    assert (order.state, order.tries, order.counts) == (OrderState.WAITING, 0, {})


def test_a_lost_worker_counts_as_a_failure_and_its_late_word_still_counts() -> None:
    lost = after(ORDER, Result.LOST)
    assert (lost.state, lost.call) == (OrderState.WAITING, "x")
    assert after(lost, Result.DONE).state is OrderState.DONE


def test_results_together_do_not_exceed_the_attempts_in_all() -> None:
    order = Order(**{**_fields(ORDER), "tries": 5})
    assert after(order, Result.BUSY).state is OrderState.FAILED


def test_nobody_is_tried_again_after_their_time() -> None:
    order = Order(**{**_fields(ORDER), "until_ms": 100_000})
    assert after(order, Result.BUSY).state is OrderState.FAILED


def test_one_call_each_interval() -> None:
    pace, next_ms, at = Pace(10), 0, []
    for now_ms in range(0, 60_000, 100):
        if pace.room(next_ms, now_ms):
            next_ms = pace.after(next_ms, now_ms, 1)
            at.append(now_ms)
    assert all(5_000 <= later - earlier <= 7_200 for earlier, later in pairwise(at))
