"""`voiceedge reload`: take new flows, configuration, plan or code without ending a call."""

from typing import Annotated

import typer

from voiceedge import config
from voiceedge.cli import app
from voiceedge.cli.options import ConfigOption
from voiceedge.errors import ConfigError, VoiceEdgeError

DrainedOption = Annotated[bool, typer.Option(help="Wait, too, until the last call on a replaced worker is over.")]


@app.command()
def reload(config_file: ConfigOption = None, drained: DrainedOption = False) -> None:
    """Take new flows, configuration, switch plan or code; what is wrong is told and changes nothing.

    Ends with 0 when all that is new is in service, with 1 when it was refused or does not start.
    """
    from voiceedge.edge import renewal  # noqa: PLC0415 - `voiceedge --help` needs none of it

    try:
        settings = config.load(config_file)
        for line in renewal.renew(settings, until_drained=drained):
            typer.echo(line)
    except ConfigError as error:
        typer.echo(f"refused, nothing was changed:\n{error}", err=True)
        raise typer.Exit(1) from None
    except VoiceEdgeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
