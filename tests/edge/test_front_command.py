"""`voiceedge front`, and what the doctor says of Kamailio."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import structlog
from front_rig import Rig, needs_kamailio, register, until
from typer.testing import CliRunner

from voiceedge.appliance.finding import State
from voiceedge.cli import app
from voiceedge.config import Config, Log
from voiceedge.edge.between import logs
from voiceedge.edge.checks import doctor
from voiceedge.edge.front import kamailio, place
from voiceedge.errors import ConfigError
from voiceedge.switch.plan import Plan

PLAN = """
[agents.mina]
phone = "201"
password_file = "mina"

[trunks.carrier]
host = "127.0.0.9"
addresses = ["127.0.0.9"]
"""


def configured(directory: Path, plan: str, **front: object) -> Path:
    (directory / "mina").write_text("secret\n")
    (directory / "switch.toml").write_text(plan)
    file = directory / "voiceedge.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in front.items()]
    file.write_text(
        f'[site]\ndata_dir = "{directory}/data"\nrun_dir = "{directory}/run"\n[sip]\nhost = "127.0.0.1"\nport = 0\n'
        f'[switch]\nplan = "{directory}/switch.toml"\n[front]\ninner_port = 0\n' + "\n".join(lines) + "\n"
    )
    return file


async def run(*words: str) -> tuple[int, str]:
    """In a thread, as the front answers in this one."""
    result = await asyncio.to_thread(CliRunner(env={"COLUMNS": "120"}).invoke, app, list(words))
    return result.exit_code, result.output


@needs_kamailio
async def test_the_commands_tell_what_the_front_knows(tmp_path: Path) -> None:
    file = configured(tmp_path, PLAN)
    async with Rig(tmp_path, PLAN) as rig, rig.peer("127.0.0.5", "201") as phone:
        assert (await register(phone, rig, "secret")).status == 200
        async with rig.peer("127.0.0.4") as scanner:
            await scanner.invite(rig.uri("1"), headers={"User-Agent": "sipvicious"})
            await until(lambda: rig.said("security", what="banned"))
        words = ("--config", str(file))
        code, said = await run("front", "bans", *words)
        assert code == 0
        assert "127.0.0.4" in said
        assert "scan" in said
        assert (await run("front", "unban", "127.0.0.4", *words)) == (0, "127.0.0.4 may call again.\n")
        assert (await run("front", "unban", "127.0.0.4", *words)) == (1, "127.0.0.4 was not banned.\n")
        code, said = await run("front", "registrations", *words)
        assert f"{phone.host}:{phone.port}" in said
        code, said = await run("front", "trunks", "--json", *words)
        (trunk,) = json.loads(said)["trunks"]
        assert (trunk["trunk"], trunk["host"], trunk["calls"]) == ("carrier", "127.0.0.9", 0)
        assert await run("front", "check", *words) == (0, "Kamailio takes configuration and plan.\n")
        assert (await rig.ask("stats"))["up_s"] >= 0  # the check did not disturb it
    code, said = await run("front", "bans", *words)
    assert code == 1
    assert "front.sock: the process is away" in said


@needs_kamailio
def test_check_tells_what_is_wrong(tmp_path: Path) -> None:
    twice = PLAN + '[trunks.pbx]\ninbound_user = "201"\npassword_file = "mina"\n'
    result = CliRunner().invoke(app, ["front", "check", "-c", str(configured(tmp_path, twice))])
    assert result.exit_code == 1
    assert 'agent mina and trunk pbx have the same user name "201"' in result.output
    (tmp_path / "mina").write_text("\n")
    (tmp_path / "switch.toml").write_text(PLAN)
    result = CliRunner().invoke(app, ["front", "check", "-c", str(tmp_path / "voiceedge.toml")])
    assert "holds no password" in result.output


@needs_kamailio
async def test_what_kamailio_refuses_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Config.model_validate({"site": {"data_dir": tmp_path, "run_dir": tmp_path}, "front": {"inner_port": 0}})
    monkeypatch.setattr(
        kamailio, "render", lambda *_: {"kamailio.cfg": '#!KAMAILIO\nloadmodule "none.so"\nrequest_route { exit; }\n'}
    )
    with pytest.raises(ConfigError, match=r"(?s)does not take.*module <none>"):
        await kamailio.check(settings, Plan(), place.settle(settings, {}))


def test_the_doctor_says_what_is_missing_without_kamailio(tmp_path: Path) -> None:
    base = {"site": {"data_dir": tmp_path, "run_dir": tmp_path}, "sip": {"host": "127.0.0.1"}}
    off = doctor.front(Config.model_validate(base | {"front": {"enabled": False}}))
    assert (off.state, "one worker" in off.what) == (State.FINE, True)
    missing = doctor.front(Config.model_validate(base | {"front": {"program": "no-such-kamailio"}}))
    assert missing.state is State.REDUCED
    assert "apt-get install kamailio" in missing.remedy
    demanded = doctor.front(Config.model_validate(base | {"front": {"program": "no-such-kamailio", "enabled": True}}))
    assert demanded.state is State.BROKEN


@needs_kamailio
def test_the_doctor_names_modules_that_are_missing_and_a_version_that_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Config.model_validate({"site": {"data_dir": tmp_path, "run_dir": tmp_path}, "front": {"enabled": True}})
    assert doctor.front(settings).state is State.FINE
    monkeypatch.setattr(place, "find_modules", lambda _: tmp_path)
    assert "dispatcher" in doctor.front(settings).what
    old = tmp_path / "kamailio"
    old.write_text("#!/bin/sh\necho 'version: kamailio 5.2.1 (x86_64/linux)'\n")
    old.chmod(0o755)
    monkeypatch.undo()
    finding = doctor.front(
        settings.model_copy(update={"front": settings.front.model_copy(update={"program": str(old)})})
    )
    assert finding.state is State.BROKEN
    assert "5.2" in finding.what


PROGRAM = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from voiceedge.clock import RealClock
    from voiceedge.config import load
    from voiceedge.edge.front import process
    from voiceedge.switch.plan import Plan

    class Reporter:
        def ready(self, facts):
            print("ready", flush=True)

    asyncio.run(process.main(load(Path(sys.argv[1])), Plan, RealClock(), Reporter(), {}))
""")


