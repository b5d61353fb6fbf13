"""What the service shall be: the configuration with all that follows from it, checked before anything is started.

`python -m voiceedge.edge.blueprint CODE [FILE]` prints one, or what is wrong, as JSON: this is how a reload is checked.
"""

import asyncio
import hashlib
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict

import voiceedge
from voiceedge import config as configuration
from voiceedge import tls
from voiceedge.channels.file import ChannelsFile, load_channels
from voiceedge.clock import RealClock
from voiceedge.config import Config
from voiceedge.connectors.profile import Profile
from voiceedge.connectors.service import Connectors
from voiceedge.edge.between import logs
from voiceedge.edge.checks.flow_names import outside_of
from voiceedge.edge.front import kamailio
from voiceedge.edge.front.place import LOOPBACK, find_program, free_port, settle
from voiceedge.errors import ConfigError, FlowError, VoiceEdgeError
from voiceedge.flow.book import FlowBook
from voiceedge.sip.slots import call_slots
from voiceedge.switch.checks import refuse_broken
from voiceedge.switch.plan import Plan, load_plan

PORTS_A_CALL = 4  # RTP and RTCP, twice as many as calls: a port rests before the next call gets it

# What of the configuration, and of the plan, a kind of process does not read, or reads again when told SIGHUP: a change
# there is no reason to replace it.
_UNREAD: Mapping[str, tuple[str, ...]] = {
    "front": (
        "plan", "audio", "recording", "flows", "speech", "prompts", "mqtt", "context", "store", "metrics", "workers",
        "outbound", "records", "retention", "web", "channels", "connectors",
    ),
    "control": ("plan", "audio", "speech", "prompts"),
    "speech": (
        "outbound",
        "plan", "sip", "front", "switch", "store", "metrics", "workers", "audio", "recording", "context", "records",
        "retention", "web", "channels", "connectors",
    ),
    "worker": (
        "outbound",
        "sip.max_calls", "front.calls_per_s", "front.calls_per_s_worker", "front.flood_per_s", "front.ban_s",
        "front.tls_port", "front.certificate", "front.private_key", "front.homer", "metrics", "records",
        "workers.drain_s", "retention", "web", "channels",
    ),
}  # fmt: skip
# What calls that are up depend on: the address they are at, where all processes meet, and who is known to have them.
_FIXED = (
    "sip.host", "sip.port", "front.inner_port", "front.alone", "front.through", "site.data_dir", "site.run_dir",
    "site.name", "switch.node", "store.url",
)  # fmt: skip

log = structlog.get_logger()


class Blueprint(BaseModel):
    """`calls_each` None: as many as `sip.max_calls` and the SIP stack allow. `ports_each` RTP ports belong to a seat.

    `code` tells one version of the program from another, `fingerprints` one make of each kind of process by its code
    and settings; `fixed` is what only a restart can change.
    """

    model_config = ConfigDict(frozen=True)

    config: Config
    front: bool
    inner_port: int
    workers: int
    calls_each: int | None
    seats: int
    ports_each: int
    code: str
    fingerprints: dict[str, str]
    fixed: dict[str, str]

    @classmethod
    def of_same_code(cls, running: "Blueprint", drawn: Mapping[str, Any]) -> "Blueprint | None":
        """What was drawn by another process; None where that runs other code, whose settings this one may not know."""
        return cls.model_validate(drawn) if drawn["code"] == running.code else None

    def rtp_ports(self, seat: int) -> tuple[int, int]:
        first, last = self.config.sip.rtp_ports
        if not self.front:
            return first, last
        first += seat * self.ports_each
        return first, first + self.ports_each - 1


def draw(config: Config) -> Blueprint:
    """Raises ConfigError for whatever in configuration, plan, flows or machine cannot work."""
    plan = load_plan(config.switch.plan)
    # What calls need is checked where they are answered.
    connectors, channels = ({}, ChannelsFile()) if config.front.alone else _what_calls_need(config, plan)
    front = _wants_front(config)
    calls_each = _calls_each(config, plan)
    workers, seats, ports_each = 1, 1, 0
    if front:
        calls_each = calls_each or call_slots()
        workers = 0 if config.front.alone else math.ceil((config.sip.max_calls or call_slots()) / calls_each)
        ports_each = PORTS_A_CALL * call_slots()
        seats = _seats(config, workers, ports_each)
    code = _code()
    fixed = {name: str(_value(config, name)) for name in _FIXED}
    return Blueprint(
        config=config,
        front=front,
        inner_port=config.front.inner_port or (free_port(LOOPBACK, config.sip.rtp_ports) if front else 0),
        workers=workers,
        calls_each=calls_each,
        seats=seats,
        ports_each=ports_each,
        code=code,
        fingerprints={
            name: _fingerprint(config, plan, connectors, channels, code, unread if front else ())
            for name, unread in _UNREAD.items()
        },
        fixed={**fixed, "front.enabled": str(front)},
    )


