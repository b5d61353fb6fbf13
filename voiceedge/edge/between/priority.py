"""Which threads go first: those that pass audio before all others, recognition after them (sched(7))."""

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Literal

import structlog

Wanted = Literal["realtime", "raised", "normal"]

RAISED = -10  # nice value
REAL_TIME = 5  # of SCHED_RR's 1 to 99: above ordinary work, below what the kernel itself depends on
STEPPED_BACK = 5

_REMEDY = "start by systemd with our unit, or allow it in /etc/security/limits.conf (nice, rtprio)"
log = structlog.get_logger()


def of_media(wanted: Wanted) -> Callable[[], None]:
    """What a thread calls to be scheduled so, as are the threads it starts. Where that is not allowed, the log says so.

    Ask before forking: it is tried in a thread that ends with the trial.
    """
    ways: dict[Wanted, Callable[[], None]] = {"realtime": _real_time, "raised": partial(_nice, RAISED)}
    way = ways.get(wanted)
    if way is None:
        return _as_it_is
    allowed: list[bool] = []
    trial = threading.Thread(target=lambda: allowed.append(_is_allowed(way)))
    trial.start()
    trial.join()
    if allowed == [True]:
        return way
    log.warning("media_priority_refused", wanted=wanted, effect="audio is scheduled like all else", remedy=_REMEDY)
    return _as_it_is


def step_back() -> None:
    """This thread may wait when others have something to do; never refused."""
    _nice(STEPPED_BACK)


def _is_allowed(way: Callable[[], None]) -> bool:
    try:
        way()
    except OSError:
        return False
    return True


def _real_time() -> None:
    os.sched_setscheduler(threading.get_native_id(), os.SCHED_RR, os.sched_param(REAL_TIME))


def _nice(value: int) -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), value)


def _as_it_is() -> None:
    pass
