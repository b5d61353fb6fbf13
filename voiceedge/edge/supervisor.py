"""The parent process: loads what all share once, forks the others, replaces what dies or hangs, and speaks to systemd.

It stays single-threaded and runs no event loop, so that every fork is of the same clean state.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from voiceedge.edge import systemd
from voiceedge.errors import ConfigError

HUNG_S = 15.0  # without a heartbeat; each member beats every BEAT_S
BEAT_S = 2.0
START_S = 120.0  # without a sign of life while starting: models load slowly on a busy machine
FORK_AGAIN_S = 1.0
STOP_S = 10.0  # from the request to stop to the kill
EXIT_CONFIG = 78  # sysexits.h: starting again cannot help

Facts = dict[str, Any]
log = structlog.get_logger()


class Reporter:
    """A member's line to the supervisor: one JSON line when it is ready, an empty one for each heartbeat."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def ready(self, facts: Facts) -> None:
        self._write(json.dumps(facts))

    async def beat_forever(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self._write("")

    def _write(self, line: str) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._descriptor, line.encode() + b"\n")


@dataclass(frozen=True)
class Member:
    """A kind of process. `main` runs in the child until SIGTERM and gets its predecessor's facts (its ports)."""

    name: str
    main: Callable[[Reporter, Facts], Coroutine[Any, Any, None]]
    stop_rank: int = 0  # the lowest are stopped first


@dataclass
class _Running:
    member: Member
    pid: int = 0  # 0: not running
    pipe: int = -1
    facts: Facts = field(default_factory=dict)
    is_ready: bool = False
    pending: bytes = b""
    born: float = 0.0
    last_beat: float = 0.0
    start_at: float = 0.0
    quick_deaths: int = 0