def _what_calls_need(config: Config, plan: Plan) -> tuple[Mapping[str, Profile], ChannelsFile]:
    """Connectors and channels, with which flows and plan were found to be in order."""
    connectors = Connectors.load(config.connectors.file, RealClock()).profiles
    channels = load_channels(config.channels.file)
    if config.web.certificate and config.web.private_key:
        tls.server_context("web", config.web.certificate, config.web.private_key)
    try:
        book = FlowBook(config.flows.dir, config.flows.values, outside_of(connectors, channels, plan))
    except FlowError as error:
        raise ConfigError(str(error)) from error
    refuse_broken(plan, book.flows, config.switch.plan)
    return connectors, channels


def _wants_front(config: Config) -> bool:
    wanted, most = config.front.wanted, config.sip.max_calls
    if config.front.through and config.front.nodes:
        raise ConfigError("front.through: the front before this node spreads the calls; leave front.nodes out.")
    if wanted is None:
        wanted = config.switch.plan is not None or (most is not None and most > call_slots())
    if not wanted:
        return False
    try:
        find_program(config.front.program)
    except ConfigError as error:
        if config.front.wanted:
            raise
        log.warning("front_missing", problem=str(error), effect="one worker serves alone, without the switch plan")
        return False
    return True


def _calls_each(config: Config, plan: Plan) -> int | None:
    given = config.workers.calls_each
    if given is not None and given > call_slots():
        raise ConfigError(f"workers.calls_each: a worker's SIP stack carries {call_slots()} calls; give no more.")
    return given or (max(1, call_slots() // 2) if plan.bridges else None)


def _seats(config: Config, workers: int, ports_each: int) -> int:
    """Workers that may live at once by their RTP ports: one more than serve, for the first that is replaced."""
    first, last = config.sip.rtp_ports
    seats = (last - first + 1) // ports_each
    if seats < workers + 1:
        needed = first + (workers + 1) * ports_each - 1
        where = f"for example [{first}, {needed}]" if needed < 2**16 else "beginning further down"
        raise ConfigError(
            f"sip.rtp_ports: {workers} workers, and one more while they are replaced, take {ports_each} ports each; "
            f"{first} to {last} is enough for {seats}. Give a larger range, {where}, or a lower sip.max_calls."
        )
    return seats


def _fingerprint(  # noqa: PLR0917 - all of them are always given
    config: Config,
    plan: Plan,
    connectors: Mapping[str, Profile],
    channels: ChannelsFile,
    code: str,
    unread: Iterable[str],
) -> str:
    read = config.model_dump(mode="json") | {"plan": [plan.model_dump(mode="json"), *_traces_of_secrets(plan)]}
    read["connectors"] = [*((name, profile.model_dump(mode="json")) for name, profile in connectors.items())]
    read["connectors"] += [_trace(file) for profile in connectors.values() for file in profile.read_once()]
    read["channels"]["content"] = channels.model_dump(mode="json")
    for name in unread:
        section, _, key = name.partition(".")
        if key:
            del read[section][key]
        else:
            del read[section]
    return _digest([json.dumps(read), code])


def _traces_of_secrets(plan: Plan) -> list[str]:
    files = [trunk.password_file for trunk in plan.trunks.values()]
    files += [agent.password_file for agent in plan.agents.values()]
    return [_trace(file) for file in files if file]


def _code() -> str:
    """Of the program's files, and of the packages it stands on."""
    here = Path(voiceedge.__file__).parent
    packages = Path(structlog.__file__).parents[1]
    return _digest(
        [
            *sorted(_trace(path) for kind in ("*.py", "*.so") for path in here.rglob(kind)),
            *sorted(path.name for path in packages.glob("*.dist-info")),
        ]
    )


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _trace(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return f"{path} is gone"
    return f"{path} {found.st_mtime_ns} {found.st_size}"


def _value(config: Config, name: str) -> Any:
    section, _, key = name.partition(".")
    return getattr(getattr(config, section), key)


def main(running: str, file: Path | None) -> None:
    """`running` is the code of the service that asks."""
    answer = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints belongs to the log
    try:
        config = configuration.load(file)
        logs.configure(config.log)
        drawn = draw(config)
        if drawn.code != running:
            from voiceedge.edge import service  # noqa: F401, PLC0415 - new code must at least load
        if drawn.front:
            plan = load_plan(config.switch.plan)
            asyncio.run(kamailio.check(config, plan, settle(config, {"inner_port": drawn.inner_port})))
        verdict: dict[str, Any] = {"blueprint": drawn.model_dump(mode="json")}
    except VoiceEdgeError as error:
        verdict = {"problem": str(error)}
    os.write(answer, json.dumps(verdict).encode())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)  # noqa: PLR2004
