"""One service at a time in a run_dir: whoever comes second is told so, and touches nothing."""

import fcntl
import os
from pathlib import Path

from voiceedge.errors import ConfigError

LOCK = "lock"


def claim(run_dir: Path) -> None:
    """Hold `run_dir` until this process ends. Raises ConfigError where another does.

    A record lock (fcntl(2)) belongs to the process: it outlives an exec, for which its descriptor stays open, and is
    neither kept by children nor left behind by a kill. Nothing else may open the file here: closing it would let go.
    """
    descriptor = os.open(run_dir / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise ConfigError(
            f"{run_dir}: a service is already running, pid {holder}. Stop it, or give this one another "
            "site.run_dir and site.data_dir."
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    os.set_inheritable(descriptor, True)
