"""`voiceedge route`: tells before the call what will become of it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from voiceedge.cli import app

FLOWS = Path(__file__).parents[2] / "ivr_flows"
PLAN = """
[hours.office]
open = [{ from = "09:00", to = "18:00" }]
[trunks.carrier]
host = "198.51.100.10"
own_numbers = ["02-1234-5678"]
max_calls = 30
[queues.support]
[agents.kim]
phone = "201"
queues = ["support"]
[[routes]]
called = "1588-1234"
hours = "office"
queue = "support"
[[routes]]
called = "02-*"
number = "010-9999-8888"
[guard]
allowed = ["112", "119"]
"""


@pytest.fixture
def told(tmp_path):
    (tmp_path / "switch.toml").write_text(PLAN, encoding="utf-8")
    config = tmp_path / "voiceedge.toml"
    config.write_text(f'[flows]\ndir = "{FLOWS}"\n[switch]\nplan = "switch.toml"\n', encoding="utf-8")

    def told(*arguments):
        result = CliRunner().invoke(app, ["route", *arguments, "--config", str(config)])
        return result.exit_code, result.output

    return told


def test_the_route_that_takes_a_call_is_told_and_why_those_before_it_did_not(told):
    code, output = told("1588-1234", "--at", "2026-11-23T10:00:00")
    assert (code, output.splitlines()) == (
        0, ["1588-1234: service number 15881234, no E.164 form", "→ queue support (route 1)"]
    )  # fmt: skip
    code, output = told("1588-1234", "--at", "2026-11-22T10:00:00")
    assert 'route 1: hours "office" are closed until 2026-11-23 09:00' in output
    assert output.splitlines()[-1] == "→ flow retail (flows.default)"


def test_a_route_to_a_number_tells_the_trunks_too(told):
    code, output = told("02-7777-8888")
    assert code == 0
    assert "→ number 010-9999-8888 (route 2)" in output
    assert "→ 1. carrier: sip:01099998888@198.51.100.10:5060;transport=udp, showing 0212345678" in output
    assert "caps of carrier: 30 at once, any number a day" in output


def test_a_call_out_that_is_refused_says_which_setting_did(told):
    code, output = told("--out", "001-1-212-555-1234")
    assert (code, output.splitlines()[-1]) == (1, "→ refused, 403: no prefix of guard.international covers it")
    assert told("--out", "119")[0] == 0


def test_what_an_agent_dials_is_told_as_the_agents_phone_would_have_it(told):
    assert "→ queue support (queue of the plan)" in told("support", "--agent", "kim")[1]
    assert told("support", "--agent", "lee") == (2, "The plan has no agent lee. It has: kim.\n")


def test_check_finds_nothing_or_everything(told, tmp_path):
    assert told("check") == (0, "All fine.\n")
    path = tmp_path / "switch.toml"
    path.write_text(PLAN.replace("02-*", "02-1234-5678").replace('queue = "support"', 'flow = "nothing"'))
    code, output = told("check")
    assert code == 1
    assert 'route 1: there is no flow "nothing".' in output
    path.write_text(PLAN.replace('queue = "support"', 'queue = "suport"'))
    assert "which the plan does not have" in told("check")[1]
