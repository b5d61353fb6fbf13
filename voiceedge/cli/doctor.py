"""`voiceedge doctor`: what is wrong with this machine and its settings, and what to do."""

import asyncio
import dataclasses
import json
import logging
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.markup import escape

from voiceedge import config
from voiceedge.appliance.finding import Finding, State
from voiceedge.cli import app
from voiceedge.errors import ConfigError

_MARKS = {State.FINE: "[green]fine   [/]", State.REDUCED: "[yellow]reduced[/]", State.BROKEN: "[bold red]broken [/]"}


@app.command()
def doctor(
    config_file: Annotated[Path | None, typer.Option("--config", "-c", help="The configuration file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Examine ports, models, broker, prompts, flows and machine. Exit code 0: calls can be answered, 1: they cannot."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        findings = asyncio.run(_examine(config.load(config_file), quiet=as_json))
    except ConfigError as error:
        findings = [Finding("configuration", State.BROKEN, str(error), "Correct the file")]
        if not as_json:
            _show(findings[0])
    worst = max((finding.state for finding in findings), key=list(State).index)
    if as_json:
        print(json.dumps({"state": worst, "findings": [dataclasses.asdict(finding) for finding in findings]}))
    else:
        _summarise(findings)
    raise typer.Exit(1 if worst is State.BROKEN else 0)


async def _examine(settings: config.Config, *, quiet: bool) -> list[Finding]:
    from voiceedge.edge.checks import doctor as examination  # noqa: PLC0415 - loads what no other command needs

    findings = []
    async for finding in examination.examine(settings):
        findings.append(finding)
        if not quiet:
            _show(finding)
    return findings


def _show(finding: Finding) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{_MARKS[finding.state]}  {finding.part}: {escape(finding.what)}")
    if finding.remedy:
        console.print(f"         → {escape(finding.remedy)}")


def _summarise(findings: list[Finding]) -> None:
    counts = {state: sum(finding.state is state for finding in findings) for state in State}
    print("\n" + ", ".join(f"{count} {state}" for state, count in counts.items()))
