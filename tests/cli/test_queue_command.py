"""`voiceedge queue` and `voiceedge agent`, asking a control process's socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import queue_control
from click.testing import Result
from structlog.testing import capture_logs
from typer.testing import CliRunner

from voiceedge import config
from voiceedge.cli import agent, app, queue
from voiceedge.edge.between.link import LinkClient
from voiceedge.switch.queues.messages import AgentView, Place

SETTINGS = """
[site]
data_dir = "data"
run_dir = "run"
[mqtt]
embedded_port = 0
[switch]
plan = "switch.toml"
"""
PLAN = """
[queues.sales]
[agents.kim]
phone = "kim"
queues = ["sales"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    (tmp_path / "switch.toml").write_text(PLAN)
    file = tmp_path / "voiceedge.toml"
    file.write_text(SETTINGS)
    return file


@pytest.fixture
async def control(settings: Path) -> AsyncIterator[LinkClient]:
    loaded = config.load(settings)
    with capture_logs():  # the commands' output is theirs alone
        async with queue_control.control(loaded) as client:
            yield client


async def run(settings: Path, *arguments: str) -> Result:
    return await asyncio.to_thread(
        CliRunner(env={"COLUMNS": "200"}).invoke, app, [*arguments, "--config", str(settings)]
    )


async def test_an_agent_is_logged_in_goes_to_a_break_and_back(settings: Path, control: LinkClient) -> None:
    assert (await run(settings, "agent", "login", "kim")).output == "kim: available\n"
    assert (await run(settings, "agent", "break", "kim", "lunch")).output == "kim: break (lunch)\n"
    assert "break (lunch)" in (await run(settings, "agent", "list")).output
    await run(settings, "agent", "back", "kim")
    assert json.loads((await run(settings, "agent", "list", "--json")).output)[0]["state"] == "available"
    assert (await run(settings, "agent", "logout", "kim")).output == "kim: logged_out\n"


async def test_a_queue_is_shown_with_those_in_it(settings: Path, control: LinkClient) -> None:
    await run(settings, "agent", "break", "kim")
    await control.request("queue_join", {"queue": "sales", "call": "c", "conversation": "c"}, timeout_s=60)
    listed = (await run(settings, "queue", "list")).output
    assert listed.splitlines()[1].split()[:2] == ["sales", "1"]
    shown = (await run(settings, "queue", "show", "sales")).output
    assert "waiting" in shown
    assert "60 min" in shown
    refused = await run(settings, "queue", "show", "care")
    assert (refused.exit_code, refused.output) == (1, "the switch plan has no queue care; it has sales.\n")


async def test_without_a_service_it_is_said(settings: Path) -> None:
    refused = await run(settings, "queue", "list")
    assert refused.exit_code == 1
    assert "control.sock: the process is away" in refused.output


def test_who_talks_is_not_to_be_called_back_any_more_and_who_is_on_the_phone_is_not_free() -> None:
    def place(state: str) -> Place:
        return Place(ticket="t", state=state, waited_s=1.0, priority=5, call_back=True, agents=())

    details = SimpleNamespace(places=(place("waiting"), place("talking")))
    assert list(queue._places(details).columns[1].cells) == ["to call back", "talking"]
    kim = AgentView(name="kim", title="", state="available", since_s=1.0, on_a_call=True)
    (state,) = agent.agent_table([kim]).columns[1].cells
    assert str(state) == "on a call"
