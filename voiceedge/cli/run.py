"""`voiceedge run`: start the service."""

from pathlib import Path
from typing import Annotated

import typer

from voiceedge import config
from voiceedge.cli import app
from voiceedge.edge import handover
from voiceedge.errors import ConfigError

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="The configuration file.", exists=False)]


@app.command()
def run(config_file: ConfigOption = None) -> None:
    """Answer calls until told to stop (Ctrl-C or SIGTERM); SIGHUP is what `voiceedge reload` sends."""
    if left := handover.take():  # the supervisor has run itself anew, for a reload
        from voiceedge.edge import service  # noqa: PLC0415 - loads the models' libraries, which no other command needs

        raise typer.Exit(service.go_on(left, config_file))
    try:
        settings = config.load(config_file)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(78) from None
    from voiceedge.edge import service  # noqa: PLC0415 - as above

    raise typer.Exit(service.run(settings, config_file))
