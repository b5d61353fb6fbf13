"""What the service's processes take of the machine (proc(5)), and what room its disk has left."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceedge.config import Config
from voiceedge.edge.between import paths
from voiceedge.edge.between.process_name import stat_fields

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _THREADS = 11, 12, 17  # of `stat_fields`


@dataclass(frozen=True, slots=True)
class Use:
    """Of a process, or of several that are one program; what those share counts once."""

    process: str
    cpu_s: float
    resident_bytes: int
    threads: int


@dataclass(frozen=True, slots=True)
class Machine:
    uses: tuple[Use, ...]
    disk_bytes: int
    disk_free_bytes: int  # for us, who are not root


def look(config: Config, status: Mapping[str, Any]) -> Machine:
    """`status` is the supervisor's. A process that is gone by now is left out."""
    pids = {name: [facts["pid"]] for name, facts in status.get("processes", {}).items()}
    if supervisor := status.get("supervisor"):
        pids["supervisor"] = [supervisor]
    pids["kamailio"] = _kamailio(paths.front_folder(config) / "kamailio.pid")
    uses = (_use(name, its) for name, its in pids.items())
    disk = os.statvfs(config.site.data_dir)
    return Machine(tuple(use for use in uses if use), disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize)


def _kamailio(mark: Path) -> list[int]:
    with suppress(OSError, ValueError):
        main = int(mark.read_text(encoding="ascii"))
        return [main, *map(int, Path(f"/proc/{main}/task/{main}/children").read_text(encoding="ascii").split())]
    return []


def _use(name: str, pids: Iterable[int]) -> Use | None:
    ticks = threads = own = shared = 0
    for pid in pids:
        with suppress(OSError):
            stat = stat_fields(pid)
            resident, its_shared = map(int, Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1:3])
            ticks += int(stat[_UTIME]) + int(stat[_STIME])
            threads += int(stat[_THREADS])
            own += resident - its_shared
            shared = max(shared, its_shared)
    if not threads:
        return None
    return Use(name, ticks / _TICKS_A_SECOND, (own + shared) * _PAGE, threads)
