"""What commands share: options of the same name and meaning, and the configuration, or the command's end."""

from pathlib import Path
from typing import Annotated

import typer

from voiceedge import config
from voiceedge.errors import ConfigError

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="The configuration file.", exists=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
EXIT_CONFIG = 78  # sysexits.h


def settings_of(file: Path | None) -> config.Config:
    """Ends the command with what is wrong with the file."""
    try:
        return config.load(file)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIG) from None
