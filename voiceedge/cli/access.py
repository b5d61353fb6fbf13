"""`voiceedge access`: who read or changed what of a customer, and whether that log is whole."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from voiceedge.cli import app
from voiceedge.cli.control import ask
from voiceedge.cli.options import ConfigOption, JsonOption

access_app = typer.Typer(no_args_is_help=True, help="See who read what of customers (docs/context.md).")
app.add_typer(access_app, name="access")

VERIFY_S = 600.0


@access_app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the latest first.")] = 50,
    by: Annotated[str | None, typer.Option(help="Of whom, such as agent:kim.")] = None,
    subject: Annotated[str | None, typer.Option(help="Of what, such as customer:ID.")] = None,
    as_json: JsonOption = False,
    config_file: ConfigOption = None,
) -> None:
    """Show who read or changed what."""
    asked = {"actor": "cli", "limit": limit, "by": by, "subject": subject}
    entries = ask(config_file, "access_list", asked)["entries"]
    if as_json:
        typer.echo(json.dumps(entries, ensure_ascii=False))
        return
    table = Table("time", "who", "did", "with", box=None, header_style="dim", pad_edge=False)
    for entry in entries:
        table.add_row(entry["time"][:19], entry["actor"], entry["action"], entry["subject"])
    Console(highlight=False, markup=False).print(table)


@access_app.command()
def verify(config_file: ConfigOption = None) -> None:
    """Tell whether an entry was changed, deleted or cut off; ends with 1 then."""
    answer = ask(config_file, "access_verify", {"actor": "cli"}, timeout_s=VERIFY_S)
    if answer["problem"]:
        typer.echo(answer["problem"], err=True)
        raise typer.Exit(1)
    typer.echo(f"{answer['entries']} entries, all as they were written")
