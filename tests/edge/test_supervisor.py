"""The parent process: what dies, hangs or cannot start."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from voiceedge.edge import instance
from voiceedge.errors import ConfigError

PROGRAM = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from voiceedge.edge.between import member
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
    sys.exit(Supervisor(pools, Path(sys.argv[1]), patience=Patience(hung_s=5.0, stop_s=1.0)).run())
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

    def until(self, condition, within_s=90):
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

    def status_now(self):
        return self.until(lambda _: True)

    def stop(self):
        self.process.terminate()
        log, _ = self.process.communicate(timeout=60)
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
    log, _ = service.process.communicate(timeout=60)
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
    log = service.stop()
    assert "SIGTERM" in log
    assert service.process.returncode == 0
    assert gone(pid(status, "steady"))
    assert gone(pid(status, "deaf"))
    assert not service.status.exists()


def test_no_process_outlives_a_killed_supervisor(start):
    service = start("steady")
    status = service.until(lambda status: status["ready"])
    service.process.kill()
    service.process.communicate()
    deadline = time.monotonic() + 60
    while not gone(pid(status, "steady")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(pid(status, "steady"))


RENEWING = textwrap.dedent("""
    import asyncio, json, os, signal, sys, time
    from pathlib import Path
    from voiceedge.edge import handover, instance
    from voiceedge.edge.between import member
    from voiceedge.edge.pool import Pool
    from voiceedge.edge.reload import Reload, Reloads
    from voiceedge.edge.supervisor import Patience, Supervisor

    member.BEAT_S = 0.1
    folder = Path(sys.argv[1])

    def serve(plan):
        async def main(reporter, before):
            if plan["make"] == "bad":
                raise RuntimeError("no such codec")
            loop, gone = asyncio.get_running_loop(), asyncio.Event()
            loop.add_signal_handler(signal.SIGUSR1, lambda: (folder / reporter.name).exists() or gone.set())
            loop.add_signal_handler(signal.SIGHUP, lambda: reporter.tell({"read": before.get("read", 0) + 1}))
            reporter.ready({"make": plan["make"]})
            await gone.wait()

        return main

    left = handover.take()
    if not left:
        instance.claim(folder)
    while left and (folder / "hold").exists():
        time.sleep(0.02)
    plan = left.blueprint if left else json.loads((folder / "plan").read_text())["blueprint"]
    check = [sys.executable, "-c", "import sys; sys.stdout.write(open(sys.argv[1]).read())", str(folder / "plan")]
    def pools_of(plan):
        return [Pool("worker", serve(plan), plan["make"], plan["count"], 6, numbered=True, drain_s=plan["drain_s"])]

    in_place = bool(os.environ.get("IN_PLACE"))
    now = Reload(**left.reload) if left else Reload()
    reloads = Reloads(check, plan, now, lambda plan: pools_of(plan) if in_place else None)
    pools = pools_of(plan)
    adopted = left.processes if left else []
    patience = Patience(hung_s=5.0, stop_s=1.0)
    sys.exit(Supervisor(pools, folder / "status.json", reloads=reloads, adopted=adopted, patience=patience).run())
""")


class Renewed(Service):
    """A supervisor of two workers; each is held from retiring by a file of its name, and its next self by `hold`."""

    def __init__(self, folder, **environment):
        self.status = folder / "status.json"
        self.folder = folder
        self.plan("first")
        command = [sys.executable, "-c", RENEWING, folder]
        log = (folder / "log").open("w")
        environment = {**os.environ, **environment}
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self.until(lambda status: status["ready"])

    def plan(self, make, count=2, drain_s=60.0, front="False"):
        fixed = {"front": front}
        blueprint = {"make": make, "count": count, "drain_s": drain_s, "fixed": fixed, "inner_port": 0}
        (self.folder / "plan").write_text(json.dumps({"blueprint": blueprint}))

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def ended(self, state):
        return self.until(lambda status: status["reload"].get("state") == state)

    @contextlib.contextmanager
    def loading(self):
        """A reload, held while the supervisor's next self loads."""
        (self.folder / "hold").touch()
        self.reload()
        self.ended("loading")
        yield
        (self.folder / "hold").unlink()


@pytest.fixture
def renewed(tmp_path):
    started = []

    def start(**environment):
        started.append(Renewed(tmp_path, **environment))
        return started[-1]

    yield start
    for service in started:
        service.process.kill()
        service.process.wait()


def makes(status):
    return sorted(facts["make"] for facts in status["processes"].values() if facts["ready"] and not facts["draining"])


@pytest.mark.parametrize("way", [{"IN_PLACE": "1"}, {}], ids=["same code", "new code"])
def test_what_is_new_replaces_all_one_by_one_under_the_same_supervisor(renewed, way):
    service = renewed(**way)
    before = service.status_now()
    service.plan("second")
    service.reload()
    after = service.ended("done")
    assert after["supervisor"] == before["supervisor"] == service.process.pid
    assert makes(after) == ["second", "second"]
    service.until(lambda _: all(gone(facts["pid"]) for facts in before["processes"].values()))


