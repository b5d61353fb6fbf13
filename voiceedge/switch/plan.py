"""The switch plan: one TOML file with trunks, dial plan, hours, agents and queues, explained in docs/switch.md."""

import ipaddress
from datetime import date, time
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from voiceedge.config_digital import Tenant
from voiceedge.errors import ConfigError
from voiceedge.toml_file import FilePath, Section, read_toml

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Codec = Literal["PCMU", "PCMA", "G722"]
SrtpUse = Literal["off", "optional", "required"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$")]

# A login as Digest and our tables can carry it, and a phone: the user it registers as, or its whole address.
Login = Annotated[str, Field(pattern=r"^[^\s;\"\\<>]{1,64}$")]
Phone = Annotated[str, Field(pattern=r"^([A-Za-z0-9._~+*#-]{1,64}|sips?:[^\s<>\"\\]{1,256})$")]


def _network(text: str) -> str:
    try:
        return str(ipaddress.IPv4Network(text))
    except ValueError:
        raise ValueError("give an IPv4 address or network, such as 198.51.100.10 or 198.51.100.0/28") from None


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError("is no time zone; write one such as Asia/Seoul") from None
    return name


Network = Annotated[str, AfterValidator(_network)]


class Numbers(Section):
    """How numbers are read and written (E.164)."""

    country: str = Field("KR", pattern=r"^[A-Z]{2}$", description="Numbers without + are this country's.")
    area: str = Field("02", pattern=r"^\d{0,4}$", description="Area code of local numbers dialled without one.")


class Open(Section):
    """One stretch of opening hours; one that ends at or before its beginning lasts into the next day."""

    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri")
    start: time = Field(alias="from")
    end: time = Field(alias="to")


class Hours(Section):
    """When something is open. No stretch begins on a date of `closed` (YYYY-MM-DD)."""

    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Seoul"
    open: tuple[Open, ...]
    closed: tuple[date, ...] = ()


class Trunk(Section):
    """A line to a carrier, a PBX or a gateway.

    Its calls are known by their source address (`addresses`) or by digest (`inbound_user`). Calls out go to `host`,
    if `outgoing`, cheapest (lowest) `priority` first; the next trunk is tried when this one fails.
    """

    addresses: tuple[Network, ...] = ()
    inbound_user: Login | None = None
    host: str | None = Field(None, pattern=r"^[A-Za-z0-9.-]+$")
    port: int = Field(5060, ge=1, le=65535)
    transport: Literal["udp", "tcp", "tls"] = "udp"
    username: Login | None = None
    password_file: FilePath | None = None
    register_here: bool = Field(False, alias="register")
    outgoing: bool = True
    priority: int = 10
    serves: tuple[str, ...] = ("*",)  # E.164 patterns (fnmatch) of numbers it may be used for
    max_calls: int | None = Field(None, ge=1)
    calls_per_day: int | None = Field(None, ge=1)
    codecs: tuple[Codec, ...] = ()
    srtp: SrtpUse = "off"
    number_form: Literal["e164", "national"] = "national"
    international_prefix: str = Field("+", pattern=r"^(\+|00\d{0,3})$")  # before foreign numbers in national form
    caller_id: str | None = None  # the number shown, unless the route or call gives one of `own_numbers`
    own_numbers: tuple[str, ...] = ()
    trusted: bool = False  # its P-Asserted-Identity, User-to-User and X- headers are believed

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.register_here and not (self.host and self.username and self.password_file):
            raise ValueError("register: needs host, username and password_file")
        if not (self.addresses or self.inbound_user or self.host):
            raise ValueError(
                "addresses: say how its calls are known (addresses, inbound_user) or where calls go (host)"
            )
        return self


class Route(Section):
    """One line of the dial plan; the first that fits decides. Patterns are fnmatch on E.164 or the dialled digits."""

    called: str = "*"
    caller: str = "*"
    trunk: str = "*"
    hours: Name | None = None  # fits only while these hours are open
    flow: Name | None = None
    agent: Name | None = None
    queue: Name | None = None
    number: str | None = None
    voicemail: Name | None = None
    reject: int | None = Field(None, ge=400, le=699)

    @model_validator(mode="after")
    def _one_destination(self) -> Self:
        given = [
            key for key in ("flow", "agent", "queue", "number", "voicemail", "reject") if getattr(self, key) is not None
        ]
        if len(given) != 1:
            raise ValueError("called: a route leads to exactly one of flow, agent, queue, number, voicemail, reject")
        return self


class Guard(Section):
    """Against toll fraud: what may be dialled at all, and how much of it.

    Ordinary numbers of `numbers.country` may. `denied` goes before everything else, `allowed` before the rest.
    """

    international: tuple[str, ...] = ()  # E.164 prefixes allowed, such as "+81"
    premium: bool = False
    allowed: tuple[str, ...] = ()  # patterns of further numbers, such as "114"; emergency numbers without * and ?
    denied: tuple[str, ...] = ()  # patterns
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Seoul"  # where the day of the caps begins
    calls_per_caller_per_day: int | None = Field(50, ge=1)
    calls_per_day: int | None = Field(1000, ge=1)


class AgentEntry(Section):
    """A person who takes calls. `phone` is the user name of the phone that registers here, or a whole SIP URI."""

    title: str = ""
    phone: Phone
    password_file: FilePath | None = None
    code: str = Field("", pattern=r"^\d{0,12}$")  # logs in by phone, and of six digits or more at the desk too
    supervisor: bool = False  # sees all conversations, queues and agents of the tenant at the desk
    tenant: Tenant = "main"  # whose conversations the desk shows
    chats: int = Field(3, ge=0)  # at once
    skills: dict[Name, int] = Field(default_factory=dict)  # 1 (some) .. 5 (expert)
    queues: tuple[Name, ...] = ()
    after_call_s: float = Field(15.0, ge=0)
    ring_s: float = Field(20.0, gt=0)
    misses: int = Field(2, ge=1)  # calls not taken in a row, and they are on a break


class Relax(Section):
    """After `after_s` of waiting, `skills` at these lower levels do."""

    after_s: float = Field(gt=0)
    skills: dict[Name, int] = Field(default_factory=dict)


class QueueEntry(Section):
    """Where callers wait for an agent."""

    title: str = ""
    skills: dict[Name, int] = Field(default_factory=dict)
    relax: tuple[Relax, ...] = ()
    priority: int = 5  # 1 first .. 9 last
    hours: Name | None = None
    music: FilePath | None = None  # a WAV file; unset: a soft tone pattern of ours
    announce_every_s: float = Field(30.0, ge=5)
    most_waiting: int = Field(100, ge=1)
    longest_wait_s: float = Field(1800.0, gt=0)
    service_level_s: float = Field(20.0, gt=0)
    ring: Literal["longest_idle", "all"] = "longest_idle"
    call_back: bool = True
    call_back_attempts: int = Field(3, ge=1)
    call_back_retry_s: float = Field(300.0, gt=0)
    call_back_first: Literal["agent", "customer"] = "agent"  # who is dialled first
    whisper: str = ""  # said to the agent before the bridge; unset: the queue's title
    record: bool = False


class Mailbox(Section):
    """Where messages are left."""

    title: str = ""
    longest_s: float = Field(180.0, gt=0)
    tell: tuple[Name, ...] = ()  # agents


class Retry(Section):
    """After a call that ended so: how long to wait, and how many such calls are enough."""

    after_s: float = Field(gt=0)
    attempts: int = Field(ge=1)


class Retries(Section):
    """Whom we did not talk to is called again, by what became of the call."""

    busy: Retry = Retry(after_s=300, attempts=3)
    no_answer: Retry = Retry(after_s=1800, attempts=3)
    machine: Retry = Retry(after_s=3600, attempts=2)
    failed: Retry = Retry(after_s=120, attempts=3)


class Campaign(Section):
    """Calls out of one kind (docs/outbound.md): what they say, when, how fast, and how often they are tried."""

    title: str = ""
    flow: Name
    caller_id: str | None = None  # one of the trunk's own numbers
    hours: Name | None = None  # on the called person's clock
    per_minute: float = Field(10.0, gt=0, le=6000)
    at_once: int = Field(2, ge=1)
    ring_s: float = Field(30.0, gt=0, le=180)
    machine: Literal["hang_up", "message", "go_on", "off"] = "hang_up"
    opt_out: str = "do_not_call"  # the flow's outcome by which somebody asks to be called no more
    attempts: int = Field(5, ge=1)  # in all
    retry: Retries = Retries()


class Outbound(Section):
    """Bounds of all campaigns together."""

    per_minute: float = Field(60.0, gt=0, le=6000)
    at_once: int = Field(20, ge=1)
    keep_free: float = Field(0.5, ge=0, lt=1)  # the share of all places that stays free for calls that come in


class Desk(Section):
    """What agents find at their desk (docs/desk.md)."""

    connector: Name | None = None  # of the connectors file: what another system knows of the customer
    outcomes: tuple[str, ...] = ("resolved", "follow_up", "no_answer")  # of which a wrap-up takes one
    reasons: tuple[str, ...] = ("lunch", "training", "meeting")  # for a break
    answers: tuple[str, ...] = ()  # sentences that a chat is often answered by


class Plan(Section):
    numbers: Numbers = Numbers()
    hours: dict[Name, Hours] = Field(default_factory=dict)
    trunks: dict[Name, Trunk] = Field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    guard: Guard = Guard()
    agents: dict[Name, AgentEntry] = Field(default_factory=dict)
    queues: dict[Name, QueueEntry] = Field(default_factory=dict)
    mailboxes: dict[Name, Mailbox] = Field(default_factory=dict)
    outbound: Outbound = Outbound()
    campaigns: dict[Name, Campaign] = Field(default_factory=dict)
    desk: Desk = Desk()

    @model_validator(mode="after")
    def _all_named_exist(self) -> Self:
        for index, route in enumerate(self.routes):
            for key, known in (
                ("hours", self.hours), ("agent", self.agents), ("queue", self.queues), ("voicemail", self.mailboxes),
            ):  # fmt: skip
                name = getattr(route, key)
                if name is not None and name not in known:
                    raise ValueError(f'routes: route {index + 1} names {key} "{name}", which the plan does not have')
        for name, agent in self.agents.items():
            if missing := [queue for queue in agent.queues if queue not in self.queues]:
                raise ValueError(f'agents: {name} is in queue "{missing[0]}", which the plan does not have')
        for name, queue in self.queues.items():
            if queue.hours is not None and queue.hours not in self.hours:
                raise ValueError(f'queues: {name} has hours "{queue.hours}", which the plan does not have')
        for name, campaign in self.campaigns.items():
            if campaign.hours is not None and campaign.hours not in self.hours:
                raise ValueError(f'campaigns: {name} has hours "{campaign.hours}", which the plan does not have')
        return self

    @property
    def bridges(self) -> bool:
        """Whether calls can have a second leg."""
        return bool(self.agents or self.queues or any(trunk.outgoing and trunk.host for trunk in self.trunks.values()))


def load_plan(path: Path | None) -> Plan:
    """Raises ConfigError naming file, line and key. None: an empty plan."""
    if path is None:
        return Plan()
    plan = read_toml(Plan, path)
    files = {name: trunk.password_file for name, trunk in plan.trunks.items()}
    files |= {name: agent.password_file for name, agent in plan.agents.items()}
    for name, file in files.items():
        if file and not file.is_file():
            raise ConfigError(f"{path}: password_file of {name}: {file} is no file that can be read.")
    return plan