@needs_kamailio
def test_kamailio_ends_with_the_front_however_that_ends(tmp_path: Path) -> None:
    front = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, configured(tmp_path, "")], stdout=subprocess.PIPE, text=True
    )
    assert front.stdout
    while front.stdout.readline() != "ready\n":
        assert front.poll() is None
    leader = int((tmp_path / "run" / "front" / "kamailio.pid").read_text())
    os.kill(front.pid, signal.SIGKILL)
    front.wait()
    deadline = time.monotonic() + 60
    while kamailio._group(leader):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_fail2ban_reads_the_lines_of_the_journal(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        logs.configure(Log(format="json"))
        structlog.contextvars.bind_contextvars(process="front")
        for line in (
            " 4(123) NOTICE: <script>: m4rk security event=banned address=203.0.113.9 reason=flood",
            " 4(123) NOTICE: <script>: m4rk security event=auth_failed address=203.0.113.8 method=REGISTER",
            " 4(123) ERROR: <core> [core/parser/msg_parser.c:337]: parse_headers(): bad To 01012345678",
        ):
            kamailio.tell(line, "m4rk")
    finally:
        structlog.contextvars.clear_contextvars()
        structlog.configure(**before)
    lines = capsys.readouterr().err.splitlines()
    text = (Path(__file__).parents[2] / "systemd" / "fail2ban" / "voiceedge.conf").read_text()
    (pattern,) = re.findall(r"^failregex = (.*)$", text, re.MULTILINE)
    found = [re.search(pattern.replace("<HOST>", r"(?P<host>[\d.]+)"), line) for line in lines]
    assert [match and match["host"] for match in found] == ["203.0.113.9", "203.0.113.8", None]
    assert "01012345678" not in lines[2]


@needs_kamailio
async def test_a_message_that_is_quoted_in_the_log_speaks_for_nobody(tmp_path: Path) -> None:
    """Kamailio logs what it cannot read as it came, new lines and all; fail2ban reads our `security` lines."""
    forged = (
        "\n 4(12) NOTICE: <script>: security event=banned address=203.0.113.9 reason=flood"
        "\n 4(12) NOTICE: <script>: 0123456789abcdef security event=banned address=203.0.113.9 reason=flood"
        "\nsecurity event=x address=1.2.3.4 event=y\n"
    )
    rest = "From: <sip:a@b>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
    async with Rig(tmp_path, front={"flood_per_s": 10}) as rig:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.2", 0))
            sock.connect(("127.0.0.1", rig.facts["sip_port"]))
            sock.send(f"INVITE {rig.uri('x')} SIP/2.0\r\nVia: garbage{forged}\r\n{rest}\r\n".encode())
            await until(lambda: any("garbage" in line.get("said", "") for line in rig.log))
            via = "Via: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bK1"
            for _ in range(400):  # and what it says afterwards is heard
                sock.send(f"OPTIONS {rig.uri('x')} SIP/2.0\r\n{via}\r\n{rest}\r\n".encode())
            await until(lambda: rig.said("security", what="banned"))
        assert {line["address"] for line in rig.said("security")} == {"127.0.0.2"}
