"""`voiceedge recordings`: what was recorded, and how to listen to it where it is encrypted."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console
from rich.table import Table

from voiceedge import config
from voiceedge.cli import app
from voiceedge.cli.options import ConfigOption, settings_of
from voiceedge.errors import ConfigError, NativeError

recordings = typer.Typer(no_args_is_help=True, help="Recordings of calls, and messages that were left.")
app.add_typer(recordings, name="recordings")

OTHER_COLUMNS = 40
ID_LENGTH = 36  # of a conversation


@recordings.command("list")
def list_(config_file: ConfigOption = None) -> None:
    """List recordings and messages, the newest last."""
    settings = settings_of(config_file)
    table, console = Table("file", "since", "size"), Console()
    for file in sorted(_all(settings), key=lambda file: file.stat().st_mtime):
        facts, name = file.stat(), str(file.relative_to(settings.site.data_dir))
        when = datetime.fromtimestamp(facts.st_mtime, UTC).astimezone()
        size = f"{facts.st_size / 1000:.0f} kB" if facts.st_size else "empty"
        table.add_row(name, f"{when:%Y-%m-%d %H:%M:%S}", size)
        console.width = max(console.width, len(name) + OTHER_COLUMNS)  # a name that is cut cannot be exported
    console.print(table)


@recordings.command()
def export(
    file: Annotated[
        str, typer.Argument(help="As `recordings list` names it, its last part, the conversation, or any sealed file.")
    ],
    to: Annotated[Path, typer.Option(help="Where to write it in the clear.")],
    key: Annotated[Path | None, typer.Option(help="The key it was sealed with; unset: the service's own.")] = None,
    config_file: ConfigOption = None,
) -> None:
    """Decrypt a sealed recording. Whatever is exported is nobody's to delete but yours.

    Exit code 1: it could not be, and there is no new file; or its end is missing, and what there is was written.
    """
    from voiceedge.audio.sealed import EndsEarlyError, load_site_key, unseal  # noqa: PLC0415 - cryptography is slow
    from voiceedge.edge.rooms import keeping  # noqa: PLC0415

    settings = settings_of(config_file)
    try:
        site_key = load_site_key(key or keeping.key_file(settings) or _no_key())
        place = _find(settings, file)
        with _written_whole(to) as draft:
            cut = None
            try:
                for chunk in unseal(site_key, place):
                    draft.write(chunk)
            except EndsEarlyError as error:
                cut = error
        if cut:
            raise cut
    except OSError as error:
        typer.echo(f"{error.filename or to}: {error.strerror}.", err=True)
        raise typer.Exit(1) from None
    except (ConfigError, NativeError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@contextlib.contextmanager
def _written_whole(to: Path) -> Iterator[IO[bytes]]:
    """`to` when the block has ended well, for its owner only; nothing of it otherwise. Raises OSError."""
    if to.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(to))
    with tempfile.NamedTemporaryFile(dir=to.parent, prefix=f".{to.name}-", delete=False) as draft:
        try:
            yield draft
            draft.flush()
            Path(draft.name).rename(to)
        except BaseException:
            Path(draft.name).unlink()
            raise


def _all(settings: config.Config) -> list[Path]:
    return [
        file
        for kind in ("recordings", "voicemail")
        for file in (settings.site.data_dir / kind).rglob("*")
        if file.is_file()
    ]


def _find(settings: config.Config, name: str) -> Path:
    """Raises ConfigError unless it is one file that is meant."""
    for place in (Path(name), settings.site.data_dir / name):
        if place.is_file():
            return place
    found = [file for file in _all(settings) if name == file.name]
    found = found or [file for file in _all(settings) if len(name) == ID_LENGTH and name in file.name]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(f"There is no recording {name}; voiceedge recordings list shows those that are.")
    names = ", ".join(sorted(str(file.relative_to(settings.site.data_dir)) for file in found))
    raise ConfigError(f"{name} may be any of {names}: name one of them.")


def _no_key() -> Path:
    raise ConfigError("There is no key: give --key, or set recording.key_file.")
