"""Start and end of speech from what is heard and confirmed, against a reference that sees the whole recording."""

import pytest
from blocks import load
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.activity import Change, Rule, changes

ffi, lib = load("activity")

RULE = Rule(onset=3, window=5, hangover=3, offset=7)


def opened(rule: Rule, block_ms: int = 20):
    state = ffi.new("struct ve_activity *")
    times = [blocks * block_ms for blocks in (rule.onset, rule.window, rule.hangover, rule.offset)]
    return state, lib.ve_activity_open(state, block_ms, ffi.new("struct ve_activity_settings *", times))


def followed(heard: list[bool], confirmed: list[bool], rule: Rule) -> list[Change]:
    (state, status), ago, found = opened(rule), ffi.new("uint32_t *"), []
    assert status == 0
    for now, both in enumerate(zip(heard, confirmed, strict=True)):
        change = lib.ve_activity_step(state, *both, ago)
        if change != lib.VE_UNCHANGED:
            found.append(Change(change == lib.VE_STARTED, now, now + 1 - ago[0]))
    return found


def marked(marks: str, rule: Rule = RULE) -> list[Change]:
    """V: a voice; h: heard, but no voice; a dot: nothing."""
    return followed([mark != "." for mark in marks], [mark == "V" for mark in marks], rule)


def started(now: int, block: int) -> Change:
    return Change(True, now, block)


def ended(now: int, block: int) -> Change:
    return Change(False, now, block)


@settings(max_examples=400, deadline=None)
@given(
    runs=st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 12)), max_size=40),
    window=st.integers(1, 32),
    onset=st.integers(1, 32),
    hangover=st.integers(0, 20),
    rest=st.integers(1, 20),
)
def test_whatever_is_heard_speech_starts_and_ends_as_in_the_reference(
    runs: list[tuple[bool, bool, int]], window: int, onset: int, hangover: int, rest: int
) -> None:
    heard = [hears for hears, _, length in runs for _ in range(length)]
    confirmed = [confirms for _, confirms, length in runs for _ in range(length)]
    rule = Rule(min(onset, window), window, hangover, hangover + rest)
    assert followed(heard, confirmed, rule) == changes(heard, confirmed, rule)


def test_speech_starts_with_the_first_block_heard_and_ends_with_the_last() -> None:
    assert marked("..V.VVV..V.......") == [started(5, 2), ended(16, 10)]


def test_the_judges_word_completes_an_onset_that_the_gate_has_long_heard() -> None:
    assert marked("..hhhhhhhhV") == [started(10, 6)]


def test_what_nobody_confirms_is_no_speech_however_long_it_is_heard() -> None:
    assert not marked("h" * 100)


def test_a_click_is_not_speech() -> None:
    assert not marked("..VV....VV....V")


def test_the_gaps_of_a_word_do_not_end_it() -> None:
    assert marked("VVV...V...V...V...V") == [started(2, 0)]


def test_music_that_begins_as_speech_ends_does_not_keep_the_turn_open() -> None:
    assert marked("VVVVhhhhhhhhh") == [started(2, 0), ended(10, 4)]


def test_a_click_after_speech_does_not_keep_the_turn_open_but_speech_does() -> None:
    assert marked("VVV.....V...") == [started(2, 0), ended(9, 3)]
    assert marked("VVV....VVV...") == [started(2, 0)]


def test_what_was_heard_before_the_end_of_speech_starts_no_new_one() -> None:
    assert marked("VVV.VV", Rule(onset=3, window=6, hangover=0, offset=1)) == [started(2, 0), ended(3, 3)]


def test_its_states_are_told() -> None:
    state, _ = opened(RULE)
    ago, seen = ffi.new("uint32_t *"), []
    for mark in "..V...VVV.V........":
        lib.ve_activity_step(state, mark == "V", mark == "V", ago)
        seen.append(lib.ve_activity_state(state))
    quiet, rising, speech, hangover, falling = (
        lib.VE_QUIET, lib.VE_RISING, lib.VE_SPEECH, lib.VE_HANGOVER, lib.VE_FALLING,
    )  # fmt: skip
    assert seen[:9] == [quiet, quiet, *[rising] * 6, speech]
    assert seen[9:] == [hangover, speech, *[hangover] * 3, *[falling] * 3, quiet, quiet]


@pytest.mark.parametrize(
    "rule", [Rule(0, 5, 3, 7), Rule(6, 5, 3, 7), Rule(3, 33, 3, 7), Rule(3, 5, 0, 0), Rule(3, 5, 7, 7)], ids=str
)
def test_settings_that_make_no_sense_are_refused(rule: Rule) -> None:
    assert opened(rule)[1] < 0


def test_times_are_rounded_up_to_whole_blocks() -> None:
    state, ago = ffi.new("struct ve_activity *"), ffi.new("uint32_t *")
    assert lib.ve_activity_open(state, 20, ffi.new("struct ve_activity_settings *", [21, 640, 0, 1])) == 0
    assert [lib.ve_activity_step(state, True, True, ago) for _ in range(2)] == [lib.VE_UNCHANGED, lib.VE_STARTED]
    assert lib.ve_activity_step(state, False, True, ago) == lib.VE_ENDED
