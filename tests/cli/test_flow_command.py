"""`voiceedge flow try` on a terminal and with lines from a file."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from voiceedge.cli import app

RETAIL = "ivr_flows/retail.yaml"
WAIT_S = 180
NOTHING_S = 2
SHIPPED = '{"status": "shipped", "carrier": "한빛택배", "arrives": "2026-11-24"}'


def try_flow(lines, *options, file=RETAIL):
    return CliRunner().invoke(app, ["flow", "try", file, *options], input=lines)


def test_lines_from_a_file_are_the_caller():
    result = try_flow("배송 조회\n12345#\n아니요\n", "--answer", SHIPPED)
    assert result.exit_code == 0, result.output
    for part in (
        "── retail/menu · ask",
        "accept delivery (100% sure)",
        "keyed 12345",
        "한빛택배를 통해",
        "served, ended by the flow",
    ):
        assert part in result.stdout


def test_when_the_lines_end_the_caller_hangs_up():
    assert "ended by the caller" in try_flow("배송 조회\n").stdout
    assert "ended by the caller" in try_flow("/hangup\n배송 조회\n").stdout


def test_look_ups_can_find_nothing_or_really_be_asked():
    assert "확인되지 않습니다" in try_flow("1\n12345#\n", "--answer", "null").stdout
    assert "불러올 수 없습니다" in try_flow("1\n12345#\n", "--setting", "order_api=http://127.0.0.1:1").stdout


def test_a_transfer_ends_as_told(tmp_path):
    flow = tmp_path / "x.yaml"
    flow.write_text("flow: x\nlanguage: en\nstart: a\nsteps: {a: {transfer: 'sip:a@b', busy: b, failed: c}, "
                    "b: {hang_up: '[b]Busy[/b]'}, c: {hang_up: Bye}}\n", encoding="utf-8")  # fmt: skip
    result = try_flow("", "--transfer", "busy", file=str(flow))
    assert "transfer to sip:a@b: busy" in result.stdout
    assert "[b]Busy[/b]" in result.stdout


def test_a_wrong_flow_shows_its_problems_and_a_wrong_option_what_to_write(tmp_path):
    flow = tmp_path / "x.yaml"
    flow.write_text("flow: x\nlanguage: en\nstart: b\nsteps: {a: {hang_up: Bye}}\n", encoding="utf-8")
    result = try_flow("", file=str(flow))
    assert result.exit_code == 1
    assert f'{flow}:3:8: there is no step "b"' in result.stderr
    assert try_flow("", "--answer", "shipped").exit_code == 2
    assert try_flow("", "--setting", "x").exit_code == 2
    assert "no setting x" in try_flow("", "--setting", "x=1").stderr
    assert try_flow("", file="no/such.yaml").exit_code == 2


@pytest.mark.slow
@pytest.mark.timeout(600)  # of which a fresh clone on a busy machine spends a minute or more on its first imports
def test_on_a_terminal_the_caller_is_prompted_and_ctrl_c_hangs_up():
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "voiceedge", "flow", "try", RETAIL]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        shown = ""
        try:
            shown = _read_until(ours, shown, "Caller")
            os.write(ours, "영업 시간\n".encode())
            shown = _read_until(ours, shown.replace("Caller", ""), "Caller")
            assert "아홉 시부터" in shown
            shown = _read_until(ours, shown, "intent", meanwhile=lambda: process.send_signal(signal.SIGINT))
            assert "ended by the caller" in shown
            assert process.wait(WAIT_S) == 0
        finally:
            process.kill()
            os.close(ours)


def _read_until(terminal: int, shown: str, words: str, meanwhile: Callable[[], None] | None = None) -> str:
    """`meanwhile` is done after each while of nothing: Python's input() loses a Ctrl-C that comes as it begins."""
    seen, deadline = shown.encode(), time.monotonic() + WAIT_S
    while words not in seen.decode(errors="ignore"):
        assert time.monotonic() < deadline, seen.decode(errors="ignore")
        if meanwhile and not select.select([terminal], [], [], NOTHING_S)[0]:
            meanwhile()
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 4096)
    return seen.decode(errors="ignore")


def test_names_are_held_against_channels_and_plan(tmp_path):
    flow, channels, plan = tmp_path / "test.yaml", tmp_path / "channels.toml", tmp_path / "switch.toml"
    flow.write_text(
        "flow: test\nlanguage: ko\nstart: one\nsteps:\n  one: {hand_over: app, reason: 문의, next: two, failed: two}\n"
        "  two: {queue: support, next: end, failed: end}\n  end: {hang_up: 끝}\n",
        encoding="utf-8",
    )
    channels.write_text('[channels.app]\nkind = "api"\n')
    plan.write_text("[queues.support]\n")
    files = ["flow", "check", str(flow), "--no-vocabulary", "--strict"]
    both = [*files, "--channels", str(channels), "--plan", str(plan)]
    assert CliRunner().invoke(app, both).exit_code == 0
    channels.write_text("")
    plan.write_text("[queues.suport]\n")
    told = CliRunner().invoke(app, both).output
    assert 'no channel "app"' in told
    assert 'warning: there is no queue "support". Did you mean "suport"?' in told
