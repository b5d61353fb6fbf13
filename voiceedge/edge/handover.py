"""The supervisor's memory across its own exec: its children, their pipes, and what it shall be next."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from voiceedge.edge.pool import Process

VARIABLE = "VOICEEDGE_HANDOVER"
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})


@dataclass(frozen=True)
class Handover:
    """`blueprint` is what was found good to be, `reload` the reload under way."""

    processes: list[Process]
    blueprint: dict[str, Any]
    reload: dict[str, Any]


def exec_again(processes: Sequence[Process], blueprint: dict[str, Any], reload: dict[str, Any]) -> NoReturn:
    """Run this program anew with the same arguments, process number and children. Raises OSError if that fails.

    Block SIGNALS first: they come to the next self when it has unblocked them.
    """
    living = [process for process in processes if process.pid]
    said = json.dumps({"processes": list(map(asdict, processes)), "blueprint": blueprint, "reload": reload})
    memory = os.memfd_create("voiceedge-handover", 0)
    try:
        os.write(memory, said.encode())
        os.lseek(memory, 0, os.SEEK_SET)
        for process in living:
            os.set_inheritable(process.pipe, True)
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, VARIABLE: str(memory)})  # noqa: S606 - no shell is wanted
    except OSError:
        for process in living:
            os.set_inheritable(process.pipe, False)
        os.close(memory)
        raise
    raise AssertionError  # execve does not return


def take() -> Handover | None:
    """What a predecessor of the same process number has left, once; None at a first start."""
    found = os.environ.pop(VARIABLE, None)
    if found is None:
        return None
    with open(int(found), "rb") as memory:  # noqa: PTH123 - a descriptor
        said = json.load(memory)
    processes = [Process(**each) for each in said["processes"]]
    for process in processes:
        if process.pid:
            os.set_inheritable(process.pipe, False)
    return Handover(processes, said["blueprint"], said["reload"])
