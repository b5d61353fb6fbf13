"""What the service is doing, for whoever asks: the status file, and the line that systemd shows."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from voiceedge.edge import systemd
from voiceedge.edge.pool import Pool, Process

log = structlog.get_logger()


class StatusFile:
    """JSON, replaced as a whole: no reader ever sees half of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said = ""

    def write(
        self, processes: Sequence[Process], pools: Sequence[Pool], *, ready: bool, reload: dict[str, Any]
    ) -> None:
        current = {pool.name: pool.fingerprint for pool in pools}
        status = {
            "ready": ready,
            "supervisor": os.getpid(),
            "front": "front" in current,
            "reload": reload,
            # One that retires may have the name of its successor, which counts.
            "processes": {
                process.name: {
                    "pid": process.pid,
                    "ready": process.is_ready,
                    "draining": process.retired,
                    "current": process.fingerprint == current.get(process.pool),
                    **process.facts,
                }
                for process in sorted(processes, key=lambda process: not process.retired)
            },
        }
        draft = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(status))
            draft.replace(self._path)
        except OSError as error:
            log.warning("status_not_written", path=str(self._path), reason=error.strerror)
        self._say(processes, ready=ready)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    def _say(self, processes: Sequence[Process], *, ready: bool) -> None:
        workers = [process for process in processes if process.pool == "worker"]
        retired = sum(process.retired for process in workers)
        parts = [_count(sum(process.calls for process in workers), "call"), _count(len(workers) - retired, "worker")]
        if retired:
            parts.append(f"{retired} finishing")
        parts += [f"{process.name} is starting" for process in processes if not process.is_ready][:3]
        said = ", ".join(parts)
        if said != self._said:
            self._said = said
            systemd.notify(*(["READY=1"] if ready else []), f"STATUS={said}")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
