"""`voiceedge recordings`: what was recorded, and how to listen to it where it is encrypted."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from voiceedge import config
from voiceedge.cli import app
from voiceedge.errors import ConfigError, NativeError

recordings = typer.Typer(no_args_is_help=True, help="Recordings of calls, and messages that were left.")
app.add_typer(recordings, name="recordings")

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="The configuration file.", exists=False)]


@recordings.command("list")
def list_(config_file: ConfigOption = None) -> None:
    """List recordings and messages, the newest last."""
    settings = _settings(config_file)
    table = Table("file", "since", "size")
    found = [
        file
        for kind in ("recordings", "voicemail")
        for file in (settings.site.data_dir / kind).rglob("*")
        if file.is_file()
    ]
    for file in sorted(found, key=lambda file: file.stat().st_mtime):
        facts = file.stat()
        when = datetime.fromtimestamp(facts.st_mtime, UTC).astimezone()
        table.add_row(
            str(file.relative_to(settings.site.data_dir)), f"{when:%Y-%m-%d %H:%M:%S}", f"{facts.st_size / 1000:.0f} kB"
        )
    Console().print(table)


@recordings.command()
def export(
    file: Annotated[Path, typer.Argument(help="As `recordings list` names it, or any sealed file.")],
    to: Annotated[Path, typer.Option(help="Where to write it in the clear.")],
    key: Annotated[Path | None, typer.Option(help="The key it was sealed with; unset: the service's own.")] = None,
    config_file: ConfigOption = None,
) -> None:
    """Decrypt a sealed recording. Whatever is exported is nobody's to delete but yours."""
    from voiceedge.audio.sealed import load_site_key, unseal  # noqa: PLC0415 - no other command needs cryptography
    from voiceedge.edge import keeping  # noqa: PLC0415

    settings = _settings(config_file)
    try:
        site_key = load_site_key(key or keeping.key_file(settings) or _no_key())
        place = file if file.exists() else settings.site.data_dir / file
        with contextlib.ExitStack() as cleaning:
            try:
                to.touch(mode=0o600, exist_ok=False)
                out = cleaning.enter_context(to.open("wb"))
                for chunk in unseal(site_key, place):
                    out.write(chunk)
            except OSError as error:
                raise ConfigError(f"{error.filename or to}: {error.strerror}.") from error
    except (ConfigError, NativeError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _no_key() -> Path:
    raise ConfigError("There is no key: give --key, or set recording.key_file.")


def _settings(file: Path | None) -> config.Config:
    try:
        return config.load(file)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(78) from None
