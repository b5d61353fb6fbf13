"""`voiceedge connector`: what there is, and a look-up tried by hand with no service running."""

import json

import pytest
from typer.testing import CliRunner

from voiceedge.cli import app

CONNECTORS = """
[connectors.vips]
kind = "csv"
means = "큰손 고객"
file = "vips.csv"
key = {phone = "phone"}
found = {name = "name", grade = {from = "grade", class = "none"}, contact = "contact"}

[connectors.crm]
kind = "http"
url = "http://127.0.0.1:1/{phone}"
found = {name = "name"}
"""
ROWS = "name,phone,grade,contact\n김하나,010-1234-5678,vip,02-345-6789\n이둘,01022223333,[b],\n"


@pytest.fixture
def connector(tmp_path):
    """Runs the command; its result."""
    (tmp_path / "vips.csv").write_text(ROWS, encoding="utf-8")
    (tmp_path / "connectors.toml").write_text(CONNECTORS, encoding="utf-8")
    config = tmp_path / "voiceedge.toml"
    config.write_text('[connectors]\nfile = "connectors.toml"\n', encoding="utf-8")

    def connector(*arguments, config=config):
        return CliRunner().invoke(app, ["connector", *arguments, "--config", str(config)])

    return connector


def test_the_list_tells_whom_each_asks_by_what_and_what_it_finds(connector):
    shown = connector("list").stdout
    for part in ("vips", "csv", "crm", "http", "phone", "name (personal)"):
        assert part in shown
    listed = json.loads(connector("list", "--json").stdout)
    assert listed[1] == {
        "name": "crm", "kind": "http", "means": "", "asks": "http://127.0.0.1:1/{phone}", "parameters": ["phone"],
        "found": {"name": "personal"},
    }  # fmt: skip


def test_what_is_found_is_shown_masked_unless_it_is_wanted_in_full(connector):
    result = connector("try", "vips", "--value", "phone=+82 10 1234 5678")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("found  vips, ")
    assert "김하나" not in result.stdout
    assert "***6789" in result.stdout
    assert "vip" in result.stdout
    shown = connector("try", "vips", "--value", "phone=01012345678", "--show")
    assert "김하나" in shown.stdout
    told = json.loads(connector("try", "vips", "--value", "phone=01012345678", "--json").stdout)
    assert (told["result"], told["kept"]) == ("found", False)
    assert told["values"] == {"name": "***", "grade": "vip", "contact": "***6789"}


def test_values_are_shown_as_they_are_and_not_as_markup(connector):
    assert "[b]" in connector("try", "vips", "--value", "phone=01022223333").stdout


@pytest.mark.parametrize(("arguments", "told"), [
    (("vips", "--value", "phone=01099999999"), "nobody, and nothing, is known"),
    (("crm", "--value", "phone=01012345678"), "it cannot be reached"),
    (("crm",), "phone is missing; it takes phone"),
    (("erp", "--value", "phone=1"), 'there is no connector "erp"; there are crm, vips'),
])  # fmt: skip
def test_what_goes_wrong_is_told_in_plain_words(connector, arguments, told):
    result = connector("try", *arguments)
    assert result.exit_code == 1
    assert told in result.stdout
    assert "5678" not in result.stdout


def test_a_wrong_option_or_file_says_what_to_write(connector, tmp_path):
    assert connector("try", "crm", "--value", "phone").exit_code == 2
    (tmp_path / "connectors.toml").write_text("[connectors.crm]\nkind = 1\n")
    for arguments in (("list",), ("try", "crm")):
        result = connector(*arguments)
        assert result.exit_code == 78
        assert "connectors.toml:2: connectors.crm.kind" in result.stderr
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    assert "[connectors] file, or by --file" in connector("list", config=empty).stderr


FLOW = """flow: who
language: ko
start: who
slots: {customer: {means: 고객, class: none}}
steps:
  who: {look_up: vips, with: {phone: '{call.caller}'}, into: customer, found: hello, not_found: bye, error: bye}
  hello: {say: "{customer.name}님 {customer.grade}", next: bye}
  bye: {hang_up: 안녕히 가세요}
"""


def test_a_flow_is_tried_with_the_connectors_or_with_an_answer_laid_out(connector, tmp_path):
    flow, file = tmp_path / "who.yaml", tmp_path / "connectors.toml"
    flow.write_text(FLOW, encoding="utf-8")

    def invoke(command, *options):
        return CliRunner().invoke(app, ["flow", command, str(flow), *options], input="")

    tried = invoke("try", "--connectors", str(file))
    assert "김하나님 vip" in tried.stdout
    assert "customer=***" in tried.stdout  # more careful than the flow, as the connector says
    assert "박셋님 일반" in invoke("try", "--answer", '{"name": "박셋", "grade": "일반"}').stdout
    assert "님" not in invoke("try").stdout  # there is none to ask: error
    assert invoke("check", "--connectors", str(file), "--no-vocabulary").exit_code == 0
    flow.write_text(FLOW.replace("vips", "vip"), encoding="utf-8")
    wrong = invoke("check", "--connectors", str(file), "--no-vocabulary")
    assert wrong.exit_code == 1
    assert 'there is no connector "vip". Did you mean "vips"?' in wrong.stdout
    assert 'there is no connector "vip"' in invoke("try", "--connectors", str(file)).stderr
