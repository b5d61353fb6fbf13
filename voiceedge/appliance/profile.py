"""Appliance profiles and trunk templates: the data under hardware/, checked like the configuration itself."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from voiceedge.toml_file import Section, read_toml

Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$")]
Line = Annotated[str, Field(min_length=1, max_length=400)]


class Machine(Section):
    architecture: Literal["x86_64", "aarch64"]
    cores: int = Field(ge=1)
    memory_mb: int = Field(ge=512, description="What the system reports, so less than what is written on the box.")
    free_disk_mb: int = Field(ge=100, description="Under site.data_dir.")
    open_files: int = Field(ge=256, description="LimitNOFILE of the service.")


class Load(Section):
    calls: int = Field(ge=1, description="At once; what the machine is bought for, whatever one release can do.")
    recogniser_threads: int = Field(ge=1, description="speech.threads; the rest of the cores belongs to calls.")
    rtp_ports: tuple[int, int]


class Network(Section):
    interfaces: int = Field(ge=1)
    notes: tuple[Line, ...] = ()


class Sound(Section):
    """Sound devices for a handset, line-in music or paging; none of them is needed to answer calls."""

    capture: int = Field(0, ge=0)
    playback: int = Field(0, ge=0)
    notes: tuple[Line, ...] = ()


class Profile(Section):
    name: Name
    title: Line
    machine: Machine
    load: Load
    network: Network
    sound: Sound = Sound()
    trunks: tuple[Name, ...] = Field((), description="Templates beside this file that this appliance is used with.")
    notes: tuple[Line, ...] = ()


class Signalling(Section):
    transports: tuple[Literal["udp", "tcp", "tls"], ...] = Field(min_length=1)
    authentication: Literal["address", "digest"] = Field(description="How the other side knows us, and we it.")
    registers: bool = Field(description="Whether we must keep a registration there to be called.")
    options_ping: bool = Field(description="Whether it asks by OPTIONS if we are alive.")
    session_timer_s: int | None = Field(None, ge=90, description="RFC 4028; none: it sends no refreshes.")
    refer: bool = Field(description="Whether it carries out a transfer (RFC 3515).")
    caller_id_headers: tuple[Line, ...] = ("From",)


class Media(Section):
    codecs: tuple[Literal["PCMU", "PCMA", "G722"], ...] = Field(min_length=1)
    packet_ms: int = Field(20, ge=10, le=60)
    keys: Literal["rfc4733", "info", "in-band"] = Field(description="How keys reach us.")
    encryption: Literal["none", "sdes"] = "none"


class Capacity(Section):
    channels: int = Field(ge=1)
    calls_per_s: float = Field(gt=0)


class Analogue(Section):
    """What only two wires have: how the far end's hang-up is noticed, and the tones by which."""

    disconnect: Literal["busy-tone", "polarity", "loop-break"]
    busy_tone_hz: tuple[int, ...] = ()
    busy_tone_ms: tuple[int, int] = Field((500, 500), description="On, off.")
    caller_id: Literal["fsk", "dtmf", "none"]
    echo_tail_ms: int = Field(ge=0)


class Trunk(Section):
    name: Name
    title: Line
    kind: Literal["carrier", "gateway", "pbx"]
    signalling: Signalling
    media: Media
    capacity: Capacity
    analogue: Analogue | None = None
    set_there: tuple[Line, ...] = Field((), description="What to set on the other side, in the order to do it.")
    notes: tuple[Line, ...] = ()


def load_profile(path: Path) -> Profile:
    """Raises ConfigError naming file, line and key."""
    return read_toml(Profile, path)


def load_trunk(path: Path) -> Trunk:
    """Raises ConfigError naming file, line and key."""
    return read_toml(Trunk, path)
