"""Values on a screen are written as people write them, and what a value is not is left as it is."""

import pytest

from voiceedge.flow.writing import write


@pytest.mark.parametrize(
    ("text", "format_", "korean", "english"),
    [
        ("12000", "won", "12,000원", "12,000 won"),
        ("12.50", "dollars", "12.50달러", "$12.50"),
        ("1234567", "number", "1,234,567", "1,234,567"),
        ("2026-11-24", "date", "2026년 11월 24일", "November 24, 2026"),
        ("2026-11-24T09:00:00", "day", "11월 24일", "November 24"),
        ("2026-11-24T09:05:00", "time", "09:05", "09:05"),
        ("12345", "digits", "12345", "12345"),
        ("한빛택배", "plain", "한빛택배", "한빛택배"),
    ],
)
def test_values_are_written(text, format_, korean, english):
    assert write(text, format_, "ko") == korean
    assert write(text, format_, "en") == english


@pytest.mark.parametrize("format_", ["won", "dollars", "number", "date", "day", "time"])
@pytest.mark.parametrize("text", ["", "내일", "2026-13-40", "NaN", "1e99", "25시"])
def test_what_is_no_such_value_stays_as_it_is(text, format_):
    assert write(text, format_, "ko") == text
