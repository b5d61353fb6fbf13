"""The parent process: what dies, hangs or cannot start."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

PROGRAM = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from voiceedge.edge import member
    from voiceedge.edge.pool import Pool
    from voiceedge.edge.supervisor import Patience, Supervisor
    from voiceedge.errors import ConfigError

    member.BEAT_S = 0.1

    async def steady(reporter, before):
        reporter.ready({"port": before.get("port", 40000) + 1 if before else 40000})
        await asyncio.Event().wait()

    async def wrong(reporter, before):
        raise ConfigError("sip.port: 5060 is taken by another program; choose another port")

    async def short(reporter, before):
        reporter.ready({})

    async def deaf(reporter, before):
        import signal
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
        reporter.ready({})
        await asyncio.Event().wait()

    async def later(reporter, before):
        if before:
            raise ConfigError("retail.yaml:3:5: no such step")
        reporter.ready({"was": "ready"})
        await asyncio.Event().wait()

    pools = [Pool(name, globals()[name.split("-")[0]]) for name in sys.argv[2:]]
    sys.exit(Supervisor(pools, Path(sys.argv[1]), patience=Patience(hung_s=1.0, stop_s=1.0)).run())
""")


class Service:
    def __init__(self, status, *members):
        self.status = status
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, status, *members],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until(self, condition, within_s=15):
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                status = json.loads(self.status.read_text())
            except FileNotFoundError:
                status = {"processes": {}, "ready": False}
            if condition(status):
                return status
            time.sleep(0.02)
        raise AssertionError(f"not within {within_s} s; now {status}")

    def stop(self):
        self.process.terminate()
        log, _ = self.process.communicate(timeout=15)
        return log


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*members):
        started.append(Service(tmp_path / "status.json", *members))
        return started[-1]

    yield start
    for service in started:
        if service.process.poll() is None:
            service.process.kill()
            service.process.communicate()


def pid(status, name):
    return status["processes"][name]["pid"]


def gone(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_killed_process_is_replaced_while_the_other_goes_on(start):
    service = start("steady-a", "steady-b")
    before = service.until(lambda status: status["ready"])
    os.kill(pid(before, "steady-a"), signal.SIGKILL)
    after = service.until(lambda status: status["ready"] and pid(status, "steady-a") != pid(before, "steady-a"))
    assert pid(after, "steady-b") == pid(before, "steady-b")


def test_the_replacement_learns_what_its_predecessor_reported(start):
    service = start("steady")
    before = service.until(lambda status: status["ready"])
    os.kill(pid(before, "steady"), signal.SIGKILL)
    after = service.until(lambda status: status["ready"] and pid(status, "steady") != pid(before, "steady"))
    assert after["processes"]["steady"]["port"] == before["processes"]["steady"]["port"] + 1


def test_a_process_that_hangs_is_replaced(start):
    service = start("steady")
    before = service.until(lambda status: status["ready"])
    os.kill(pid(before, "steady"), signal.SIGSTOP)
    service.until(lambda status: status["ready"] and pid(status, "steady") != pid(before, "steady"))


def test_a_process_that_keeps_dying_is_started_ever_more_slowly(start):
    service = start("short")
    pauses = []
    while len(pauses) < 4:
        pauses += re.findall(r"again_in_s=([\d.]+)", service.process.stdout.readline())
    assert pauses == ["0.1", "0.2", "0.4", "0.8"]


def test_settings_that_cannot_work_end_the_service_with_the_reason(start):
    service = start("steady", "wrong")
    log, _ = service.process.communicate(timeout=15)
    assert service.process.returncode == 78
    assert "choose another port" in log


def test_settings_that_went_wrong_later_do_not_stop_the_others(start):
    service = start("steady", "later")
    before = service.until(lambda status: status["ready"])
    os.kill(pid(before, "later"), signal.SIGKILL)
    while "again_in_s=0.2" not in service.process.stdout.readline():
        pass  # it has been tried twice by then
    assert service.status.exists()
    assert not gone(pid(before, "steady"))


def test_stopping_ends_every_process_even_one_that_does_not_listen(start):
    service = start("steady", "deaf")
    status = service.until(lambda status: status["ready"])
    service.stop()
    assert service.process.returncode == 0
    assert gone(pid(status, "steady"))
    assert gone(pid(status, "deaf"))
    assert not service.status.exists()


def test_no_process_outlives_a_killed_supervisor(start):
    service = start("steady")
    status = service.until(lambda status: status["ready"])
    service.process.kill()
    service.process.communicate()
    deadline = time.monotonic() + 5
    while not gone(pid(status, "steady")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(pid(status, "steady"))
