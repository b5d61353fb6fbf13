"""Machines of a test's own, each in a network namespace, on one wire with the test.

    with Wire("one", "two") as wire:                 # the test is at both addresses of wire.here
        Popen([*wire["one"].inside, "some-server"])  # at wire["one"].address, and at nothing else
        wire["one"].unplug()

Namespaces have no names: each is there as long as the process that holds it, which ends with the test's, however that
ends. Nothing of this machine's own network is changed but for one interface, which goes with them.
"""

import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Self

import pytest

START_S = 60
NETS = 512  # 198.18.0.0/15, which no network uses (RFC 2544), in parts of 256 addresses; a subnet a machine has 32
VETH = ("type", "veth", "peer")
FORBIDDEN = ("not permitted", "not supported", "Unknown device type")
TOOLS = {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux"}


@dataclass(frozen=True, slots=True)
class Machine:
    address: str
    inside: tuple[str, ...]  # what leads a command into it

    def unplug(self) -> None:
        """From now on it hears nothing, and nobody hears it: no refusal, no reset."""
        _run(*self.inside, "ip", "link", "set", "eth0", "down")


class Wire:
    """Skips the test where this machine makes no namespaces."""

    def __init__(self, *names: str) -> None:
        self._names = names
        first, second = divmod(os.getpid() % NETS, 256)
        self._net = f"198.{18 + first}.{second}"
        self.here = f"{self._net}.1", f"{self._net}.2"
        self._machines: dict[str, Machine] = {}
        self._exits = ExitStack()

    def __getitem__(self, name: str) -> Machine:
        return self._machines[name]

    def __enter__(self) -> Self:
        if missing := {package for tool, package in TOOLS.items() if not which(tool)}:
            pytest.skip(f"no network namespaces: {', '.join(sorted(missing))} is not installed")
        with ExitStack() as undoing:
            self._exits = undoing
            wire = self._namespace()
            _run(*_into(wire), "ip", "link", "add", "name", "wire", "type", "bridge")
            _run(*_into(wire), "ip", "link", "set", "wire", "up")
            ours = f"ve{os.getpid()}"
            self._plug(wire, "here", os.getpid(), ours, *self.here)
            for number, name in enumerate(self._names, 1):
                pid, address = self._namespace(), f"{self._net}.{32 * number + 1}"
                _run(*_into(pid), "ip", "link", "set", "lo", "up")
                self._plug(wire, name, pid, "eth0", address)
                self._machines[name] = Machine(address, _into(pid))
            self._exits = undoing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def _namespace(self) -> int:
        """The process that holds it."""
        words = ("setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity")
        holder = subprocess.Popen(words, stderr=subprocess.PIPE)
        self._exits.callback(_end, holder)
        deadline = time.monotonic() + START_S
        while Path(f"/proc/{holder.pid}/comm").read_text().strip() != "sleep":
            if holder.poll() is not None:
                assert holder.stderr
                pytest.skip(f"no network namespaces: {holder.stderr.read().decode().strip()} (they take root)")
            assert time.monotonic() < deadline, f"no network namespace within {START_S} s"
            time.sleep(0.01)
        return holder.pid

    def _plug(self, wire: int, name: str, pid: int, interface: str, *addresses: str) -> None:
        """Into the wire: addresses of a subnet of its own, and the way to the others'."""
        there = _into(wire)
        _run(*there, "ip", "link", "add", "name", name, *VETH, "name", interface, "netns", str(pid))
        _run(*there, "ip", "link", "set", "dev", name, "master", "wire", "up")
        here = _into(pid)
        for address in addresses:
            _run(*here, "ip", "address", "add", f"{address}/27", "dev", interface)
        _run(*here, "ip", "link", "set", "dev", interface, "up")
        _run(*here, "ip", "route", "add", f"{self._net}.0/24", "dev", interface, "src", addresses[0])


def _into(pid: int) -> tuple[str, ...]:
    return ("nsenter", f"--net=/proc/{pid}/ns/net")


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=START_S)
    if any(reason in done.stderr for reason in FORBIDDEN):
        pytest.skip(f"no network namespaces: {' '.join(words)}: {done.stderr.strip()}")
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


def _end(holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    holder.wait()
