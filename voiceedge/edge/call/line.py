"""The line a caller is on: what is listened for on it, and what it turned out to be worth."""

import math
from dataclasses import dataclass

from voiceedge.audio.events import Level
from voiceedge.audio.settings import (
    ChannelSettings,
    EchoSettings,
    GainSettings,
    KeySettings,
    LevelSettings,
    VoiceSettings,
)
from voiceedge.audio.tones import DEFAULT_FILE, ToneKind, load_plan
from voiceedge.config import Audio

HUNG_UP = (ToneKind.BUSY, ToneKind.CONGESTION)  # all that an analogue line says of it
_OFFSET_MS = 300  # early: deciding goes on while it is still open whether the caller has finished
_SILENT_DBOV = -60.0
_OVERDRIVEN = 0.001  # of all samples


def channel_settings(audio: Audio) -> ChannelSettings:
    """Raises ConfigError naming the tone plan's file."""
    return ChannelSettings(
        voice=VoiceSettings(offset_ms=_OFFSET_MS),
        remove_offset=True,
        echo=EchoSettings(tail_ms=audio.echo_tail_ms) if audio.echo_tail_ms else None,
        level=LevelSettings(),
        keys=KeySettings() if audio.keys_in_band else None,
        tones=load_plan(audio.tones, audio.tones_file or DEFAULT_FILE) if audio.tones else None,
        gain=GainSettings() if audio.gain else None,
    )


@dataclass
class LineQuality:
    """What a call's levels come to, for the log: who complains of being misunderstood may have a bad line."""

    rate: int
    seconds: int = 0
    silent: int = 0  # of them
    clipped: int = 0  # samples
    power: float = 0.0  # of the seconds that were not silent, added up
    echo_delay_ms: int | None = None

    def add(self, level: Level) -> None:
        self.seconds += 1
        self.clipped += level.clipped
        if level.echo_delay_ms is not None:
            self.echo_delay_ms = level.echo_delay_ms
        if level.level_dbov < _SILENT_DBOV:
            self.silent += 1
        else:
            self.power += 10 ** (level.level_dbov / 10)

    @property
    def level_dbov(self) -> float | None:
        heard = self.seconds - self.silent
        return round(10 * math.log10(self.power / heard), 1) if heard else None

    @property
    def overdriven(self) -> bool:
        return self.clipped > _OVERDRIVEN * self.seconds * self.rate
