"""Answer calls with IVR flows, understand callers, and let conversations move between phone and screen."""

import importlib
import pkgutil
from typing import Any

import typer
from typer.core import TyperGroup

from voiceedge.config import Log
from voiceedge.edge.between import logs

HELPERS = frozenset({"control", "options"})  # modules that are no command
COMMANDS = tuple(sorted({module.name for module in pkgutil.iter_modules(__path__)} - HELPERS))


class Commands(TyperGroup):
    """Each command is the module of its name, loaded when asked for: none waits for the others' libraries."""

    def list_commands(self, _context: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: Any, name: str) -> Any:
        if name in COMMANDS and name not in self.commands:
            importlib.import_module(f"voiceedge.cli.{name}")
            self.commands.update(typer.main.get_group(app).commands)
        return super().get_command(context, name)


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False
)


@app.callback()
def voiceedge() -> None:
    """Standard output is for what a command says; what goes wrong underneath is told on standard error."""
    logs.configure(Log(level="warning"))
