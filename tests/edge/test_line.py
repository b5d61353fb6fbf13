"""What the levels of a call come to."""

import dataclasses

import pytest

from voiceedge.audio.events import Level
from voiceedge.audio.tones import ToneKind
from voiceedge.config import Audio
from voiceedge.edge.call.line import LineQuality, channel_settings
from voiceedge.errors import ConfigError

HEARD = Level(None, 0, -20.0, 12_000, 0.0, 0, None, 0.0, 0)


def test_a_line_is_as_loud_as_its_seconds_with_sound():
    line = LineQuality(8000)
    for level_dbov in (-20.0, -90.0, -30.0):
        line.add(dataclasses.replace(HEARD, level_dbov=level_dbov))
    assert (line.seconds, line.silent, line.level_dbov) == (3, 1, -22.6)


def test_a_silent_line_has_no_level():
    line = LineQuality(8000)
    line.add(dataclasses.replace(HEARD, level_dbov=-100.0))
    assert line.level_dbov is None


def test_a_line_is_overdriven_by_a_thousandth_of_its_samples():
    line = LineQuality(8000)
    line.add(dataclasses.replace(HEARD, clipped=8))
    assert not line.overdriven
    line.add(dataclasses.replace(HEARD, clipped=9))
    assert line.overdriven


def test_an_echo_without_delay_is_an_echo():
    line = LineQuality(8000)
    line.add(dataclasses.replace(HEARD, echo_delay_ms=0))
    line.add(HEARD)
    assert line.echo_delay_ms == 0


def test_a_site_chooses_what_is_listened_for():
    everything = channel_settings(Audio())
    assert everything.tones
    assert ToneKind.BUSY in [tone.kind for tone in everything.tones.tones]
    assert everything.echo
    assert everything.echo.tail_ms == 32
    nothing = channel_settings(Audio(echo_tail_ms=0, gain=False, keys_in_band=False, tones=None))
    assert (nothing.echo, nothing.gain, nothing.keys, nothing.tones) == (None, None, None, None)


def test_a_plan_that_does_not_exist_is_told_with_those_that_do():
    with pytest.raises(ConfigError, match="kr"):
        channel_settings(Audio(tones="atlantis"))
