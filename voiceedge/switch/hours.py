"""Whether something is open at a moment, and when it opens next: wall time of its own zone, whatever the clocks do."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from voiceedge.switch.plan import Day, Hours, Open

DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LOOK_AHEAD_DAYS = 400  # a year of closed dates, and a week


def is_open(hours: Hours, at: datetime) -> bool:
    """At an aware moment. A stretch over midnight belongs to the day on which it begins.

    What the clocks skip in spring is never open; what they repeat in autumn is open both times.
    """
    wall = at.astimezone(ZoneInfo(hours.timezone)).replace(tzinfo=None)
    days = (wall.date() - timedelta(days=1), wall.date())
    return any(begin <= wall < end for day in days for begin, end in _stretches(hours, day))


def next_opening(hours: Hours, at: datetime) -> datetime | None:
    """When it opens next after `at`, in its own zone; None: not within a year."""
    zone = ZoneInfo(hours.timezone)
    wall = at.astimezone(zone).replace(tzinfo=None)
    for ahead in range(LOOK_AHEAD_DAYS):
        for begin, _ in sorted(_stretches(hours, wall.date() + timedelta(days=ahead))):
            opens = begin.replace(tzinfo=zone)
            if opens > at and opens.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == begin:
                return opens
    return None


def _stretches(hours: Hours, day: date) -> Iterator[tuple[datetime, datetime]]:
    """Those that begin on `day`, in wall time."""
    if day in hours.closed:
        return
    name = DAYS[day.weekday()]
    for stretch in hours.open:
        if name in stretch.days:
            yield _span(stretch, day)


def _span(stretch: Open, day: date) -> tuple[datetime, datetime]:
    last = day if stretch.start < stretch.end else day + timedelta(days=1)
    return datetime.combine(day, stretch.start), datetime.combine(last, stretch.end)
