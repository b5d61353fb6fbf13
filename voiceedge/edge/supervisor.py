"""The parent process: forks the others, replaces what dies or hangs, and renews them one by one.

It stays single-threaded and runs no event loop, so that every fork is of the same clean state.
"""

import contextlib
import json
import os
import selectors
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from voiceedge.edge import handover, systemd
from voiceedge.edge.between.member import BEAT_S, EXIT_CONFIG, Reporter, become
from voiceedge.edge.pool import Pool, Process, free_seat, next_steps
from voiceedge.edge.reload import Reloads
from voiceedge.edge.status import StatusFile

QUICK_S = 5.0  # a process that dies younger is started ever more slowly
SLOWEST_S = 10.0
STUCK_DEATHS = 3  # of a successor, before a reload says that it gets no further
FORK_AGAIN_S = 1.0
STATUS_S = 2.0  # how often the status file follows the number of calls

log = structlog.get_logger()


@dataclass(frozen=True)
class Patience:
    """How long, in seconds, a process may be silent when it is ready, may take to start, and to stop."""

    hung_s: float = 15.0
    start_s: float = 120.0  # models load slowly on a busy machine
    stop_s: float = 10.0


class Supervisor:
    """`adopted` are the children that an older self has left."""

    def __init__(
        self,
        pools: Sequence[Pool],
        status_path: Path,
        *,
        reloads: Reloads | None = None,
        adopted: Sequence[Process] = (),
        patience: Patience | None = None,
    ) -> None:
        self._pools = {pool.name: pool for pool in pools}
        self._status = StatusFile(status_path)
        self._reloads = reloads
        self._patience = patience or Patience()
        self._processes = list(adopted)
        self._known = {process.name: process.facts for process in adopted}  # what was told last under each name
        self._farewells: list[Process] = []  # those to be told that they retire
        self._announced = bool(adopted)
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._exit_code = 0
        self._counted_at = 0.0
        self._news = True  # something that the status file does not say yet
        self._calls_changed = False

    def run(self) -> int:
        """Return the exit code when told to stop (SIGTERM, SIGINT) or when a process finds the settings wrong."""
        self._listen()
        watchdog = systemd.watchdog_interval_s()
        fed = 0.0
        self._reap()
        while not self._stopping:
            self._arrange()
            self._start_due()
            self._end_due()
            self._tell()
            if watchdog and time.monotonic() - fed >= watchdog / 2:
                fed = time.monotonic()
                systemd.notify("WATCHDOG=1")
            self._turn(min(self._next_due_s(), watchdog / 2 if watchdog else BEAT_S))
        self._stop_all()
        self._status.remove()
        log.info("service_stopped", code=self._exit_code)
        return self._exit_code

    def _listen(self) -> None:
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake = (wake_read, wake_write)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in handover.SIGNALS:
            signal.signal(number, lambda *_: None)  # the wake-up descriptor carries the signal
        signal.pthread_sigmask(signal.SIG_UNBLOCK, handover.SIGNALS)
        self._selector.register(wake_read, selectors.EVENT_READ)
        for process in self._processes:
            if process.pid:
                self._selector.register(process.pipe, selectors.EVENT_READ, process)
        if self._processes:
            self._read_again(those_who_stay=True)

    # --- what shall be ---

    def _arrange(self) -> None:
        for process in self._processes:
            if process.pool not in self._pools:
                self._retire(process)
        for pool in self._pools.values():
            steps = next_steps(pool, self._processes)
            for process in steps.retire:
                self._retire(process)
            for _ in range(steps.start):
                seat = free_seat(pool, self._processes)
                process = Process(pool.name, pool.name_of(seat), seat, pool.fingerprint)
                process.facts = dict(self._known.get(process.name, {}))
                self._processes.append(process)
                self._news = True
        self._processes = [process for process in self._processes if process.pid or not process.retired]
        self._follow_reload()

    def _retire(self, process: Process) -> None:
        if process.retired:
            return
        process.retired = self._news = True
        pool = self._pools.get(process.pool)
        process.end_at = time.monotonic()
        if process.is_ready and pool and pool.drain_s is not None:
            process.end_at += pool.drain_s
            self._farewells.append(process)

    def _follow_reload(self) -> None:
        if not self._reloads or self._reloads.now.state not in {"replacing", "stuck"}:
            return
        if self._is_settled():
            self._reloads.end("done")
            self._news = True
        for process in self._processes:
            if process.quick_deaths >= STUCK_DEATHS and not process.is_ready:
                self._news |= self._reloads.stuck(f"{process.name} does not start: {process.problem or 'see the log'}")

    def _is_settled(self) -> bool:
        """Whether all are there and ready, and none that is in service is of another make."""
        staying = [process for process in self._processes if not process.retired]
        return len(staying) == sum(pool.count for pool in self._pools.values()) and all(
            process.is_ready and not self._is_of_another_make(process) for process in staying
        )

    # --- starting and ending ---

    def _start_due(self) -> None:
        for process in self._processes:
            if not process.pid and time.monotonic() >= process.start_at:
                try:
                    self._fork(process)
                except OSError as error:  # no memory, handle or process number left: perhaps soon
                    process.start_at = time.monotonic() + FORK_AGAIN_S
                    log.error("process_not_started", process=process.name, reason=error.strerror)  # noqa: TRY400

    def _fork(self, process: Process) -> None:
        pool = self._pools[process.pool]
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            become(
                pool.main,
                Reporter(write, process.name, process.seat),
                process.facts,
                parent=parent,
                inherited=[read, *self._descriptors()],
                beats_itself=pool.beats_itself,
            )
        os.close(write)
        now = time.monotonic()
        process.pid, process.pipe, process.born, process.last_beat = pid, read, now, now
        process.problem = ""
        self._selector.register(read, selectors.EVENT_READ, process)

    def _descriptors(self) -> list[int]:
        """What a child has no use for."""
        return [*(key.fd for key in self._selector.get_map().values()), self._wake[1], self._selector.fileno()]

    def _end_due(self) -> None:
        now = time.monotonic()
        for process in self._processes:
            if process.pid and process.retired and now >= process.end_at:
                os.kill(process.pid, signal.SIGKILL if process.killing else signal.SIGTERM)
                process.killing, process.end_at = True, now + self._patience.stop_s

    def _next_due_s(self) -> float:
        dues = [process.end_at if process.pid else process.start_at for process in self._processes]
        return max(0.0, min([due - time.monotonic() for due in dues], default=BEAT_S))

    def _buried(self, process: Process, code: int) -> None:
        self._selector.unregister(process.pipe)
        self._take_report(process)  # its last words
        os.close(process.pipe)
        now = time.monotonic()
        lived_s = now - process.born
        was_ready = process.is_ready
        process.pid, process.pipe, process.is_ready, process.pending = 0, -1, False, ""
        process.facts.pop("calls", None)
        self._news = True
        if self._stopping or process.retired:
            log.info("process_ended", process=process.name, code=code)
            return
        if code == EXIT_CONFIG and not self._announced:  # later the others go on, and it is tried again
            self._stopping, self._exit_code = True, EXIT_CONFIG
            log.error("service_stopping", reason=process.problem, process=process.name)
            return
        process.quick_deaths = process.quick_deaths + 1 if lived_s < QUICK_S or not was_ready else 0
        delay_s = min(SLOWEST_S, 0.1 * 2 ** (process.quick_deaths - 1)) if process.quick_deaths else 0.0
        process.start_at = now + delay_s
        log.error("process_died", process=process.name, code=code, lived_s=round(lived_s, 1), again_in_s=delay_s)

    def _stop_all(self) -> None:
        systemd.notify("STOPPING=1")
        if self._reloads:
            self._reloads.abandon()
        ranks = {process.name: self._rank(process) for process in self._processes}
        for rank in sorted(set(ranks.values())):
            group = [process for process in self._processes if ranks[process.name] == rank]
            self._end(group, signal.SIGTERM)
            self._end(group, signal.SIGKILL)

    def _rank(self, process: Process) -> int:
        pool = self._pools.get(process.pool)
        return pool.stop_rank if pool else 0

    def _end(self, group: list[Process], number: int) -> None:
        for process in group:
            if process.pid:
                os.kill(process.pid, number)
        deadline = time.monotonic() + self._patience.stop_s
        while any(process.pid for process in group) and time.monotonic() < deadline:
            self._wait(deadline - time.monotonic())

    # --- what happens ---

    def _turn(self, wait_s: float) -> None:
        self._wait(wait_s)
        now = time.monotonic()
        for process in self._processes:
            silent_s = self._patience.hung_s if process.is_ready else self._patience.start_s
            if process.pid and now - process.last_beat > silent_s:
                log.error("process_hung", process=process.name, pid=process.pid, silent_s=silent_s)
                os.kill(process.pid, signal.SIGKILL)
                process.last_beat = now
        if self._reloads:
            self._reloads.overdue()

    def _wait(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            if key.fd == self._wake[0]:
                self._take_signals()
            elif isinstance(key.data, Reloads):
                self._take_verdict(key.data, key.fd)
            elif key.data.pipe == key.fd:  # else it was buried a moment ago
                self._take_report(key.data)

    def _take_signals(self) -> None:
        for number in os.read(self._wake[0], 64):
            if number in (signal.SIGTERM, signal.SIGINT):
                log.info("service_stopping", reason=signal.Signals(number).name)
                self._stopping = True
            elif number == signal.SIGHUP and not self._stopping:
                self._request_reload()
        self._reap()

    def _reap(self) -> None:
        for process in self._processes:
            if process.pid and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                _, status = os.waitpid(process.pid, 0)
                self._buried(process, os.waitstatus_to_exitcode(status))

    def _take_report(self, process: Process) -> None:
        try:
            data = os.read(process.pipe, 65536)
        except BlockingIOError:  # a child of the dead process holds the other end
            return
        process.last_beat = time.monotonic()
        *lines, process.pending = (process.pending + data.decode()).split("\n")
        for line in filter(None, lines):
            told = json.loads(line)
            process.problem = told.get("problem", "")
            facts = told.get("facts", {})
            self._calls_changed |= "calls" in facts
            self._news |= bool(facts.keys() - {"calls"})
            process.facts |= facts
            self._known[process.name] = process.facts
            if told.get("ready"):
                process.is_ready = self._news = True
                log.info("process_ready", process=process.name, pid=process.pid, **process.facts)

    # --- reloading ---

    def _request_reload(self) -> None:
        if self._reloads is None:
            self._read_again()
        elif descriptor := self._reloads.request():
            self._selector.register(descriptor, selectors.EVENT_READ, self._reloads)
            self._news = True

    def _read_again(self, *, those_who_stay: bool = False) -> None:
        """What a process reads in place: flows, certificates."""
        for process in self._processes:
            if process.pid and not (those_who_stay and self._is_of_another_make(process)):
                os.kill(process.pid, signal.SIGHUP)

    def _is_of_another_make(self, process: Process) -> bool:
        pool = self._pools.get(process.pool)
        return pool is None or process.fingerprint != pool.fingerprint

    def _take_verdict(self, reloads: Reloads, descriptor: int) -> None:
        blueprint = reloads.heard()
        if reloads.checking or self._stopping:
            return
        self._selector.unregister(descriptor)
        self._news = True
        if blueprint and (pools := reloads.pools_of(blueprint)):
            self._pools = {pool.name: pool for pool in pools}
            reloads.replace_by(blueprint)
            self._read_again(those_who_stay=True)
        elif blueprint:
            self._tell()
            self._become(reloads, blueprint)
        elif reloads.now.state == "flows":
            self._read_again()
            reloads.go_on(settled=self._is_settled())
        if reloads.asked_again():
            self._request_reload()

    def _become(self, reloads: Reloads, blueprint: dict[str, Any]) -> None:
        """The next self: it has this process number and these children. Signals wait until it listens."""
        signal.pthread_sigmask(signal.SIG_BLOCK, handover.SIGNALS)
        with contextlib.suppress(BlockingIOError):
            self._take_signals()  # those that came before
        if not self._stopping:
            try:
                handover.exec_again(self._processes, blueprint, asdict(replace(reloads.now, state="replacing")))
            except OSError as error:
                reloads.end("refused", f"the new version could not be started: {error.strerror}")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, handover.SIGNALS)

    # --- telling ---

    def _tell(self) -> None:
        now = time.monotonic()
        if not self._news and not (self._calls_changed and now - self._counted_at >= STATUS_S):
            return
        ready = self._is_ready()
        reload = asdict(self._reloads.now) if self._reloads else {}
        self._status.write(self._processes, list(self._pools.values()), ready=ready, reload=reload)
        if self._news:
            for process in self._processes:
                pool = self._pools.get(process.pool)
                if process.pid and process.is_ready and pool and pool.informed:
                    os.kill(process.pid, signal.SIGUSR1)
        while self._farewells:
            process = self._farewells.pop()
            if process.pid:
                os.kill(process.pid, signal.SIGUSR1)
        self._news, self._calls_changed, self._counted_at = False, False, now
        if ready and not self._announced:
            self._announced = True
            systemd.notify("READY=1")

    def _is_ready(self) -> bool:
        ready = [process.pool for process in self._processes if process.is_ready and not process.retired]
        return all(ready.count(pool.name) >= pool.count for pool in self._pools.values())
