"""Answer calls with IVR flows, understand callers, and let conversations move between phone and screen."""

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)

from voiceedge.cli import (  # noqa: E402, F401 - each module adds its commands to the app
    agent,
    audio,
    call,
    calls,
    demo,
    doctor,
    events,
    flow,
    front,
    outbound,
    queue,
    recordings,
    reload,
    route,
    run,
)
