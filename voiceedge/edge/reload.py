"""A reload from its request to its end: what is new is checked in a process of its own before anything is touched."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import structlog

from voiceedge.edge import systemd
from voiceedge.edge.pool import Pool

CHECK_S = 60.0

State = Literal["none", "checking", "refused", "flows", "loading", "replacing", "stuck", "done"]
log = structlog.get_logger()


@dataclass(frozen=True)
class Reload:
    """`number` counts the requests; `problem` says why it was refused or is stuck."""

    number: int = 0
    state: State = "none"
    problem: str = ""


class Reloads:
    """The reload under way, if any; a request meanwhile is kept for afterwards.

    `command` checks; `pools_of` gives the pools of a blueprint, or None where they take new code or models.
    """

    def __init__(
        self,
        command: Sequence[str],
        blueprint: dict[str, Any],
        now: Reload,
        pools_of: Callable[[dict[str, Any]], Sequence[Pool] | None],
    ) -> None:
        self.now = now
        self.blueprint = blueprint
        self.pools_of = pools_of
        self._command = command
        self._check: subprocess.Popen[bytes] | None = None
        self._until = 0.0
        self._again = False
        self._answer = b""

    def request(self) -> int | None:
        """A descriptor to read from and hand to `heard`; None where a check is under way already."""
        if self._check:
            self._again = True
            return None
        systemd.notify_reloading()
        self.now = Reload(self.now.number + 1, "checking")
        self._answer = b""
        self._check = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self._until = time.monotonic() + CHECK_S
        assert self._check.stdout  # noqa: S101 - it was asked for
        return self._check.stdout.fileno()

    def abandon(self) -> None:
        """The service stops."""
        if self._check:
            self._check.kill()

    def overdue(self) -> None:
        """End a check that takes too long; its pipe tells the rest."""
        if self._check and time.monotonic() > self._until:
            self._check.kill()

    def heard(self) -> dict[str, Any] | None:
        """Read on. Once all has come: a blueprint that differs from what runs, or None and `now` says the rest."""
        check = self._check
        assert check  # noqa: S101 - whose descriptor was readable
        assert check.stdout  # noqa: S101
        if data := os.read(check.stdout.fileno(), 65536):
            self._answer += data
            return None
        check.stdout.close()
        code, self._check = check.wait(), None
        try:
            verdict = json.loads(self._answer)
        except ValueError:
            verdict = {"problem": f"the check ended with {code}; the log has its last words"}
        if problem := verdict.get("problem") or self._needs_restart(verdict["blueprint"]):
            self.end("refused", problem)
            return None
        blueprint = {**verdict["blueprint"], "inner_port": self.blueprint["inner_port"]}  # a free one, where not fixed
        if blueprint == self.blueprint:
            self.end("flows")
            return None
        self.now = replace(self.now, state="loading")
        return blueprint

    @property
    def checking(self) -> bool:
        return self._check is not None

    def asked_again(self) -> bool:
        again, self._again = self._again, False
        return again

    def end(self, state: State, problem: str = "") -> None:
        self.now = replace(self.now, state=state, problem=problem)
        level = log.error if problem else log.info
        level("reload", **asdict(self.now))
        systemd.notify("READY=1")

    def replace_by(self, blueprint: dict[str, Any]) -> None:
        """With the code and models that are loaded."""
        self.blueprint = blueprint
        self.now = replace(self.now, state="replacing")

    def go_on(self, *, settled: bool) -> None:
        """The request changed nothing but flows; what an earlier one began may not be over."""
        if not settled:
            self.now = replace(self.now, state="replacing")

    def stuck(self, problem: str) -> bool:
        """It gets no further by itself, though it may yet. True where that is news."""
        if self.now.problem == problem:
            return False
        self.end("stuck", problem)
        return True

    def _needs_restart(self, blueprint: dict[str, Any]) -> str:
        ours, theirs = self.blueprint["fixed"], blueprint["fixed"]
        changed = [name for name in ours if ours[name] != theirs[name]]
        if not changed:
            return ""
        return f"{', '.join(changed)}: calls that are up would be lost with this change; restart the service instead."
