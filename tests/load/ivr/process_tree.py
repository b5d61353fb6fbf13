"""CPU and memory of a process and all that descends from it, also of those that have ended meanwhile."""

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
# proc(5), counted from the field after the name: the parent, and the CPU of a process and of its children that ended
_PARENT, _CPU = 1, slice(11, 15)


@dataclass(frozen=True)
class Use:
    """CPU seconds since each process began; pages that processes share count once in `memory_mib`."""

    cpu_s: dict[str, float]  # by the process's name
    memory_mib: float
    resident_mib: float  # each process by itself, shared pages every time
    processes: int
    threads: int
    handles: int

    @property
    def all_cpu_s(self) -> float:
        return sum(self.cpu_s.values())


def cpu_s(root: int) -> dict[str, float]:
    """CPU seconds by name, of processes with that name together."""
    used: dict[str, float] = {}
    for pid in tree(root):
        try:
            name, fields = _stat(pid)
        except OSError:
            continue  # ended under our hands: its parent has the CPU now
        used[name] = used.get(name, 0.0) + sum(map(int, fields[_CPU])) * _TICK_S
    return used


def use(root: int) -> Use:
    memory = resident = threads = handles = 0
    pids = tree(root)
    for pid in pids:
        try:
            rollup = (_PROC / str(pid) / "smaps_rollup").read_text()
            threads += sum(1 for _ in (_PROC / str(pid) / "task").iterdir())
            handles += sum(1 for _ in (_PROC / str(pid) / "fd").iterdir())
        except OSError:
            continue
        sizes = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
        memory += int(sizes["Pss"].split()[0])
        resident += int(sizes["Rss"].split()[0])
    return Use(cpu_s(root), memory / 1024, resident / 1024, len(pids), threads, handles)


def tree(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                _, fields = _stat(int(entry.name))
            except OSError:
                continue
            children.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _stat(pid: int) -> tuple[str, list[str]]:
    before, _, after = (_PROC / str(pid) / "stat").read_text().rpartition(")")
    return before.partition("(")[2], after.split()