def test_the_run_dir_is_its_own_over_its_exec_and_anybodys_once_it_is_killed(renewed, tmp_path):
    service = renewed()
    (service.folder / "worker-1").touch()
    service.plan("second")
    service.reload()
    service.ended("done")
    with pytest.raises(ConfigError, match=f"already running, pid {service.process.pid}"):
        instance.claim(tmp_path)
    child = pid(service.status_now(), "worker-1")
    os.kill(child, signal.SIGSTOP)  # it outlives the supervisor, and yet holds nothing
    service.process.kill()
    service.process.wait()
    claiming = (
        "import sys; from pathlib import Path; from voiceedge.edge import instance; instance.claim(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", claiming, tmp_path], check=True)
    assert not gone(child)
    os.kill(child, signal.SIGKILL)


def test_one_that_has_something_to_finish_goes_on_beside_its_successor(renewed):
    service = renewed()
    before = pid(service.status_now(), "worker-1")
    (service.folder / "worker-1").touch()
    service.plan("second")
    service.reload()
    after = service.ended("done")
    assert makes(after) == ["second", "second"]
    assert after["processes"]["worker-1"]["draining"]
    assert pid(after, "worker-1") == before
    os.kill(before, signal.SIGTERM)
    service.until(lambda status: "worker-1" not in status["processes"])


def test_one_that_takes_too_long_to_finish_is_stopped(renewed):
    service = renewed()
    before = pid(service.status_now(), "worker-1")
    (service.folder / "worker-1").touch()
    service.plan("second", drain_s=0.5)
    service.reload()
    service.ended("done")
    service.until(lambda _: gone(before))


def test_a_reload_without_anything_new_is_read_in_place(renewed):
    service = renewed()
    before = service.status_now()
    service.reload()
    after = service.until(lambda status: all(facts.get("read") for facts in status["processes"].values()))
    assert after["reload"]["state"] == "flows"
    assert pid(after, "worker-1") == pid(before, "worker-1")


def test_what_is_wrong_is_refused_with_its_reason(renewed):
    service = renewed()
    (service.folder / "plan").write_text(json.dumps({"problem": "voiceedge.toml:3: sip.port: too large"}))
    service.reload()
    after = service.ended("refused")
    assert after["reload"]["problem"] == "voiceedge.toml:3: sip.port: too large"
    assert makes(after) == ["first", "first"]


def test_a_check_that_cannot_even_run_is_a_refusal(renewed):
    service = renewed()
    (service.folder / "plan").unlink()
    service.reload()
    assert "the check ended with 1" in service.ended("refused")["reload"]["problem"]


def test_what_only_a_restart_can_change_is_named(renewed):
    service = renewed()
    service.plan("second", front="True")
    service.reload()
    assert service.ended("refused")["reload"]["problem"].startswith("front: calls that are up would be lost")


@pytest.mark.parametrize("way", [{"IN_PLACE": "1"}, {}], ids=["same code", "new code"])
def test_successors_that_die_are_told_and_leave_the_old_ones_in_service(renewed, way):
    service = renewed(**way)
    before = service.status_now()
    service.plan("bad")
    service.reload()
    after = service.ended("stuck")
    assert "worker-3 does not start: RuntimeError" in after["reload"]["problem"]
    for name in ("worker-1", "worker-2"):
        assert pid(after, name) == pid(before, name)
        assert not after["processes"][name]["draining"]
    service.plan("third")
    service.reload()
    assert makes(service.ended("done")) == ["third", "third"]


def test_what_dies_while_the_supervisor_loads_is_replaced_afterwards(renewed):
    service = renewed()
    before = pid(service.status_now(), "worker-1")
    service.plan("second")
    with service.loading():
        os.kill(before, signal.SIGKILL)
    after = service.ended("done")
    assert makes(after) == ["second", "second"]
    assert gone(before)


def test_a_stop_while_the_supervisor_loads_stops_everything(renewed):
    service = renewed()
    before = service.status_now()
    service.plan("second")
    with service.loading():
        service.process.terminate()
    assert service.process.wait(60) == 0
    assert all(gone(facts["pid"]) for facts in before["processes"].values())


def test_a_second_request_while_the_first_is_under_way_is_not_forgotten(renewed):
    service = renewed()
    service.plan("second")
    with service.loading():
        service.plan("third")
        service.reload()
    service.until(lambda status: status["reload"]["number"] == 2 and status["reload"]["state"] == "done")
    assert makes(service.status_now()) == ["third", "third"]


def test_more_and_fewer(renewed):
    service = renewed(IN_PLACE="1")
    before = service.status_now()
    service.plan("first", count=4)
    service.reload()
    assert len(makes(service.ended("done"))) == 4
    service.plan("first", count=1)
    service.reload()
    after = service.until(lambda status: status["reload"]["number"] == 2 and status["reload"]["state"] == "done")
    assert len(makes(after)) == 1
    assert all(pid(after, name) == pid(before, name) for name in before["processes"] if name in after["processes"])
