"""Kamailio's tables (db_text files) made from the switch plan: who may call, by which password, over which trunk."""

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

from voiceedge.config import Config
from voiceedge.edge.front.place import Place
from voiceedge.errors import ConfigError
from voiceedge.switch.plan import Plan, Trunk

_VERSIONS = {"version": 1, "htable": 2, "plan": 2, "location": 9, "uacreg": 5}
LOCATION_HEAD = (
    "id(int,auto) ruid(string) username(string) domain(string,null) contact(string) received(string,null) "
    "path(string,null) expires(int) q(double) callid(string) cseq(int) last_modified(int) flags(int) cflags(int) "
    "user_agent(string) socket(string,null) methods(int,null) instance(string,null) reg_id(int) server_id(int) "
    "connection_id(int) keepalive(int) partition(int)"
)
_REGISTRATION_HEAD = (
    "id(int,auto) l_uuid(string) l_username(string) l_domain(string) r_username(string) r_domain(string) "
    "realm(string) auth_username(string) auth_password(string) auth_ha1(string) auth_proxy(string) expires(int) "
    "flags(int) reg_delay(int) contact_addr(string) socket(string)"
)
_REGISTERED_FOR_S = 600


def tables(config: Config, plan: Plan, place: Place) -> dict[str, str]:
    """File name to content. Raises ConfigError where a password cannot be read or two want the same user name."""
    entries = sorted(_entries(config, plan, place).items())
    return {
        "version": _table("table_name(string) table_version(int)", list(_VERSIONS.items())),
        "plan": _table("key_name(string) key_value(string)", entries),
        "uacreg": _table(_REGISTRATION_HEAD, list(registrations(config, plan, place).values())),
    }


def addresses(plan: Plan) -> str:
    """The permissions module's list: group, network, mask, any port, trunk."""
    lines = []
    for name, trunk in plan.trunks.items():
        for network in trunk.addresses:
            address, _, bits = network.partition("/")
            lines.append(f"1 {address} {bits or 32} 0 {name}\n")
    return "".join(lines)


def line_token(name: str, place: Place) -> str:
    """What we register as with a carrier: whoever calls this user name has read our registration."""
    return f"ve-{hmac.new(place.key, f'line {name}'.encode(), hashlib.sha256).hexdigest()[:20]}"


def uri(trunk: Trunk) -> str:
    return f"sip:{trunk.host}:{trunk.port}" + ("" if trunk.transport == "udp" else f";transport={trunk.transport}")


def _entries(config: Config, plan: Plan, place: Place) -> dict[str, str]:
    entries = {} if plan.trunks else {"open": "1"}
    for name, agent in plan.agents.items():
        if agent.password_file and ":" not in agent.phone:
            _add_user(entries, config, agent.phone, agent.password_file, f"agent {name}")
    for name, trunk in plan.trunks.items():
        if trunk.inbound_user and trunk.password_file:
            _add_user(entries, config, trunk.inbound_user, trunk.password_file, f"trunk {name}")
        facts = {
            "host": trunk.host or "",
            "user": trunk.username or "",
            "max": str(trunk.max_calls or ""),
            "trusted": "1" if trunk.trusted else "",
        }
        entries[f"trunk::{name}"] = ";".join(f"{key}={value}" for key, value in facts.items() if value) + ";"
        if trunk.host:
            entries[f"probe::{name}"] = uri(trunk)
        if trunk.username and trunk.password_file:
            entries[f"secret::{name}"] = _password(trunk.password_file)
        if trunk.register_here:
            entries[f"line::{line_token(name, place)}"] = name
    return entries


def _add_user(entries: dict[str, str], config: Config, user: str, file: Path, who: str) -> None:
    if f"who::{user}" in entries:
        other = entries[f"who::{user}"]
        raise ConfigError(f'switch plan: {other} and {who} have the same user name "{user}"; each needs its own.')
    realm = config.front.realm
    entries[f"ha1::{user}"] = hashlib.md5(  # noqa: S324 - RFC 2617; the only digest every phone speaks
        f"{user}:{realm}:{_password(file)}".encode()
    ).hexdigest()
    entries[f"who::{user}"] = who


def registrations(config: Config, plan: Plan, place: Place) -> dict[str, tuple[str, ...]]:
    """Rows of uacreg by what we register as; `registrations(...)[token][0]` is the token again."""
    rows: dict[str, tuple[str, ...]] = {}
    for name, trunk in plan.trunks.items():
        if trunk.register_here and trunk.host and trunk.username and trunk.password_file:
            token = line_token(name, place)
            password = _password(trunk.password_file)
            transport = "" if trunk.transport == "udp" else f";transport={trunk.transport}"
            contact = f"{public_address(config, place)}:{_port(trunk, place)}{transport}"
            rows[token] = (
                token, trunk.username, config.front.realm, trunk.username, trunk.host, "", trunk.username, password, "",
                uri(trunk), str(_REGISTERED_FOR_S), "0", "0", contact, "",
            )  # fmt: skip
    return rows


def public_address(config: Config, place: Place) -> str:
    return config.sip.public_host or place.addresses[0]


def _port(trunk: Trunk, place: Place) -> int:
    return place.tls_port or place.sip_port if trunk.transport == "tls" else place.sip_port


def _password(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the password cannot be read: {error}. Check the file and its owner.") from error
    if not lines or not lines[0].strip() or len(lines[0]) > 200:  # noqa: PLR2004 - more than any carrier hands out
        raise ConfigError(f"{file}: holds no password. Write it into the first line.")
    return lines[0].strip()


def _table(head: str, rows: Sequence[Sequence[str | int]]) -> str:
    lines = [f"id(int,auto) {head.removeprefix('id(int,auto) ')}"]
    lines += [":".join(_escaped(value) for value in (number, *row)) for number, row in enumerate(rows, 1)]
    return "\n".join(lines) + "\n"


def _escaped(value: str | int) -> str:
    text = str(value).replace("\\", "\\\\")
    for character, written in ((":", "\\:"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(character, written)
    return text
