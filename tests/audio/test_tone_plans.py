"""The tone plans as data: what a line of tones.toml means, and how mistakes in it are told."""

from pathlib import Path

import pytest

from voiceedge.audio.tones import DEFAULT_FILE, ToneKind, load_plan
from voiceedge.errors import ConfigError

SHIPPED = DEFAULT_FILE.read_text(encoding="utf-8")
COUNTRIES = ("kr", "itu", "us", "jp", "uk", "de", "cn")


def tone(kind: ToneKind, plan: str = "kr", path: Path = DEFAULT_FILE):
    return next(tone for tone in load_plan(plan, path).tones if tone.kind is kind)


def durations(kind: ToneKind, plan: str = "kr") -> list[tuple[int, int]]:
    return [(segment.min_ms, segment.max_ms) for segment in tone(kind, plan).segments]


@pytest.fixture(name="changed")
def _changed(tmp_path: Path):
    def changed(old: str, new: str) -> Path:
        assert old in SHIPPED
        path = tmp_path / "tones.toml"
        path.write_text(SHIPPED.replace(old, new), encoding="utf-8")
        return path

    return changed


@pytest.mark.parametrize("name", COUNTRIES)
def test_each_country_has_the_tones_that_end_a_call_and_those_of_everywhere(name: str) -> None:
    kinds = {tone.kind for tone in load_plan(name).tones}
    assert set(ToneKind) - kinds <= {ToneKind.CONGESTION}


def test_busy_may_be_a_fifth_and_an_edge_off() -> None:
    assert durations(ToneKind.BUSY) == [(380, 620), (380, 620)]


def test_a_dial_tone_may_last_for_ever() -> None:
    (segment,) = tone(ToneKind.DIAL).segments
    assert (segment.hz, segment.min_ms) == ((350, 440), 1000)
    assert segment.max_ms > 24 * 3600 * 1000


def test_busy_needs_two_bursts_and_ringback_one() -> None:
    assert tone(ToneKind.BUSY).needed == 4
    assert tone(ToneKind.RINGBACK).needed == 2
    assert tone(ToneKind.RINGBACK, "uk").needed == 4
    assert tone(ToneKind.CONGESTION, "uk").needed == 4
    assert tone(ToneKind.INFORMATION).needed == 4


def test_a_modulated_frequency_is_heard_as_itself() -> None:
    assert tone(ToneKind.RINGBACK, "jp").segments[0].hz == (400,)


def test_a_site_may_have_a_plan_of_its_own(changed) -> None:
    path = changed("[plans.kr]", '[plans.pbx]\ntitle = "Ours"\nsource = "measured"\ndial = "350+440"\n'
                   'ringback = "440+480/1000,0/2000"\nbusy = "620/200,0/200"\n\n[plans.kr]')  # fmt: skip
    assert tone(ToneKind.BUSY, "pbx", path).segments[0].hz == (620,)


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ('busy = "480+620/500,0/500"', 'busy = "480+620/500ms"', "busy", '"480+620/500ms" is not HZ/MS'),
        ('busy = "480+620/500,0/500"', 'busy = "480+620/500,0"', "busy", "each part needs a duration"),
        ('busy = "480+620/500,0/500"', 'busy = "0/500,480+620/500"', "busy", "must begin with a frequency"),
        ('busy = "480+620/500,0/500"', 'busy = "48+62/500,0/500"', "busy", "250 to 2150 Hz"),
        ('busy = "480+620/500,0/500"', f'busy = "{",".join(["480/500"] * 9)}"', "busy", "at most 8"),
        ('busy = "480+620/500,0/500"', 'busy = "480+480/500,0/500"', "busy", "must differ"),
        ('busy = "480+620/500,0/500"', 'busy = "480+620/5000000000,0/500"', "busy", "at most 60000 ms"),
        ('busy = "480+620/500,0/500"', "busy = 480", "busy", "must be text like"),
        ('"480+620/300,0/200"', '"700+800/300,900+1000/200"', "plans", "pairs have 8 frequencies; 6 can be told apart"),
        ('dial = "350+440"', "", "dial", "is missing"),
        ('dial = "350+440"', 'dial = "350+440"\nbussy = "480"', "bussy", "did you mean busy"),
        ("lowest_hz = 300", "lowest_hz = 2000", "highest_hz", "must be above lowest_hz"),
        ("tolerance = 0.15", "tolerance = 15", "tolerance", ""),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(changed, old: str, new: str, key: str, said: str) -> None:
    path = changed(old, new)
    with pytest.raises(ConfigError) as caught:
        load_plan("kr", path)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{path}:")
    assert key in first
    assert said in str(caught.value)


def test_a_dial_tone_that_may_still_be_ringback_is_refused(changed) -> None:
    path = changed("lasting_ms = 1700", "lasting_ms = 1000")
    with pytest.raises(ConfigError, match="in itu, dial may be ringback until 1220 ms"):
        load_plan("itu", path)


def test_two_tones_that_sound_alike_are_refused(changed) -> None:
    path = changed('congestion = "480+620/300,0/200"', 'congestion = "480+620/450,0/450"')
    with pytest.raises(ConfigError, match="busy and congestion sound alike"):
        load_plan("kr", path)


def test_an_unknown_plan_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="no tone plan 'fr', only cn, de, itu, jp, kr, uk, us"):
        load_plan("fr")


def test_t30_is_heard_as_far_off_as_it_allows_and_a_little_more() -> None:
    first, pause = tone(ToneKind.FAX_CALLING).segments
    assert first.tolerance_hz >= 38
    assert (first.min_ms, first.max_ms) == (405, 595)
    assert pause.max_ms >= 3450
