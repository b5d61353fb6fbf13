"""The tones of the telephone network as data (ITU-T E.180, tones.toml), checked and made ready for the C pipeline."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from voiceedge.errors import ConfigError
from voiceedge.toml_file import Section, read_toml

DEFAULT_FILE = Path(__file__).with_name("tones.toml")

MOST_SEGMENTS = 8
MOST_PAIR_HZ = 6
LOWEST_HZ, HIGHEST_HZ = 250, 2150  # what the detector's filters cover
LONGEST_MS = 60_000
FOREVER_MS = 2**32 - 1
EDGE_MS = 20  # how far off the detector's view of a duration may be
SURE_MS = 60  # of the silence after the last burst that was needed
BEEP_SURE_MS = 150


class ToneKind(StrEnum):
    DIAL = "dial"
    RINGBACK = "ringback"
    BUSY = "busy"
    CONGESTION = "congestion"
    INFORMATION = "information"
    FAX_CALLING = "fax_calling"
    FAX_ANSWERING = "fax_answering"
    BEEP = "beep"


# One burst of these says as much as two: ringback must be known before it is answered, and a fax calls but every 3.5 s.
_ONE_CYCLE = (ToneKind.RINGBACK, ToneKind.INFORMATION, ToneKind.FAX_CALLING)


@dataclass(frozen=True, slots=True)
class Segment:
    """A sound, or silence if it has no frequency, and how long it may last."""

    hz: tuple[float, ...]
    tolerance_hz: float
    min_ms: int
    max_ms: int
    steady: bool = False  # any one sine from hz[0] to hz[1]

    def may_be(self, other: "Segment") -> bool:
        """Whether there is a sound that is both, whatever its duration."""
        reach_hz = self.tolerance_hz + other.tolerance_hz
        return len(self.hz) == len(other.hz) and all(
            abs(ours - theirs) <= reach_hz for ours, theirs in zip(self.hz, other.hz, strict=True)
        )

    def may_last(self, other: "Segment") -> bool:
        return self.min_ms <= other.max_ms and other.min_ms <= self.max_ms


@dataclass(frozen=True, slots=True)
class Tone:
    """`needed` segments in a row make it sure, of which the last need only have lasted `sure_ms`."""

    kind: ToneKind
    segments: tuple[Segment, ...]
    needed: int
    sure_ms: int


@dataclass(frozen=True, slots=True)
class TonePlan:
    """What one channel listens for; the detector speaks of a tone by its index."""

    name: str
    title: str
    tones: tuple[Tone, ...]


@dataclass(frozen=True, slots=True)
class _Element:
    hz: tuple[float, ...]
    ms: int | None


_ELEMENT = re.compile(r"(\d+(?:\.\d+)?)(?:\+(\d+(?:\.\d+)?)|\*\d+(?:\.\d+)?)?(?:/(\d+))?")


def _read_sound(text: object) -> tuple[_Element, ...]:
    if not isinstance(text, str):
        raise ValueError('must be text like "480+620/500,0/500"')  # noqa: TRY004 - pydantic wants a ValueError
    return tuple(_read_element(element.strip()) for element in text.split(","))


def _read_element(text: str) -> _Element:
    parts = _ELEMENT.fullmatch(text)
    if not parts:
        raise ValueError(f'"{text}" is not HZ/MS, HZ+HZ/MS or 0/MS')
    hz = sorted(float(part) for part in parts.groups()[:2] if part and float(part))
    if not all(LOWEST_HZ <= each <= HIGHEST_HZ for each in hz):
        raise ValueError(f'"{text}": frequencies must be {LOWEST_HZ} to {HIGHEST_HZ} Hz')
    if len(hz) > len(set(hz)):
        raise ValueError(f'"{text}": the two frequencies must differ')
    if parts[3] and int(parts[3]) > LONGEST_MS:
        raise ValueError(f'"{text}": a part lasts at most {LONGEST_MS} ms')
    return _Element(tuple(hz), int(parts[3]) if parts[3] else None)


def _check_sound(sound: tuple[_Element, ...]) -> tuple[_Element, ...]:
    if not sound[0].hz:
        raise ValueError("must begin with a frequency, not with silence")
    if len(sound) > MOST_SEGMENTS:
        raise ValueError(f"has {len(sound)} parts; at most {MOST_SEGMENTS} can be followed")
    if len(sound) > 1 and not all(element.ms for element in sound):
        raise ValueError("each part needs a duration; only a single, continuous one has none")
    return sound


def _from_text(value: object) -> object:
    return value if isinstance(value, dict) else {"sound": value}


class _Sound(Section):
    sound: Annotated[tuple[_Element, ...], BeforeValidator(_read_sound), AfterValidator(_check_sound)]
    tolerance_hz: float = Field(12, ge=1, le=60)
    tolerance: float = Field(0.2, gt=0, lt=0.5)
    lasting_ms: int = Field(1000, ge=100, le=10_000)

    def tone(self, kind: ToneKind) -> Tone:
        segments = tuple(self._segments())
        if len(segments) == 1:
            return Tone(kind, segments, needed=1, sure_ms=self.lasting_ms)
        bursts = sum(bool(segment.hz) for segment in segments)
        cycles = 1 if kind in _ONE_CYCLE else math.ceil(2 / bursts)
        return Tone(kind, segments, needed=cycles * len(segments), sure_ms=SURE_MS)

    def _segments(self) -> Iterator[Segment]:
        for element in self.sound:
            if element.ms is None:
                yield Segment(element.hz, self.tolerance_hz, self.lasting_ms, FOREVER_MS)
            else:
                slack_ms = round(element.ms * self.tolerance) + EDGE_MS
                yield Segment(element.hz, self.tolerance_hz, max(element.ms - slack_ms, 0), element.ms + slack_ms)


_Tone = Annotated[_Sound, BeforeValidator(_from_text)]


class _Beep(Section):
    lowest_hz: float = Field(ge=LOWEST_HZ, le=HIGHEST_HZ)
    highest_hz: float = Field(ge=LOWEST_HZ, le=HIGHEST_HZ)
    shortest_ms: int = Field(ge=60)
    longest_ms: int = Field(le=10_000)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.lowest_hz >= self.highest_hz:
            raise ValueError("highest_hz: must be above lowest_hz")
        if self.shortest_ms >= self.longest_ms:
            raise ValueError("longest_ms: must be above shortest_ms")
        return self

    def tone(self, kind: ToneKind) -> Tone:
        burst = Segment((self.lowest_hz, self.highest_hz), 0, self.shortest_ms, self.longest_ms, steady=True)
        return Tone(kind, (burst, Segment((), 0, 0, FOREVER_MS)), needed=2, sure_ms=BEEP_SURE_MS)


class _Everywhere(Section):
    information: _Tone
    fax_calling: _Tone
    fax_answering: _Tone
    beep: _Beep


class _Country(Section):
    title: str
    source: str
    dial: _Tone
    ringback: _Tone
    busy: _Tone
    congestion: _Tone | None = None


class _File(Section):
    everywhere: _Everywhere
    plans: dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")], _Country] = Field(min_length=1)

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        for name in self.plans:
            tones = self.plan(name).tones
            pairs = {
                hz for tone in tones for each in tone.segments if len(each.hz) > 1 and not each.steady for hz in each.hz
            }
            if len(pairs) > MOST_PAIR_HZ:
                raise ValueError(
                    f"plans: in {name}, pairs have {len(pairs)} frequencies; {MOST_PAIR_HZ} can be told apart"
                )
            for one, other in combinations(tones, 2):
                if reason := _confusion(one, other) or _confusion(other, one):
                    raise ValueError(f"plans: in {name}, {reason}")
        return self

    def plan(self, name: str) -> TonePlan:
        country = self.plans[name]
        entries: Mapping[str, Any] = {**dict(country), **dict(self.everywhere)}
        tones = tuple(entries[kind].tone(kind) for kind in ToneKind if entries[kind])
        return TonePlan(name, country.title, tones)


def _confusion(one: Tone, other: Tone) -> str:
    first = one.segments[0]
    if first.steady or other.segments[0].steady:
        return ""  # a beep is what no other tone accounts for
    if len(one.segments) == 1:
        longest_ms = max((each.max_ms for each in other.segments if each.hz and each.may_be(first)), default=0)
        if longest_ms >= first.min_ms:
            return f"{one.kind} may be {other.kind} until {longest_ms} ms: its lasting_ms must be more"
    elif len(one.segments) == len(other.segments) and all(
        ours.may_be(theirs) and ours.may_last(theirs) for ours, theirs in zip(one.segments, other.segments, strict=True)
    ):
        return f"{one.kind} and {other.kind} sound alike: leave one out, or allow less tolerance"
    return ""


def load_plan(name: str, path: Path = DEFAULT_FILE) -> TonePlan:
    """Raises ConfigError naming file, line and key."""
    file = read_toml(_File, path)
    if name not in file.plans:
        raise ConfigError(f"{path}: has no tone plan {name!r}, only {', '.join(sorted(file.plans))}.")
    return file.plan(name)


def to_c(plan: TonePlan, ffi: Any) -> Any:
    """A `struct ve_tone[]` for `ve_tone_plan_open`."""
    return ffi.new(
        "struct ve_tone[]",
        [
            {
                "segments": [_segment_to_c(segment) for segment in tone.segments],
                "count": len(tone.segments),
                "needed": tone.needed,
                "sure_ms": tone.sure_ms,
            }
            for tone in plan.tones
        ],
    )


def _segment_to_c(segment: Segment) -> dict[str, Any]:
    return {
        "kind": 3 if segment.steady else len(segment.hz),  # enum ve_sound_kind
        "hz": segment.hz,
        "tolerance_hz": segment.tolerance_hz,
        "min_ms": segment.min_ms,
        "max_ms": segment.max_ms,
    }
