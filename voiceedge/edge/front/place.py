"""What the front needs to know of this machine: ports, addresses, Kamailio's program and modules, and a key."""

import array
import fcntl
import hashlib
import hmac
import re
import shutil
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from voiceedge.config import Config
from voiceedge.context.privacy.keys import load_key
from voiceedge.edge.between.member import Facts
from voiceedge.errors import ConfigError
from voiceedge.sip import ports

ANY = "0.0.0.0"  # noqa: S104 - what is compared with, not listened on
LOOPBACK = "127.0.0.1"
OLDEST = (5, 5)  # has what the template uses
TEMPLATE = Path(__file__).with_name("template.cfg")
ANSWER_S = 10.0
_SIOCGIFCONF = 0x8912
_IFREQ = 40  # bytes of struct ifreq on 64-bit machines
_MOST_ADDRESSES = 64


@dataclass(frozen=True, slots=True)
class Place:
    addresses: tuple[str, ...]  # where the world reaches us; the first is what we are called by
    sip_port: int
    tls_port: int | None
    inner_port: int
    program: Path
    modules: Path
    key: bytes

    @property
    def world(self) -> str:
        """The UDP socket that other nodes know us by."""
        return f"{self.addresses[0]}:{self.sip_port}"

    @property
    def mark(self) -> str:
        """What the template's own log lines begin with: a caller whose message gets into the log does not know it."""
        return hmac.new(self.key, b"log", hashlib.sha256).hexdigest()[:16]

    def facts(self) -> Facts:
        """For status.json, and for the next front, which takes the same ports."""
        ports = {"sip_port": self.sip_port, "inner_port": self.inner_port}
        return ports | ({"tls_port": self.tls_port} if self.tls_port else {})


def settle(config: Config, before: Facts) -> Place:
    """Take the ports of a predecessor, those configured, or free ones. Raises ConfigError where Kamailio is missing."""
    host, front = config.sip.host, config.front
    tls = before.get("tls_port", front.tls_port)
    program = find_program(front.program)
    return Place(
        addresses=addresses_of(host),
        sip_port=before.get("sip_port") or config.sip.port or free_port(host, config.sip.rtp_ports),
        tls_port=tls if tls is None else tls or free_port(host, config.sip.rtp_ports),
        inner_port=before.get("inner_port") or front.inner_port or free_port(LOOPBACK, config.sip.rtp_ports),
        program=program,
        modules=find_modules(program),
        key=load_key(config.site.data_dir, "front"),
    )


def find_program(name: str) -> Path:
    """Servers often lie where only root's PATH leads."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if not found:
        raise ConfigError(
            f"front.program: {name} is not installed. Install it (apt-get install kamailio kamailio-tls-modules "
            "kamailio-extra-modules), or set front.enabled = false."
        )
    return Path(found)


def find_modules(program: Path) -> Path:
    """Debian keeps them by machine type; Kamailio's own builds beside the program."""
    prefix = program.resolve().parent.parent
    patterns = ("lib/*-linux-gnu*/kamailio/modules", "lib64/kamailio/modules", "lib/kamailio/modules")
    for root in (prefix, Path("/usr")):
        for pattern in patterns:
            for folder in sorted(root.glob(pattern)):
                if (folder / "tm.so").exists():
                    return folder
    raise ConfigError(f"front.program: the modules of {program} are nowhere to be found. Install Kamailio again.")


def version_of(program: Path) -> tuple[int, int]:
    """Raises ConfigError where it does not say."""
    try:
        said = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=ANSWER_S, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"front.program: {program} does not run ({error}). Install Kamailio again.") from error
    found = re.search(r"kamailio (\d+)\.(\d+)", said)
    if not found:
        raise ConfigError(f"front.program: {program} is no Kamailio. Name Kamailio's program.")
    return int(found[1]), int(found[2])


def missing_modules(program: Path, *, tls: bool) -> list[str]:
    """Of those that the template loads."""
    folder = find_modules(program)
    wanted = re.findall(r'^loadmodule "(\w+)\.so"', TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE)
    return [name for name in wanted if not (folder / f"{name}.so").exists() and (tls or name != "tls")]


def addresses_of(host: str) -> tuple[str, ...]:
    """`host`, or for 0.0.0.0 every IPv4 address of this machine, that of the default route first, loopback last."""
    if host != ANY:
        return (host,)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        buffer = array.array("B", bytes(_IFREQ * _MOST_ADDRESSES))
        question = struct.pack("iP", len(buffer), buffer.buffer_info()[0])
        size = struct.unpack("iP", fcntl.ioctl(probe.fileno(), _SIOCGIFCONF, question))[0]
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1: nothing is sent, but a route is chosen
            first = probe.getsockname()[0]
        except OSError:
            first = LOOPBACK
    found = {socket.inet_ntoa(bytes(buffer[at + 20 : at + 24])) for at in range(0, size, _IFREQ)} | {LOOPBACK}
    return tuple(sorted(found, key=lambda address: (address != first, address.startswith("127."), address)))


def free_port(host: str, outside: tuple[int, int]) -> int:
    """As `sip.ports.free_port`. Raises ConfigError where there is none."""
    if port := ports.free_port(host, outside):
        return port
    raise ConfigError(
        f"sip.port: no port of {host} outside sip.rtp_ports is free for UDP and TCP; name one, or lower that range."
    )
