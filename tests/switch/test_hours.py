"""Opening hours: breaks, nights, holidays, and days on which the clocks are changed."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceedge.switch.hours import is_open, next_opening
from voiceedge.switch.plan import Hours

SEOUL, NEW_YORK = ZoneInfo("Asia/Seoul"), ZoneInfo("America/New_York")
WEEK = ["mon", "tue", "wed", "thu", "fri"]

OFFICE = Hours.model_validate({
    "open": [{"days": WEEK, "from": "09:00", "to": "12:00"}, {"days": WEEK, "from": "13:00", "to": "18:00"}],
    "closed": ["2026-12-25", date(2027, 1, 1)],
})  # fmt: skip
NIGHT = Hours.model_validate({"open": [{"days": ["fri"], "from": "22:00", "to": "06:00"}], "closed": ["2026-12-25"]})
ALWAYS = Hours.model_validate({"open": [{"days": [*WEEK, "sat", "sun"], "from": "00:00", "to": "00:00"}]})


def seoul(text):
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-23 08:59:59", False),
        ("2026-11-23 09:00", True),
        ("2026-11-23 11:59:59", True),
        ("2026-11-23 12:00", False),  # the break
        ("2026-11-23 13:00", True),
        ("2026-11-23 18:00", False),
        ("2026-11-22 10:00", False),  # a Sunday
        ("2026-12-25 10:00", False),  # a Friday, closed
        ("2027-01-01 10:00", False),
    ],
)
def test_office_hours_have_a_break_and_holidays(at, expected):
    assert is_open(OFFICE, seoul(at)) is expected
    assert is_open(OFFICE, seoul(at).astimezone(UTC)) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-27 21:59", False),
        ("2026-11-27 22:00", True),
        ("2026-11-28 05:59", True),  # of Friday's stretch, on Saturday
        ("2026-11-28 06:00", False),
        ("2026-11-28 22:00", False),
        ("2026-12-26 02:00", False),  # the stretch would have begun on the closed day
    ],
)
def test_a_stretch_over_midnight_belongs_to_the_day_it_begins_on(at, expected):
    assert is_open(NIGHT, seoul(at)) is expected


@given(st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001 - a zone follows
def test_from_midnight_to_midnight_is_always(at):
    assert is_open(ALWAYS, at.replace(tzinfo=UTC))


def test_open_two_hours_is_an_hour_where_the_clocks_go_forward_and_three_where_they_go_back():
    hours = Hours.model_validate({
        "timezone": "America/New_York", "open": [{"days": ["sun"], "from": "01:00", "to": "03:00"}],
    })  # fmt: skip
    for day, minutes in ((date(2026, 3, 8), 60), (date(2026, 3, 15), 120), (date(2026, 11, 1), 180)):
        midnight = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).astimezone(UTC)
        assert sum(is_open(hours, midnight + timedelta(minutes=minute)) for minute in range(600)) == minutes


def test_the_next_opening_steps_over_the_break_the_weekend_and_holidays():
    assert next_opening(OFFICE, seoul("2026-11-23 12:30")) == seoul("2026-11-23 13:00")
    assert next_opening(OFFICE, seoul("2026-11-27 18:00")) == seoul("2026-11-30 09:00")
    assert next_opening(OFFICE, seoul("2026-12-24 18:00")) == seoul("2026-12-28 09:00")
    assert next_opening(Hours(open=()), seoul("2026-12-24 18:00")) is None


def test_what_the_clocks_skip_never_opens():
    hours = Hours.model_validate({
        "timezone": "America/New_York", "open": [{"days": ["sun"], "from": "02:30", "to": "02:45"}],
    })  # fmt: skip
    before = datetime(2026, 3, 7, 12, tzinfo=NEW_YORK)
    assert next_opening(hours, before) == datetime(2026, 3, 15, 2, 30, tzinfo=NEW_YORK)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)))  # noqa: DTZ001
def test_it_is_open_at_its_next_opening_and_was_not_just_before(at):
    opens = next_opening(OFFICE, at.replace(tzinfo=UTC))
    assert is_open(OFFICE, opens)
    assert not is_open(OFFICE, opens - timedelta(seconds=1))
