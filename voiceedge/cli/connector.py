"""`voiceedge connector`: which other systems can be asked, and to ask one with a test value."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from voiceedge.cli import app
from voiceedge.cli.options import EXIT_CONFIG, ConfigOption, JsonOption, settings_of
from voiceedge.clock import RealClock
from voiceedge.connectors.profile import CsvProfile, HttpProfile, Profile, SqlProfile
from voiceedge.connectors.service import Connectors, load_profiles
from voiceedge.connectors.trying import TryOut
from voiceedge.errors import ConfigError

connector_app = typer.Typer(no_args_is_help=True, help="See the connectors to other systems, and try one.")
app.add_typer(connector_app, name="connector")

FileOption = Annotated[Path | None, typer.Option("--file", help="A connectors file; unset: the configuration's.")]
STYLES = {"found": "green", "not_found": "yellow", "error": "red"}


@connector_app.command("list")
def list_(file: FileOption = None, as_json: JsonOption = False, config_file: ConfigOption = None) -> None:
    """Show what there is: whom each asks, what for, and what it finds."""
    path = _file(file, config_file)
    try:
        profiles = load_profiles(path)
    except ConfigError as error:
        raise _refused(error) from None
    if as_json:
        print(json.dumps([_described(name, profile) for name, profile in profiles.items()], ensure_ascii=False))
    else:
        Console(highlight=False).print(_table(profiles))


@connector_app.command("try")
def try_(
    name: Annotated[str, typer.Argument(help="The connector.")],
    value: Annotated[list[str] | None, typer.Option(help="A parameter, as name=value.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Show personal data in full.")] = False,
    file: FileOption = None,
    as_json: JsonOption = False,
    config_file: ConfigOption = None,
) -> None:
    """Really ask, and show what a flow would get. Exit code 0: found, 1: not found, or an error."""
    pairs = [item.partition("=") for item in value or []]
    if wrong := ["".join(pair) for pair in pairs if not pair[0] or not pair[1]]:
        typer.echo(f"--value {wrong[0]}: write it as name=value.", err=True)
        raise typer.Exit(2)
    try:
        connectors = Connectors.load(_file(file, config_file), RealClock())
    except ConfigError as error:
        raise _refused(error) from None
    tried = asyncio.run(_try(connectors, name, {key: text for key, _, text in pairs}))
    if as_json:
        print(json.dumps(_told(tried, show=show), ensure_ascii=False))
    else:
        _print(tried, show=show)
    raise typer.Exit(0 if tried.result == "found" else 1)


async def _try(connectors: Connectors, name: str, values: Mapping[str, str]) -> TryOut:
    async with connectors:
        return await connectors.try_out(name, values)


def _file(file: Path | None, config_file: Path | None) -> Path:
    found = file or settings_of(config_file).connectors.file
    if found is None:
        typer.echo("No connectors: name their file in the configuration, [connectors] file, or by --file.", err=True)
        raise typer.Exit(EXIT_CONFIG)
    return found


def _refused(error: ConfigError) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(EXIT_CONFIG)


def _told(tried: TryOut, *, show: bool) -> dict[str, object]:
    return {
        "connector": tried.name,
        "result": tried.result,
        "took_ms": round(tried.took_ms, 1),
        "kept": tried.kept,
        "explanation": tried.explanation,
        "values": {shown.name: shown.text for shown in tried.values(in_full=show)},
    }


def _print(tried: TryOut, *, show: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    took = "kept from before" if tried.kept else f"{tried.took_ms:.0f} ms"
    result = tried.result.replace("_", " ")
    console.print(f"[bold {STYLES[tried.result]}]{result}[/]  {escape(tried.name)}, {took}")
    if tried.explanation:
        console.print(escape(tried.explanation))
    table = Table(box=None, show_header=False, pad_edge=False)
    for shown in tried.values(in_full=show):
        table.add_row(shown.name, escape("–" if shown.text is None else shown.text), f"[dim]{shown.class_}[/]")
    if table.row_count:
        console.print(table)


def _table(profiles: Mapping[str, Profile]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("connector", "kind", "asks", "by", "finds"):
        table.add_column(column)
    for name, profile in profiles.items():
        finds = ", ".join(f"{value} ({class_})" for value, class_ in profile.classes.items())
        table.add_row(name, profile.kind, escape(_asked(profile)), ", ".join(sorted(profile.parameters)), finds)
    return table


def _described(name: str, profile: Profile) -> dict[str, object]:
    return {
        "name": name,
        "kind": profile.kind,
        "means": profile.means,
        "asks": _asked(profile),
        "parameters": sorted(profile.parameters),
        "found": dict(profile.classes),
    }


def _asked(profile: Profile) -> str:
    """Whom, without any secret: those are in files."""
    match profile:
        case HttpProfile(url=url):
            return url
        case SqlProfile(url=str() as url):
            return url
        case SqlProfile(file=file) | CsvProfile(file=file):
            return str(file)
