"""A recording from the field through the same C code as a call: levels, voice, keys and tones of each side."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from voiceedge.audio import wav
from voiceedge.audio.channel import HEARD_RATE
from voiceedge.audio.events import (
    AudioEvent,
    KeyDown,
    KeyUp,
    Level,
    Offset,
    Onset,
    ToneBegun,
    ToneEnded,
)
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.settings import ChannelSettings, KeySettings, LevelSettings, VoiceSettings
from voiceedge.audio.silero import Silero, model_file
from voiceedge.audio.speech_level import active_level
from voiceedge.audio.tones import ToneKind, TonePlan
from voiceedge.errors import ModelMissingError

Pcm = NDArray[np.int16]

NARROW, WIDE = 8000, 16000
LEVEL_MS = 100
SILENCE_DBOV = -100.0  # what the meter says of nothing at all
_FRAME_MS = 20
_AFTER_S = 1  # of silence after the recording, in which voice and keys come to their end
_NOISE_PERCENTILE = 10


@dataclass(frozen=True, slots=True)
class Loudness:
    """Levels in dBov: 0 is a full-scale square wave, the loudest sine has -3."""

    speech_dbov: float | None  # active speech level (ITU-T P.56) of what counts as voice; None: no voice
    noise_dbov: float  # a tenth of the time is quieter than this
    peak_dbov: float
    offset: int  # from the centre, in steps of 16 bits
    clipped: int  # samples


@dataclass(frozen=True, slots=True)
class Voice:
    start_s: float
    end_s: float
    level_dbov: float


@dataclass(frozen=True, slots=True)
class Key:
    key: str
    start_s: float
    duration_ms: int
    level_dbov: float
    twist_db: float  # the high tone over the low one


@dataclass(frozen=True, slots=True)
class Sound:
    kind: ToneKind
    start_s: float
    end_s: float
    level_dbov: float


@dataclass(frozen=True, slots=True)
class Side:
    """One channel of the file; `heard` is what the detectors were given."""

    name: str
    heard: Pcm
    loudness: Loudness
    clipped_at_s: list[float]
    voice: list[Voice]
    keys: list[Key]
    tones: list[Sound]


@dataclass(frozen=True, slots=True)
class Inspection:
    path: Path
    file_rate: int
    rate: int  # the line's, to which it was brought
    seconds: float
    plan: TonePlan
    judged: bool  # False: without Silero's model music, tones and noise count as voice
    sides: list[Side]


def inspect(path: Path, plan: TonePlan, voice: VoiceSettings | None = None) -> Inspection:
    """Raises PromptError where the file is none that can be read."""
    channels, file_rate = wav.load_channels(path)
    rate = WIDE if file_rate >= WIDE else NARROW
    settings = ChannelSettings(
        voice=replace(voice or VoiceSettings(), pre_roll_ms=0),
        remove_offset=True,
        level=LevelSettings(LEVEL_MS),
        keys=KeySettings(),
        tones=plan,
    )
    silero = _silero()
    sides = [
        _inspect_side(name, _at(channel, file_rate, rate), rate, settings, silero)
        for name, channel in zip(_names(len(channels)), channels, strict=True)
    ]
    return Inspection(path, file_rate, rate, channels.shape[1] / file_rate, plan, silero is not None, sides)


def _silero() -> Silero | None:
    try:
        return Silero(model_file())
    except ModelMissingError:
        return None


def _names(count: int) -> Sequence[str]:
    """As our own recordings have them: the caller on the left, what the caller hears on the right."""
    return {1: ["recording"], 2: ["left (caller)", "right (heard by the caller)"]}.get(
        count, [f"channel {number}" for number in range(1, count + 1)]
    )


def _at(channel: Pcm, file_rate: int, rate: int) -> Pcm:
    if file_rate == rate:
        return channel
    return np.asarray(soxr.resample(channel, file_rate, rate, quality="HQ"), np.int16)


def _inspect_side(name: str, pcm: Pcm, rate: int, settings: ChannelSettings, silero: Silero | None) -> Side:
    events, seconds = list(_events(pcm, rate, settings, silero)), len(pcm) / rate
    voice = [
        Voice(start_s, end_s, _level_dbov(pcm[int(start_s * rate) : int(end_s * rate)]))
        for start_s, end_s in _spoken(events, seconds)
    ]
    reports = [event for event in events if isinstance(event, Level) and _at_s(event.position) <= seconds]
    return Side(
        name,
        pcm,
        _loudness(reports, voice, pcm, rate),
        [_at_s(report.position) - LEVEL_MS / 1000 for report in reports if report.clipped],
        voice,
        list(_keys(events, seconds)),
        _tones(events, seconds),
    )


def _events(pcm: Pcm, rate: int, settings: ChannelSettings, silero: Silero | None) -> Iterator[AudioEvent]:
    frame = rate * _FRAME_MS // 1000
    padded = np.concatenate([pcm, np.zeros(-len(pcm) % frame + _AFTER_S * rate, np.int16)])
    with Pipeline(settings, silero) as pipeline:
        channel = pipeline.channel(rate, _FRAME_MS)
        for start in range(0, len(padded), frame):
            channel.feed(padded[start : start + frame])
            yield from pipeline.read_events()
        channel.release()


def _at_s(position: int) -> float:
    return position / HEARD_RATE


def _level_dbov(pcm: Pcm) -> float:
    power = float(np.mean(pcm.astype(np.float64) ** 2)) if len(pcm) else 0.0
    return max(SILENCE_DBOV, 10 * math.log10(power / 32768.0**2 + 1e-10))


def _spoken(events: list[AudioEvent], seconds: float) -> Iterator[tuple[float, float]]:
    start_s: float | None = None
    for event in events:
        if isinstance(event, Onset):
            start_s = _at_s(event.position)
        elif isinstance(event, Offset) and start_s is not None:
            yield start_s, min(_at_s(event.position), seconds)
            start_s = None
    if start_s is not None:
        yield start_s, seconds


def _keys(events: list[AudioEvent], seconds: float) -> Iterator[Key]:
    down: KeyDown | None = None
    for event in events:
        if isinstance(event, KeyDown):
            down = event
        elif isinstance(event, KeyUp):
            start_s = _at_s(event.position) - event.duration_ms / 1000
            yield Key(event.key, start_s, event.duration_ms, event.level_dbov, event.twist_db)
            down = None
    if down:
        start_s = _at_s(down.position)
        yield Key(down.key, start_s, round((seconds - start_s) * 1000), down.level_dbov, down.twist_db)


def _tones(events: list[AudioEvent], seconds: float) -> list[Sound]:
    begun: dict[ToneKind, ToneBegun] = {}
    tones = []
    for event in events:
        if isinstance(event, ToneBegun):
            begun[event.kind] = event
        elif isinstance(event, ToneEnded):
            start_s = _at_s(event.position)
            tones.append(Sound(event.kind, start_s, start_s + event.duration_ms / 1000, event.level_dbov))
            begun.pop(event.kind, None)
    tones += [Sound(event.kind, _at_s(event.position), seconds, event.level_dbov) for event in begun.values()]
    return sorted(tones, key=lambda tone: tone.start_s)


def _loudness(reports: list[Level], voice: list[Voice], pcm: Pcm, rate: int) -> Loudness:
    spoken = [pcm[int(span.start_s * rate) : int(span.end_s * rate)] for span in voice]
    active = active_level(np.concatenate(spoken), rate) if spoken else None
    peak = int(np.abs(pcm.astype(np.int32)).max(initial=0))
    return Loudness(
        speech_dbov=active.dbov if active else None,
        noise_dbov=float(np.percentile([report.level_dbov for report in reports] or [SILENCE_DBOV], _NOISE_PERCENTILE)),
        peak_dbov=20 * math.log10(peak / 32768) if peak else SILENCE_DBOV,
        offset=round(float(np.mean([report.offset for report in reports] or [0.0]))),
        clipped=sum(report.clipped for report in reports),
    )
