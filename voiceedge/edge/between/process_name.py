"""A name that no other process has: none that gets the same number later, none after the machine has started anew."""

from functools import cache
from pathlib import Path

_STATE, _START = 0, 19
_DEAD = {"Z", "X"}


def process_name(pid: int) -> str:
    """Of one that is over already, a name that no living one has. Raises OSError where /proc cannot be read."""
    return f"{_boot()}.{pid}.{_start(pid)}"


def lives(name: str) -> bool:
    """As long as nobody knows that it does not."""
    boot, pid, start = name.rsplit(".", 2)
    try:
        return boot == _boot() and start != "" and start == _start(int(pid))
    except OSError:
        return True


def stat_fields(pid: int) -> list[str]:
    """Of /proc/PID/stat those after the name, which may hold anything, from 0. Raises OSError."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _start(pid: int) -> str:
    """In ticks since the machine started; empty where there is no such process."""
    try:
        fields = stat_fields(pid)
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[_STATE] in _DEAD else fields[_START]
