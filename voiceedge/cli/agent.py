"""`voiceedge agent`: who is there, and log agents in and out, to breaks and back."""

import json
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from voiceedge.cli import app
from voiceedge.cli.control import ask, seconds, share
from voiceedge.cli.options import ConfigOption, JsonOption
from voiceedge.switch.queues.messages import AgentState, AgentView

agent_app = typer.Typer(no_args_is_help=True, help="See agents, log them in and out, to breaks and back.")
app.add_typer(agent_app, name="agent")

Name = Annotated[str, typer.Argument(help="The agent, as the switch plan names them.")]
STYLES = {"available": "green", "ringing": "yellow", "talking": "cyan", "after_call": "blue", "break": "magenta"}


@agent_app.command("list")
def list_agents(as_json: JsonOption = False, config_file: ConfigOption = None) -> None:
    """Show all agents: what they do, since when, and the day's figures."""
    agents = ask(config_file, "agents")["agents"]
    if as_json:
        typer.echo(json.dumps(agents, ensure_ascii=False))
    else:
        Console(highlight=False).print(agent_table(AgentView.model_validate(one) for one in agents))


@agent_app.command()
def login(name: Name, config_file: ConfigOption = None) -> None:
    """Let calls come to the agent's own phone."""
    _change(name, "available", "", config_file)


@agent_app.command()
def logout(name: Name, config_file: ConfigOption = None) -> None:
    """Let no more calls come; a talk goes on to its end."""
    _change(name, "logged_out", "", config_file)


@agent_app.command("break")
def take_break(
    name: Name,
    reason: Annotated[str, typer.Argument(help="What the break is for, such as lunch.")] = "",
    config_file: ConfigOption = None,
) -> None:
    """Let no calls come for a while; a talk goes on to its end."""
    _change(name, "break", reason, config_file)


@agent_app.command()
def back(name: Name, config_file: ConfigOption = None) -> None:
    """End a break or after-call work."""
    _change(name, "available", "", config_file)


def _change(name: str, state: str, reason: str, config_file: ConfigOption) -> None:
    agent = AgentView.model_validate(ask(config_file, "agent_state", {"agent": name, "state": state, "reason": reason}))
    then = f", then {agent.then}" if agent.then else ""
    typer.echo(f"{agent.name}: {_state(agent)}{then}")


def agent_table(agents: Iterable[AgentView]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("agent", "state", "for", "queue", "phone", "handled", "missed", "talk", "after", "occupied"):
        table.add_column(column, no_wrap=True)
    for agent in agents:
        style = STYLES.get(agent.state.value, "dim")
        table.add_row(
            agent.name, Text(_state(agent), style), seconds(agent.since_s), agent.queue or "", agent.phone,
            str(agent.handled), str(agent.missed), seconds(agent.talk_s), seconds(agent.after_call_s),
            share(agent.occupancy),
        )  # fmt: skip
    return table


def _state(agent: AgentView) -> str:
    if agent.on_a_call and agent.state is AgentState.AVAILABLE:
        return "on a call"  # which no queue has brought
    return f"{agent.state.value} ({agent.reason})" if agent.reason else agent.state.value
