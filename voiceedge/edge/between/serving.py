"""Who serves on this node, by the supervisor's status file, and links to the workers for whoever has work for them."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voiceedge.config import Config
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import LinkClient

Status = Mapping[str, Any]
Processes = Mapping[str, Mapping[str, Any]]


def read_status(path: Path) -> Status:
    """What the supervisor last wrote; empty where no service runs."""
    try:
        status: Status = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return status


def serving_workers(status: Status) -> Processes:
    """Those that take new calls, by their names."""
    processes: Processes = status.get("processes", {})
    return {
        name: facts
        for name, facts in processes.items()
        if name.startswith("worker-") and facts.get("ready") and not facts.get("draining")
    }


class Workers:
    """The workers that serve, as they are at the moment of asking."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._links: dict[str, LinkClient] = {}

    def serving(self) -> Processes:
        """Those with the fewest calls first."""
        found = serving_workers(read_status(paths.status_file(self._config)))
        return dict(sorted(found.items(), key=lambda worker: (worker[1].get("calls", 0), worker[0])))

    def link(self, name: str) -> LinkClient:
        return self._links.setdefault(name, LinkClient(paths.worker_socket(self._config, name)))

    async def close(self) -> None:
        await asyncio.gather(*(link.close() for link in self._links.values()))