class Supervisor:
    def __init__(self, members: Sequence[Member], status_path: Path) -> None:
        self._running = [_Running(member) for member in members]
        self._status_path = status_path
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._exit_code = 0
        self._announced = False

    def run(self) -> int:
        """Return the exit code when told to stop (SIGTERM, SIGINT) or when a member finds the settings wrong."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake = (wake_read, wake_write)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)  # the wake-up descriptor carries the signal
        self._selector.register(wake_read, selectors.EVENT_READ)
        watchdog = systemd.watchdog_interval_s()
        while not self._stopping:
            self._start_due()
            if watchdog:
                systemd.notify("WATCHDOG=1")
            self._turn(min(self._next_due_s(), watchdog or BEAT_S))
        self._stop_all()
        self._status_path.unlink(missing_ok=True)
        return self._exit_code

    def _start_due(self) -> None:
        for running in self._running:
            if not running.pid and time.monotonic() >= running.start_at:
                try:
                    self._fork(running)
                except OSError as error:  # no memory, handle or process number left: perhaps soon
                    running.start_at = time.monotonic() + FORK_AGAIN_S
                    log.error("process_not_started", process=running.member.name, reason=error.strerror)  # noqa: TRY400

    def _next_due_s(self) -> float:
        waits = [running.start_at - time.monotonic() for running in self._running if not running.pid]
        return max(0.0, min(waits, default=BEAT_S))

    def _turn(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            if key.fd == self._wake[0]:
                self._take_signals()
            elif key.data.pipe == key.fd:  # else it was buried a moment ago
                self._take_report(key.data)
        for running in self._running:
            patience_s = HUNG_S if running.is_ready else START_S
            if running.pid and time.monotonic() - running.last_beat > patience_s:
                log.error("process_hung", process=running.member.name, pid=running.pid, silent_s=patience_s)
                os.kill(running.pid, signal.SIGKILL)
                running.last_beat = time.monotonic()

    def _take_signals(self) -> None:
        for number in os.read(self._wake[0], 64):
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stopping = True
            elif number == signal.SIGHUP:
                systemd.notify_reloading()
                for running in self._running:
                    if running.pid:
                        os.kill(running.pid, signal.SIGHUP)
                systemd.notify("READY=1")
        self._reap()

    def _reap(self) -> None:
        for running in self._running:
            if not running.pid:
                continue
            pid, status = os.waitpid(running.pid, os.WNOHANG)
            if pid:
                self._buried(running, os.waitstatus_to_exitcode(status))

    def _buried(self, running: _Running, code: int) -> None:
        self._selector.unregister(running.pipe)
        os.close(running.pipe)
        lived = time.monotonic() - running.born
        running.pid, running.pipe, running.is_ready, running.pending = 0, -1, False, b""
        if self._stopping:
            return
        if code == EXIT_CONFIG and not self._announced:  # later the others go on, and it is tried again
            self._stopping, self._exit_code = True, EXIT_CONFIG
            return
        running.quick_deaths = running.quick_deaths + 1 if lived < 5 else 0  # noqa: PLR2004 - seconds
        delay = min(10.0, 0.1 * 2 ** (running.quick_deaths - 1)) if running.quick_deaths else 0.0
        running.start_at = time.monotonic() + delay
        self._write_status()
        log.error("process_died", process=running.member.name, code=code, lived_s=round(lived, 1), again_in_s=delay)

    def _take_report(self, running: _Running) -> None:
        data = os.read(running.pipe, 65536)
        running.last_beat = time.monotonic()
        *lines, running.pending = (running.pending + data).split(b"\n")
        for line in lines:
            if line:
                running.facts, running.is_ready = json.loads(line), True
                log.info("process_ready", process=running.member.name, pid=running.pid, **running.facts)
                self._write_status()

    def _write_status(self) -> None:
        everyone = all(running.is_ready for running in self._running)
        status = {
            "ready": everyone,
            "supervisor": os.getpid(),
            "processes": {r.member.name: {"pid": r.pid, "ready": r.is_ready, **r.facts} for r in self._running},
        }
        draft = self._status_path.with_suffix(".new")
        try:
            self._status_path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(status))
            draft.replace(self._status_path)
        except OSError as error:
            log.warning("status_not_written", path=str(self._status_path), reason=error.strerror)
        if everyone and not self._announced:
            self._announced = True
            systemd.notify("READY=1", "STATUS=answering calls")

    def _fork(self, running: _Running) -> None:
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(write, False)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(running.member, Reporter(write), running.facts, parent, self._inherited(read))
        os.close(write)
        now = time.monotonic()
        running.pid, running.pipe, running.born, running.last_beat = pid, read, now, now
        self._selector.register(read, selectors.EVENT_READ, running)

    def _inherited(self, pipe: int) -> list[int]:
        return [pipe, *self._wake, *(other.pipe for other in self._running if other.pid), self._selector.fileno()]

    def _stop_all(self) -> None:
        systemd.notify("STOPPING=1")
        for rank in sorted({running.member.stop_rank for running in self._running}):
            group = [running for running in self._running if running.member.stop_rank == rank]
            self._end(group, signal.SIGTERM, STOP_S)
            self._end(group, signal.SIGKILL, STOP_S)

    def _end(self, group: list[_Running], number: int, within_s: float) -> None:
        for running in group:
            if running.pid:
                os.kill(running.pid, number)
        deadline = time.monotonic() + within_s
        while any(running.pid for running in group) and time.monotonic() < deadline:
            for key, _ in self._selector.select(deadline - time.monotonic()):
                if key.fd == self._wake[0]:
                    os.read(self._wake[0], 64)
                elif key.data.pipe == key.fd:
                    self._take_report(key.data)
            self._reap()


def _become(member: Member, reporter: Reporter, facts: Facts, parent: int, inherited: list[int]) -> None:
    """The child's whole life; it never returns, as C libraries do not survive the interpreter's own end."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the member says what it means
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
        for descriptor in inherited:
            os.close(descriptor)
        _die_with(parent, member.name)
        structlog.contextvars.bind_contextvars(process=member.name)
        asyncio.run(_live(member, reporter, facts))
        code = 0
    except ConfigError as error:
        log.error("settings_wrong", problem=str(error))  # noqa: TRY400 - a message for people, not a trace
        code = EXIT_CONFIG
    except BaseException:
        log.exception("process_failed")
    finally:
        os._exit(code)


async def _live(member: Member, reporter: Reporter, facts: Facts) -> None:
    beating = asyncio.create_task(reporter.beat_forever())
    work = asyncio.create_task(member.main(reporter, facts))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        beating.cancel()


def _die_with(parent: int, name: str) -> None:
    """Ask the kernel to end this process with the supervisor, and to show its name in `top` (prctl(2))."""
    pr_set_pdeathsig, pr_set_name = 1, 15
    libc = ctypes.CDLL(None)
    libc.prctl(pr_set_pdeathsig, signal.SIGTERM)
    libc.prctl(pr_set_name, f"ve-{name}".encode())
    if os.getppid() != parent:
        os._exit(1)  # it died between the fork and the request
