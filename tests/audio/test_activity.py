"""Start and end of speech from voiced blocks, against a reference that sees the whole recording."""

import pytest
from blocks import load
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.activity import Change, changes

ffi, lib = load("activity")


def followed(voiced: list[bool], onset: int, window: int, offset: int) -> list[Change]:
    state, ago = ffi.new("struct ve_activity *"), ffi.new("uint32_t *")
    assert lib.ve_activity_open(state, onset, window, offset) == 0
    found = []
    for now, is_voiced in enumerate(voiced):
        change = lib.ve_activity_step(state, is_voiced, ago)
        if change != lib.VE_UNCHANGED:
            found.append(Change(change == lib.VE_STARTED, now, now + 1 - ago[0]))
    return found


@settings(max_examples=300, deadline=None)
@given(
    runs=st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=40),
    window=st.integers(1, 32),
    onset=st.integers(1, 32),
    offset=st.integers(1, 40),
)
def test_whatever_is_voiced_speech_starts_and_ends_as_in_the_reference(
    runs: list[tuple[bool, int]], window: int, onset: int, offset: int
) -> None:
    voiced = [flag for flag, length in runs for _ in range(length)]
    onset = min(onset, window)
    assert followed(voiced, onset, window, offset) == changes(voiced, onset, window, offset)


def test_speech_starts_with_its_first_voiced_block_and_ends_with_its_last() -> None:
    voiced = [mark == "V" for mark in "..V.VVV.V...V....V....."]
    assert followed(voiced, 3, 5, 5) == [Change(True, 5, 2), Change(False, 22, 18)]


def test_a_click_is_not_speech_and_a_short_pause_does_not_end_it() -> None:
    assert not followed([mark == "V" for mark in "..VV....VV....V"], 3, 5, 5)
    assert followed([mark == "V" for mark in "VVV....VVV....V"], 3, 5, 5) == [Change(True, 2, 0)]


def test_what_was_voiced_before_the_end_of_speech_starts_no_new_one() -> None:
    voiced = [mark == "V" for mark in "VVV.VV"]
    assert followed(voiced, 3, 6, 1) == [Change(True, 2, 0), Change(False, 3, 3)]


@pytest.mark.parametrize(("onset", "window", "offset"), [(0, 5, 5), (6, 5, 5), (3, 33, 5), (3, 5, 0)])
def test_settings_that_make_no_sense_are_refused(onset: int, window: int, offset: int) -> None:
    assert lib.ve_activity_open(ffi.new("struct ve_activity *"), onset, window, offset) < 0
