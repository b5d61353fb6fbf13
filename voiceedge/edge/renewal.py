"""A reload as seen from outside: asks the running service for it, and tells line by line what becomes of it."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from voiceedge.config import Config
from voiceedge.edge.between import paths
from voiceedge.edge.between.serving import Status, read_status
from voiceedge.errors import ConfigError, VoiceEdgeError

LOOK_S = 0.2
SILENT_S = 90.0  # longest time for a check and for loading models, on a slow machine


class ReloadError(VoiceEdgeError):
    """The service is not there, or gets no further."""


def renew(config: Config, *, until_drained: bool) -> Iterator[str]:
    """Raises ConfigError where the new is refused, ReloadError where there is no service or it cannot go on."""
    before = _status(config)
    number = before["reload"]["number"]
    try:
        os.kill(before["supervisor"], signal.SIGHUP)
    except PermissionError:
        raise ReloadError("The service belongs to another user: run this as root or as that user.") from None
    except ProcessLookupError:
        raise _not_running(config) from None
    said = ""
    heard_at = time.monotonic()
    while True:
        time.sleep(LOOK_S)
        status = _status(config)
        if status["reload"]["number"] <= number:
            if time.monotonic() - heard_at > SILENT_S:
                raise ReloadError("The service does not answer; see its log.")
            continue
        if not Path(f"/proc/{status['supervisor']}").exists():
            raise ReloadError("The service has ended; see its log.")
        line, is_over = _told(status, until_drained=until_drained)
        if line != said:
            said = line
            heard_at = time.monotonic()
            yield line
        if is_over:
            return


def _told(status: Status, *, until_drained: bool) -> tuple[str, bool]:
    """The line to show, and whether it is the last."""
    state, problem = status["reload"]["state"], status["reload"]["problem"]
    workers = [facts for name, facts in status["processes"].items() if name.startswith("worker")]
    old = [facts for facts in workers if facts["draining"]]
    calls = sum(facts.get("calls", 0) for facts in old)
    if state == "refused":
        raise ConfigError(problem)
    if state == "stuck":
        raise ReloadError(f"{problem}\nWhat was there before goes on serving. Mend it and reload again.")
    if state == "done":
        finishing = f"; {len(old)} old workers finish {calls} calls" if old else ""
        return f"done{finishing}", not (old and until_drained)
    new = sum(facts["ready"] and facts["current"] and not facts["draining"] for facts in workers)
    lines = {
        "checking": "checking configuration, plan, flows and code",
        "flows": "done: nothing has changed but what is read in place, such as flows",
        "loading": "loading code and models",
        "replacing": f"{new} new workers in service, {len(old)} old ones finish {calls} calls",
    }
    return lines[state], state == "flows"


def _status(config: Config) -> Status:
    if not (status := read_status(paths.status_file(config))):
        raise _not_running(config)
    return status


def _not_running(config: Config) -> ReloadError:
    return ReloadError(f"No service runs with site.run_dir = {config.site.run_dir}: start it with `voiceedge run`.")
