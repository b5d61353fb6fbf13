"""`voiceedge front`: who is kept out, phones, carriers and nodes and how they are, and a check of Kamailio's files."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from voiceedge import config
from voiceedge.cli import app
from voiceedge.cli.control import ask
from voiceedge.cli.options import ConfigOption, JsonOption
from voiceedge.edge.between import paths
from voiceedge.errors import VoiceEdgeError

front = typer.Typer(no_args_is_help=True, help="The front (Kamailio): bans, phones, trunks, nodes, and a check.")
app.add_typer(front, name="front")


@front.command()
def bans(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the addresses that are kept out, why, and for how long."""
    answer = _ask(config_file, "bans")
    rows = [(ban["address"], ban["reason"], f"{ban['left_s']} s") for ban in answer["bans"]]
    _show(answer, ("address", "reason", "left"), rows, as_json=as_json)


@front.command()
def unban(
    address: Annotated[str, typer.Argument(help="As `front bans` lists it.")], config_file: ConfigOption = None
) -> None:
    """Lift a ban. Exit code 1: there was none."""
    if not _ask(config_file, "unban", address=address)["lifted"]:
        typer.echo(f"{address} was not banned.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{address} may call again.")


@front.command()
def registrations(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the agents' phones, and where each is reached."""
    answer = _ask(config_file, "registrations")
    rows = [
        (agent["agent"], agent["phone"], contact["address"], f"{contact['expires_s']} s", contact["device"])
        for agent in answer["agents"]
        for contact in agent["contacts"] or [{"address": "not registered", "expires_s": "-", "device": ""}]
    ]
    _show(answer, ("agent", "phone", "at", "expires", "device"), rows, as_json=as_json)


@front.command()
def trunks(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the trunks: whether they answer, whether we are registered there, and their calls."""
    answer = _ask(config_file, "trunks")
    registered = {None: "-", True: "yes", False: "no"}
    rows = [
        (trunk["trunk"], trunk["host"] or "-", trunk["state"], registered[trunk["registered"]],
         f"{trunk['calls']}" + (f" of {trunk['max_calls']}" if trunk["max_calls"] else ""))
        for trunk in answer["trunks"]
    ]  # fmt: skip
    _show(answer, ("trunk", "host", "state", "registered", "calls"), rows, as_json=as_json)


@front.command()
def nodes(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the other nodes' fronts, or the one before this node: whether they answer, and the calls given to them."""
    answer = _ask(config_file, "nodes")
    rows = [(node["address"], node["state"], str(node["calls"])) for node in answer["nodes"]]
    _show(answer, ("node", "state", "calls"), rows, as_json=as_json)


@front.command()
def check(config_file: ConfigOption = None) -> None:
    """Make Kamailio's files from configuration and plan and let Kamailio check them. Exit code 1: it refuses them."""
    from voiceedge.edge.front import kamailio, place  # noqa: PLC0415 - no other command needs them
    from voiceedge.switch.plan import load_plan  # noqa: PLC0415

    try:
        settings = config.load(config_file)
        asyncio.run(kamailio.check(settings, load_plan(settings.switch.plan), place.settle(settings, {})))
    except VoiceEdgeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo("Kamailio takes configuration and plan.")


def _ask(config_file: Path | None, name: str, **body: Any) -> dict[str, Any]:
    return ask(config_file, name, body, socket_of=paths.front_socket)


def _show(answer: dict[str, Any], head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer))
        return
    table = Table(*head)
    for row in rows:
        table.add_row(*map(_plain, row))
    Console().print(table)


def _plain(text: str) -> str:
    """What a phone says of itself must not steer the terminal."""
    return escape("".join(character if character.isprintable() else " " for character in text))
