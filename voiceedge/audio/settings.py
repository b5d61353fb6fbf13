"""What a channel listens for, and how: every block of the pipeline that can be set, with its unit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """When the caller counts as speaking: `onset_ms` voiced within `window_ms`, until `offset_ms` unvoiced in a row."""

    mode: int = 2  # WebRTC VAD: 0 takes nearly anything for voice … 3 is strict
    threshold_dbov: float = -50.0  # softer than this is never voice
    onset_ms: int = 60
    window_ms: int = 100
    offset_ms: int = 500
    pre_roll_ms: int = 300  # how far before the start of speech an onset points


@dataclass(frozen=True, slots=True)
class KeySettings:
    """What tones are a key (ITU-T Q.24). Levels are those of each of its two tones."""

    minimum_dbov: float = -36.0
    twist_db: float = 8.0  # how much weaker than the low tone the high one may be
    reverse_twist_db: float = 4.0  # how much stronger


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """What a channel does with what it hears. None: not at all."""

    voice: VoiceSettings = VoiceSettings()
    keys: KeySettings | None = None
