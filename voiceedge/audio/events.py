"""What happens on a channel, as the thread that reads the pipeline learns it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceedge.audio.tones import ToneKind

if TYPE_CHECKING:
    from voiceedge.audio.channel import Channel


@dataclass(frozen=True, slots=True)
class Onset:
    """The caller speaks. `position` is where to read from: the start of speech less the pre-roll."""

    channel: "Channel"
    position: int
    barged_in: bool  # the player was armed and sounding: it has paused itself
    at_ns: int  # this and all the others: time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class Offset:
    """The caller is silent again; `position` is the end of speech."""

    channel: "Channel"
    position: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Played:
    """An item is over. Each gets one of these, unless the channel is released before or nobody reads for too long."""

    channel: "Channel"
    item: int
    complete: bool  # False: stopped before its end, perhaps before its beginning
    played_ms: int  # how much of it
    at_ns: int


@dataclass(frozen=True, slots=True)
class Underrun:
    """A stream's writer was late: the caller hears silence until enough is there again."""

    channel: "Channel"
    item: int
    played_ms: int  # how much of it until now
    at_ns: int


@dataclass(frozen=True, slots=True)
class Lost:
    """`Channel.read` came too late: so many samples had been overwritten."""

    channel: "Channel"
    samples: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The conference bridge has let go of the channel's port."""

    channel: "Channel"
    at_ns: int


@dataclass(frozen=True, slots=True)
class KeyDown:
    """A key is heard in band; its tone began at `position`, at the time `at_ns`."""

    channel: "Channel"
    key: str
    position: int
    level_dbov: float
    twist_db: float  # the high tone over the low one
    at_ns: int


@dataclass(frozen=True, slots=True)
class KeyUp:
    """The key is up again; its tone ended at `position`, at the time `at_ns`."""

    channel: "Channel"
    key: str
    position: int
    duration_ms: int
    level_dbov: float
    twist_db: float
    at_ns: int


@dataclass(frozen=True, slots=True)
class ToneBegun:
    """A tone of the plan is recognised; it began at `position`."""

    channel: "Channel"
    kind: ToneKind
    position: int
    level_dbov: float
    at_ns: int


@dataclass(frozen=True, slots=True)
class ToneEnded:
    """It is over, or was something else after all. A beep is told only so."""

    channel: "Channel"
    kind: ToneKind
    position: int  # where it began
    duration_ms: int
    level_dbov: float
    at_ns: int


@dataclass(frozen=True, slots=True)
class Level:
    """How loud the caller was in the last `LevelSettings.report_ms`, before anything was done about it."""

    channel: "Channel"
    position: int
    level_dbov: float
    peak: int  # 0 … 32768
    offset: float  # from the centre, in steps of 16 bits
    clipped: int  # samples
    echo_delay_ms: int | None  # where an echo of what the caller hears is cancelled
    echo_loss_db: float  # by how much, lately
    at_ns: int


AudioEvent = Onset | Offset | Played | Underrun | Lost | Closed | KeyDown | KeyUp | ToneBegun | ToneEnded | Level
