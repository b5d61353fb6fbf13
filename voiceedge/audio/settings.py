"""What a channel listens for, and how: every block of the pipeline that can be set, with its unit."""

from dataclasses import dataclass

from voiceedge.audio.tones import TonePlan


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """When the caller is speaking: heard for `onset_ms` of `window_ms`, until quiet for `offset_ms` (ve_activity.h)."""

    mode: int = 1  # WebRTC VAD: 0 takes nearly anything for voice … 3 is strict
    threshold_dbov: float = -50.0  # softer than this is never voice
    onset_ms: int = 40
    window_ms: int = 100
    hangover_ms: int = 200  # a gap up to this is part of a word; after a longer one it takes an onset to go on
    offset_ms: int = 500
    pre_roll_ms: int = 300  # how far before the start of speech an onset points


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """What Silero must say of that which the gate lets through, where the pipeline has it (ve_judge.h)."""

    onset_probability: float = 0.3  # a voice begins when it is this sure …
    speech_probability: float = 0.15  # … and goes on while it is this sure


@dataclass(frozen=True, slots=True)
class KeySettings:
    """What tones are a key (ITU-T Q.24). Levels are those of each of its two tones."""

    minimum_dbov: float = -45.0  # one of -36 dBov whose other tone is 8 dB weaker
    twist_db: float = 8.0  # how much weaker than the low tone the high one may be
    reverse_twist_db: float = 8.0  # how much stronger


@dataclass(frozen=True, slots=True)
class EchoSettings:
    """What comes back of what the caller hears, from the hybrid of an analogue line behind a gateway (ITU-T G.168)."""

    tail_ms: int = 32  # length of the hybrid's echo: 8 … 64, 32 at 16 kHz
    longest_delay_ms: int = 300  # of network and jitter buffers before it: 0 … 368
    suppression: bool = True  # what is left is replaced by comfort noise


@dataclass(frozen=True, slots=True)
class LevelSettings:
    report_ms: int = 1000  # how often a Level is told


@dataclass(frozen=True, slots=True)
class GainSettings:
    """Brings a quiet caller's speech to one level, for recognisers; moves only while the caller speaks."""

    target_dbov: float = -22.0
    most_db: float = 18.0
    rise_db_per_s: float = 6.0
    fall_db_per_s: float = 20.0


@dataclass(frozen=True, slots=True)
class PlayerSettings:
    fade_ms: int = 20  # a pause, a stop or a resume takes this long: 10 … 30
    duck_ms: int = 150  # the background takes this long to make way and to come back


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """What a channel does with what it hears. None: not at all."""

    voice: VoiceSettings = VoiceSettings()
    judge: JudgeSettings | None = JudgeSettings()
    player: PlayerSettings = PlayerSettings()
    remove_offset: bool = False
    echo: EchoSettings | None = None
    level: LevelSettings | None = None
    keys: KeySettings | None = None
    tones: TonePlan | None = None
    gain: GainSettings | None = None
