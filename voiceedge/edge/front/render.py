"""Kamailio's files, made from the configuration, the switch plan and the machine's facts."""

import os
import re
import ssl
from pathlib import Path

from voiceedge import tls
from voiceedge.config import Config
from voiceedge.edge.front import tables
from voiceedge.edge.front.place import ANY, LOOPBACK, TEMPLATE, Place
from voiceedge.errors import ConfigError
from voiceedge.switch.plan import Plan

PROBE_S = 30
CODES = "^[*]1[1-4][0-9]{0,12}$"  # of agents (docs/queues.md)
OUTSIDE_MS = 5000  # without any answer from outside this machine: the next trunk
STRIKES = 10  # failed passwords or broken messages from one address in a minute
KNOCKS = 40  # calls without a password from one address in a minute
CHILDREN = 3
MOST_CALLS = 1000  # where sip.max_calls says nothing: the workers' own limits decide
STRUCTURE = "kamailio.cfg"  # a change in here needs a restart of Kamailio; all other files can be read again
# What SIP scanners call themselves; those who care to hide are caught by what they do.
_SCANNERS = (
    "friendly-scanner|friendly-request|sipvicious|sipcli|sipsak|sip-scan|siparmyknife|sundayddr|iwar|vaxsipuseragent|"
    "pplsip|sivus|gulp|smap|scan"
)


def render(config: Config, plan: Plan, place: Place, directory: Path) -> dict[str, str]:
    """File name below `directory` to content. Raises ConfigError naming the setting that is wrong."""
    if config.front.through:
        plan = Plan()  # trunks, phones and passwords are the business of the front before us
    files = {STRUCTURE: _structure(config, place, directory), "addresses.list": tables.addresses(plan)}
    files |= {f"tables/{name}": text for name, text in tables.tables(config, plan, place).items()}
    if place.tls_port:
        files["tls.cfg"] = _tls(config)
    return files


def write(files: dict[str, str], directory: Path) -> None:
    """Each file at once, readable by us alone: they hold passwords."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        if path.exists() and (last_s := int(path.stat().st_mtime)) >= int(draft.stat().st_mtime):
            os.utime(draft, (last_s + 1, last_s + 1))  # db_text sees a change by the second of it
        draft.replace(path)


def _structure(config: Config, place: Place, directory: Path) -> str:
    front = config.front
    switches = {
        "WITH_TLS": place.tls_port,
        "WITH_HIDING": front.hide_topology,
        "WITH_HOMER": front.homer,
        "WITH_ONE_ADDRESS": len(place.addresses) == 1,
        "WITH_THROUGH": front.through,
        "WITH_ALONE": front.alone,
    }
    public = tables.public_address(config, place)
    values: dict[str, str | int] = {
        "defines": "\n".join(f"#!define {name}" for name, on in switches.items() if on),
        "run": str(directory),
        "modules": f"{place.modules}/",
        "secret": place.key.hex(),
        "mark": place.mark,
        "realm": front.realm,
        "homer": front.homer or "",
        "through": front.through or "",
        "public": public,
        "contact": f"{public}:{place.sip_port}",
        "listen": "\n".join(_sockets(config, place)),
        "inner_port": place.inner_port,
        "node_socket": place.world,
        "children": CHILDREN,
        "max_calls": config.sip.max_calls or MOST_CALLS,
        "retry_after": config.sip.retry_after_s,
        "calls_per_s": front.calls_per_s,
        "calls_per_s_worker": front.calls_per_s_worker,
        "flood_per_2s": 2 * front.flood_per_s,
        "ban_s": front.ban_s,
        "strikes": STRIKES,
        "knocks": KNOCKS,
        "probe_s": PROBE_S,
        "outside_ms": OUTSIDE_MS,
        "codes": CODES,
        "scanners": _SCANNERS,
    }
    template = TEMPLATE.read_text(encoding="utf-8")
    return re.sub(r"@([a-z0-9_]+)@", lambda found: str(values[found[1]]), template)


def _sockets(config: Config, place: Place) -> list[str]:
    """`listen` lines. A public address stands in for all but the loopback one, unless that is all there is."""
    lines = []
    for address in place.addresses:
        protocols = [("udp", place.sip_port)]
        if config.sip.tcp:
            protocols.append(("tcp", place.sip_port))
        if place.tls_port:
            protocols.append(("tls", place.tls_port))
        shown = config.sip.public_host if address != LOOPBACK or config.sip.host != ANY else None
        lines += [
            f"listen={protocol}:{address}:{port}" + (f" advertise {shown}:{port}" if shown else "")
            for protocol, port in protocols
        ]
    return lines + (["enable_tls=yes"] if place.tls_port else [])


def _tls(config: Config) -> str:
    """The tls module's own file; `tls.reload` reads it and the certificate again."""
    certificate, key = config.front.certificate, config.front.private_key
    if not (certificate and key):
        raise ConfigError("front.tls_port: TLS needs front.certificate and front.private_key; give both.")
    tls.server_context("front", certificate, key)
    lines = ["[server:default]", "method = TLSv1.2+", "verify_certificate = no", "require_certificate = no"]
    lines += [f"certificate = {certificate.absolute()}", f"private_key = {key.absolute()}"]
    lines += ["[client:default]", "method = TLSv1.2+", "verify_certificate = yes", "require_certificate = yes"]
    if authorities := ssl.get_default_verify_paths().capath:  # the folder: read when needed, the bundle takes seconds
        lines.append(f"ca_path = {authorities}")
    return "\n".join([*lines, ""])
