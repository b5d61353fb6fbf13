"""`voiceedge run`: start the service."""

import typer

from voiceedge.cli import app
from voiceedge.cli.options import ConfigOption, settings_of
from voiceedge.edge import handover


@app.command()
def run(config_file: ConfigOption = None) -> None:
    """Answer calls until told to stop (Ctrl-C or SIGTERM); SIGHUP is what `voiceedge reload` sends."""
    if left := handover.take():  # the supervisor has run itself anew, for a reload
        from voiceedge.edge import service  # noqa: PLC0415 - loads the models' libraries, which no other command needs

        raise typer.Exit(service.go_on(left, config_file))
    settings = settings_of(config_file)
    from voiceedge.edge import service  # noqa: PLC0415 - as above

    raise typer.Exit(service.run(settings, config_file))
