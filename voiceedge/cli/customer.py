"""`voiceedge customer`: who is known, imported from a table, merged and split, told and forgotten on request."""

import csv
import getpass
import json
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from voiceedge.cli import app
from voiceedge.cli.control import ask
from voiceedge.cli.options import ConfigOption, JsonOption

customer_app = typer.Typer(no_args_is_help=True, help="See customers, and keep them in order (docs/context.md).")
app.add_typer(customer_app, name="customer")

AT_ONCE = 200  # rows of one request
KNOWN_BY = {"external", "phone", "email"}
LONGEST_S = 120.0  # that an export or erasure may take

TenantOption = Annotated[str, typer.Option(help="Whose customers.")]
WhoArgument = Annotated[str, typer.Argument(help="Id of a customer, or a number or address.")]
WhyOption = Annotated[str, typer.Option(help="For the trail.")]


@customer_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV, in UTF-8.")],
    tenant: TenantOption = "main",
    config_file: ConfigOption = None,
) -> None:
    """Take customers from a table with the columns external, phone, email, and any others as attributes.

    The same table again changes nothing. Lines that are wrong are told with their number, and all others taken.
    """
    sums, wrong = {"created": 0, "changed": 0, "same": 0}, 0
    for rows in _portions(file):
        answer = ask(config_file, "customer_import", {**_asked(tenant), "rows": rows})
        for name in sums:
            sums[name] += answer[name]
        for line, why in answer["problems"].items():
            wrong += 1
            typer.echo(f"{file}:{line}: {why}", err=True)
    typer.echo(", ".join(f"{count} {name}" for name, count in [*sums.items(), ("left out", wrong)]))
    if wrong:
        raise typer.Exit(1)


@customer_app.command()
def show(
    who: WhoArgument, tenant: TenantOption = "main", as_json: JsonOption = False, config_file: ConfigOption = None
) -> None:
    """Show a customer, or all who may be known by a number or address, and how they came to be."""
    answer = ask(config_file, "customer_show", {**_asked(tenant), "who": who})
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False))
    elif not answer["customers"]:
        typer.echo("nobody is known by that", err=True)
        raise typer.Exit(1)
    else:
        console = Console(highlight=False)
        for one in answer["customers"]:
            console.print(_table(one))
        for entry in answer["trail"]:
            other = f" {entry['other']}" if entry["other"] else ""
            console.print(
                f"{entry['time'][:19]} {entry['customer']} {entry['action']}{other} by {entry['who']}: {entry['why']}",
                markup=False,
            )


@customer_app.command()
def merge(
    one: Annotated[str, typer.Argument(help="Id of a customer.")],
    other: Annotated[str, typer.Argument(help="Id of another, who is the same person.")],
    why: WhyOption,
    tenant: TenantOption = "main",
    config_file: ConfigOption = None,
) -> None:
    """Make one customer of two; the older one stays. `split` undoes it."""
    asked = {**_asked(tenant), "one": one, "other": other, "why": why}
    typer.echo(ask(config_file, "customer_merge", asked)["customer"])


@customer_app.command()
def split(
    customer: Annotated[str, typer.Argument(help="Id of the one who was merged, as `customer show` tells it.")],
    why: WhyOption,
    tenant: TenantOption = "main",
    config_file: ConfigOption = None,
) -> None:
    """Make somebody else again of who was merged; no rule merges the two any more."""
    asked = {**_asked(tenant), "customer": customer, "why": why}
    typer.echo(f"split from {ask(config_file, 'customer_split', asked)['customer']}")


@customer_app.command()
def export(
    who: WhoArgument,
    output: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="The JSON file to write.")],
    tenant: TenantOption = "main",
    config_file: ConfigOption = None,
) -> None:
    """Write everything that is kept of one person to a file that only you can read."""
    answer = ask(config_file, "customer_export", {**_asked(tenant), "who": who}, timeout_s=LONGEST_S)
    document = json.loads(zlib.decompress(answer["payload"]))
    output.touch(mode=0o600)
    output.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"{len(document['conversations'])} conversations, {len(document['files'])} recordings: {output}")


@customer_app.command()
def erase(
    who: WhoArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    tenant: TenantOption = "main",
    config_file: ConfigOption = None,
) -> None:
    """Forget one person: conversations, recordings, chats, numbers. It cannot be undone."""
    if not yes:
        typer.confirm(f"Forget all that is kept of {who}?", abort=True)
    answer = ask(config_file, "customer_erase", {**_asked(tenant), "who": who}, timeout_s=LONGEST_S)
    typer.echo(f"{answer['conversations']} conversations erased")


def _asked(tenant: str) -> dict[str, Any]:
    return {"tenant": tenant, "actor": f"cli:{getpass.getuser()}"}


def _portions(file: Path) -> Iterator[dict[int, dict[str, str]]]:
    """Rows by line. Ends the command where it is no such table."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, restkey="", restval="")
            if not KNOWN_BY & set(reader.fieldnames or ()):
                typer.echo(f"{file}: its first line must name external, phone or email among the columns", err=True)
                raise typer.Exit(1)
            numbered = ((reader.line_num, row) for row in reader)
            while some := list(islice(numbered, AT_ONCE)):
                yield {
                    line: {name: value for name, value in row.items() if name and isinstance(value, str)}
                    for line, row in some
                }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        typer.echo(f"{file}: {error}: save it as CSV in UTF-8", err=True)
        raise typer.Exit(1) from None


def _table(one: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("customer", one["id"])
    for identity in one["identities"]:
        known = "shown" if identity["verified"] else "only said"
        table.add_row(identity["kind"], f"{identity['value']} ({known}, {identity['source']})")
    for name, value in one["attributes"].items():
        table.add_row(name, value)
    for other in one["merged"]:
        table.add_row("merged", other)
    return table
