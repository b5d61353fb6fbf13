"""What can be told of a machine from its lowest floor: ports, disk, limits, clock, and whether it is as ordered."""

import contextlib
import ctypes
import errno
import os
import platform
import resource
import shutil
import socket
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from voiceedge.appliance.finding import Finding, State, broken, fine, reduced
from voiceedge.appliance.profile import Profile, Trunk, load_profile, load_trunk
from voiceedge.config import Config
from voiceedge.errors import ConfigError
from voiceedge.toml_file import readable_by_others

LEAST_FREE_MB = 200  # the outbox must be able to write through a day without its broker
LOW_FREE_MB = 1000
LEAST_OPEN_FILES = 1024
CALLS_PER_S = 10  # what one worker's SIP stack is given at most
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
UNIT_PLACES = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))


def examine(config: Config, ours: Collection[int]) -> Iterator[Finding]:
    """`ours` are the ports that this very configuration's service, being up, holds already."""
    yield from sip_ports(config, ours)
    yield rtp_ports(config, is_up=bool(ours))
    if config.mqtt.url is None:
        yield mqtt_port(config, ours)
    yield disk(config)
    yield open_files()
    yield clock()
    yield service()
    if config.mqtt.password_file and readable_by_others(config.mqtt.password_file):
        file = config.mqtt.password_file
        yield reduced("secrets", f"{file} may be read by every user of this machine", f"chmod 640 {file}")
    yield from _compare("profile", config.appliance.profile, lambda path: fits_profile(config, load_profile(path)))
    yield from _compare("trunk", config.appliance.trunk, lambda path: fits_trunk(config, load_trunk(path)))


def sip_ports(config: Config, ours: Collection[int]) -> Iterator[Finding]:
    yield port_of("SIP port, UDP", socket.SOCK_DGRAM, config.sip.host, config.sip.port, ours)
    if config.sip.tcp:
        yield port_of("SIP port, TCP", socket.SOCK_STREAM, config.sip.host, config.sip.port, ours)


def mqtt_port(config: Config, ours: Collection[int]) -> Finding:
    """The embedded broker's: calls are answered without it, and their events wait."""
    host, port = config.mqtt.embedded_host, config.mqtt.embedded_port
    finding = port_of("MQTT port", socket.SOCK_STREAM, host, port, ours)
    if finding.state is State.FINE:
        return finding
    remedy = f"If a broker holds it, set mqtt.url = mqtt://{host}:{port}; else choose another mqtt.embedded_port"
    return reduced(finding.part, f"{finding.what}, so events wait on this disk", remedy)


def rtp_ports(config: Config, *, is_up: bool) -> Finding:
    first, last = config.sip.rtp_ports
    pairs = range(first, last, 2)
    free = sum(not any(_bind(socket.SOCK_DGRAM, config.sip.host, port) for port in (even, even + 1)) for even in pairs)
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    what = f"{first} to {last}, {free} of {len(pairs)} pairs free"
    if not free and not is_up:
        return broken("RTP ports", what, "Choose another range in sip.rtp_ports: no call could have audio")
    if not is_up and free < len(pairs) / 2:
        return reduced("RTP ports", what, "Choose another range in sip.rtp_ports: other programs use this one")
    if first <= int(ephemeral[1]) and last >= int(ephemeral[0]):
        remedy = (
            "Choose a range outside of net.ipv4.ip_local_port_range, or reserve it (net.ipv4.ip_local_reserved_ports)"
        )
        return reduced("RTP ports", f"{what}, but the system gives ports of this range to any program", remedy)
    return fine("RTP ports", what)


def disk(config: Config) -> Finding:
    wanted = config.site.data_dir.absolute()
    place = next(folder for folder in (wanted, *wanted.parents) if folder.exists())
    if not os.access(place, os.W_OK):
        return broken(
            "disk", f"{place} cannot be written", f"Give it to the service's user, or change site.data_dir ({wanted})"
        )
    free_mb = shutil.disk_usage(place).free // 1_000_000
    what = f"{free_mb} MB free for {wanted}"
    if free_mb < LEAST_FREE_MB:
        return broken("disk", what, "Make room: events that cannot be written are lost when the service stops")
    if free_mb < LOW_FREE_MB:
        return reduced("disk", what, f"Make room: {LOW_FREE_MB} MB keep the models, prompts and a dead broker's events")
    return fine("disk", what)


def open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= LEAST_OPEN_FILES:
        return fine("open files", f"{soft} a process")
    remedy = f"ulimit -n {min(hard, 4096)}, or LimitNOFILE= in the unit"
    return reduced("open files", f"only {soft} a process; a busy worker needs {LEAST_OPEN_FILES}", remedy)


def clock() -> Finding:
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))  # all zero: only asks
    if state == TIME_ERROR:
        remedy = "systemctl enable --now systemd-timesyncd (or chrony): events and tokens carry this clock's time"
        return reduced("clock", "not synchronised", remedy)
    return fine("clock", "synchronised" if state >= 0 else "synchronisation cannot be told here")


def service() -> Finding:
    units = [place / "voiceedge.service" for place in UNIT_PLACES]
    unit = next((unit for unit in units if unit.exists()), None)
    return fine("systemd unit", str(unit) if unit else "not installed; the service runs where it is started by hand")


