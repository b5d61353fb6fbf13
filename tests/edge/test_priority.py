"""Who goes first: as far as this machine allows it, and said where it does not."""

import os
import threading

import pytest
from structlog.testing import capture_logs

from voiceedge.edge.between import priority


def in_a_thread(work):
    found = []

    def run():
        work()
        found.append((os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def refuse(*_):
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize(
    ("wanted", "scheduler", "nice"), [("realtime", os.SCHED_RR, None), ("raised", os.SCHED_OTHER, -10)]
)
def test_a_media_thread_goes_first_where_that_is_allowed(wanted, scheduler, nice):
    started = []  # by such a thread, as PJSIP starts its clock
    with capture_logs() as logs:
        prepare = priority.of_media(wanted)
    if logs:
        pytest.skip("this machine does not allow it")
    itself = in_a_thread(lambda: (prepare(), started.append(in_a_thread(int))))
    for found in (itself, *started):
        assert found[0] == scheduler
        assert nice in (None, found[1])


@pytest.mark.parametrize(("wanted", "call"), [("realtime", "sched_setscheduler"), ("raised", "setpriority")])
def test_where_it_is_not_allowed_the_log_says_so_once_and_audio_goes_on(monkeypatch, wanted, call):
    monkeypatch.setattr(os, call, refuse)
    with capture_logs() as logs:
        prepare = priority.of_media(wanted)
        prepare()
        prepare()
    assert [entry["event"] for entry in logs] == ["media_priority_refused"]


def test_normal_asks_for_nothing(monkeypatch):
    monkeypatch.setattr(os, "setpriority", refuse)
    priority.of_media("normal")()


def test_asking_changes_nothing_for_the_one_who_asks():
    before = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)
    for wanted in ("realtime", "raised", "normal"):
        priority.of_media(wanted)
    assert (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)) == before


def test_recognition_steps_back():
    assert in_a_thread(priority.step_back)[1] == priority.STEPPED_BACK
