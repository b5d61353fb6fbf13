"""One process of the service, seen from inside: how it begins after the fork, and its line to the supervisor."""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from voiceedge.errors import ConfigError

BEAT_S = 2.0
EXIT_CONFIG = 78  # sysexits.h: starting again cannot help

Facts = dict[str, Any]
log = structlog.get_logger()


class Reporter:
    """A process's line to the supervisor: one JSON line for what it tells, an empty one for each heartbeat.

    `seat` counts from 0 and is this process's alone while it lives; `name` is made of it.
    """

    def __init__(self, descriptor: int, name: str, seat: int = 0) -> None:
        self._descriptor = descriptor
        self.name, self.seat = name, seat

    def ready(self, facts: Facts) -> None:
        """From now on it may be given work."""
        self._write(json.dumps({"ready": True, "facts": facts}))

    def tell(self, facts: Facts) -> None:
        """Facts that have changed; a heartbeat too."""
        self._write(json.dumps({"facts": facts}))

    def failed(self, problem: str) -> None:
        self._write(json.dumps({"problem": problem}))

    def beat(self) -> None:
        self._write("")

    async def beat_forever(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self.beat()

    def _write(self, line: str) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._descriptor, line.encode() + b"\n")


Main = Callable[[Reporter, Facts], Coroutine[Any, Any, None]]


def become(
    main: Main, reporter: Reporter, before: Facts, *, parent: int, inherited: Iterable[int], beats_itself: bool
) -> None:
    """The child's whole life; it never returns, as C libraries do not survive the interpreter's own end."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)  # until the process says what they mean
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
        for descriptor in inherited:
            os.close(descriptor)
        _die_with(parent, reporter.name)
        structlog.contextvars.bind_contextvars(process=reporter.name)
        asyncio.run(_live(main, reporter, before, beats_itself=beats_itself))
        code = 0
    except ConfigError as error:
        log.error("settings_wrong", problem=str(error))  # noqa: TRY400 - a message for people, not a trace
        reporter.failed(str(error))
        code = EXIT_CONFIG
    except BaseException as error:
        log.exception("process_failed")
        reporter.failed(f"{type(error).__name__}: see the log")
    finally:
        os._exit(code)


async def _live(main: Main, reporter: Reporter, before: Facts, *, beats_itself: bool) -> None:
    beating = None if beats_itself else asyncio.create_task(reporter.beat_forever())
    work = asyncio.create_task(main(reporter, before))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        if beating:
            beating.cancel()


def _die_with(parent: int, name: str) -> None:
    """Ask the kernel to end this process with the supervisor, and to show its name in `top` (prctl(2))."""
    pr_set_pdeathsig, pr_set_name = 1, 15
    libc = ctypes.CDLL(None)
    libc.prctl(pr_set_pdeathsig, signal.SIGTERM)
    libc.prctl(pr_set_name, f"ve-{name}".encode())
    if os.getppid() != parent:
        os._exit(1)  # it died between the fork and the request