def fits_profile(config: Config, profile: Profile) -> Iterator[Finding]:
    machine, load, name = profile.machine, profile.load, profile.name
    if short := _shortcomings(profile):
        remedy = "Expect fewer calls at once, or choose the profile of this machine"
        yield reduced("profile", f"{name}: {', '.join(short)}", remedy)
    if platform.machine() != machine.architecture:
        yield broken("profile", f"{name}: is for {machine.architecture}", "Choose a profile of this architecture")
    if config.speech.threads > load.recogniser_threads:
        what = f"{name}: speech.threads is {config.speech.threads}, more than its {load.recogniser_threads}"
        yield reduced("profile", what, f"Set speech.threads = {load.recogniser_threads}: calls need the other cores")
    if config.sip.rtp_ports != load.rtp_ports:
        what = f"{name}: has RTP ports {list(load.rtp_ports)}, sip.rtp_ports is {list(config.sip.rtp_ports)}"
        yield reduced("profile", what, f"Set sip.rtp_ports = {list(load.rtp_ports)}, or open the firewall for yours")


def fits_trunk(config: Config, trunk: Trunk) -> Iterator[Finding]:
    signalling, media, capacity, name = trunk.signalling, trunk.media, trunk.capacity, trunk.name
    if not set(media.codecs) & set(config.sip.codecs):
        yield broken("trunk", f"{name}: no codec in common", f"Add {media.codecs[0]} to sip.codecs")
    if signalling.transports == ("tls",):
        yield broken("trunk", f"{name}: speaks only TLS, which this service does not", "Ask for UDP or TCP")
    elif "udp" not in signalling.transports and not config.sip.tcp:
        yield broken("trunk", f"{name}: speaks TCP, which sip.tcp turns off", "Set sip.tcp = true")
    if media.encryption != "none":
        yield broken("trunk", f"{name}: demands encrypted audio", "Ask for plain RTP, on a network of your own")
    if signalling.registers:
        yield broken(
            "trunk", f"{name}: wants a registration, which this service keeps none", "Ask for a trunk by address"
        )
    if media.keys == "in-band":
        yield reduced("trunk", f"{name}: sends keys as tones in the audio", "Have it send telephone-event (RFC 4733)")
    if not signalling.refer and config.sip.transfer_targets:
        what = f"{name}: carries out no REFER, so transfers of its callers fail"
        yield reduced("trunk", what, "Give the flows' transfer steps a way on for failed transfers")
    if config.sip.max_calls and config.sip.max_calls < capacity.channels:
        what = f"{name}: {capacity.channels} channels, but sip.max_calls is {config.sip.max_calls}"
        yield reduced("trunk", what, "Callers beyond it get 503: raise sip.max_calls, or order fewer channels")
    if capacity.calls_per_s > CALLS_PER_S:
        what = f"{name}: up to {capacity.calls_per_s:g} new calls a second, a worker takes {CALLS_PER_S}"
        yield reduced("trunk", what, "Have the other side limit its rate")


def _shortcomings(profile: Profile) -> list[str]:
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    capture, playback = _sound_devices()
    have_of_wanted = (
        (len(os.sched_getaffinity(0)), profile.machine.cores, "cores"),
        (memory_mb, profile.machine.memory_mb, "MB of memory"),
        (resource.getrlimit(resource.RLIMIT_NOFILE)[1], profile.machine.open_files, "open files"),
        (len(_network_interfaces()), profile.network.interfaces, "network interfaces"),
        (capture, profile.sound.capture, "capture devices"),
        (playback, profile.sound.playback, "playback devices"),
    )
    return [f"{have} of {wanted} {unit}" for have, wanted, unit in have_of_wanted if have < wanted]


def _network_interfaces() -> list[str]:
    return [name for _, name in socket.if_nameindex() if name != "lo"]


def _sound_devices() -> tuple[int, int]:
    """Capture and playback devices, as ALSA lists them."""
    with contextlib.suppress(OSError):
        devices = Path("/proc/asound/pcm").read_text(encoding="utf-8").splitlines()
        return sum("capture" in device for device in devices), sum("playback" in device for device in devices)
    return 0, 0


def _compare(part: str, path: Path | None, problems: Callable[[Path], Iterable[Finding]]) -> Iterator[Finding]:
    if path is None:
        return
    try:
        yield from list(problems(path)) or [fine(part, f"as in {path}")]
    except ConfigError as error:
        yield broken(part, str(error), "Correct the file, or take another from hardware/")


def port_of(part: str, kind: socket.SocketKind, host: str, port: int, ours: Collection[int]) -> Finding:
    """Whether it can be listened on; `ours` are those that the service itself holds."""
    problem = _bind(kind, host, port)
    place = f"{host}:{port}" if port else f"{host}, any free one"
    if not problem:
        return fine(part, f"{place}, free")
    if port in ours:
        return fine(part, f"{place}, held by the service, which is up")
    if problem == errno.EADDRINUSE:
        remedy = "Stop the program that holds it (`ss -lntup` shows which), or choose another port"
        return broken(part, f"{place} is taken by another program", remedy)
    if problem == errno.EADDRNOTAVAIL:
        return broken(
            part, f"{host} is not an address of this machine", "Choose one that `ip address` shows, or 0.0.0.0"
        )
    if problem == errno.EACCES:
        remedy = "Choose a port of 1024 or more, or give the service CAP_NET_BIND_SERVICE"
        return broken(part, f"{place} may not be taken by this user", remedy)
    return broken(part, f"{place}: {os.strerror(problem)}", "Correct the address in the configuration")


def _bind(kind: socket.SocketKind, host: str, port: int) -> int:
    """Take the port and give it back: 0, or why not (errno)."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:  # where connections of a moment ago still linger
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno or errno.EINVAL
    return 0
