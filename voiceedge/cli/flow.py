"""`voiceedge flow`: check flow files, and try one without a telephone."""

import asyncio
import functools
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.prompt import Prompt

from voiceedge.channels.file import load_channels
from voiceedge.cli import app
from voiceedge.clock import RealClock
from voiceedge.config import Speech
from voiceedge.connectors.answers import Answer, Failed, Found, NotFound
from voiceedge.connectors.service import Connectors, load_profiles
from voiceedge.context.events.call import EventData, StepEntered
from voiceedge.edge.checks.flow_names import outside_of
from voiceedge.errors import ConfigError, FlowError, ModelMissingError
from voiceedge.flow.book import Flows, check_paths, flows_beside
from voiceedge.flow.call import Keyed, NoInput, Question, Reply, TransferResult
from voiceedge.flow.engine import FlowOutcome, FlowRun
from voiceedge.flow.lint import Unspeakable
from voiceedge.flow.look_up import LookUps, Query, Request, SiteLookUps
from voiceedge.flow.problem import errors_in
from voiceedge.flow.simulator import SimulatedCall
from voiceedge.speech.heard import Decision
from voiceedge.switch.plan import load_plan

flow_app = typer.Typer(no_args_is_help=True, help="Check flow files, and try them without a telephone.")
app.add_typer(flow_app, name="flow")

_MOST_SHOWN = 6

ConnectorsOption = Annotated[Path | None, typer.Option("--connectors", help="The site's connectors file.")]
ChannelsOption = Annotated[Path | None, typer.Option("--channels", help="The site's channels file.")]
PlanOption = Annotated[Path | None, typer.Option("--plan", help="The site's switch plan.")]


@flow_app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Flow files, or directories of them.")],
    strict: Annotated[bool, typer.Option(help="Let warnings fail too.")] = False,
    vocabulary: Annotated[bool, typer.Option(help="Hold phrases against the recogniser's vocabulary, if any.")] = True,
    connectors_file: ConnectorsOption = None,
    channels_file: ChannelsOption = None,
    plan_file: PlanOption = None,
) -> None:
    """Tell every problem with its file, line and column. Exit code 0: fine, 1: problems, 2: wrong usage."""
    missing = [str(path) for path in files if not path.exists()]
    if missing:
        typer.echo(f"There is no {', '.join(missing)}. Name flow files or a directory of them.", err=True)
        raise typer.Exit(2)
    try:
        outside = outside_of(
            load_profiles(connectors_file) if connectors_file else None,
            load_channels(channels_file) if channels_file else None,
            load_plan(plan_file) if plan_file else None,
        )
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    problems = check_paths(files, outside=outside)
    if vocabulary and not errors_in(problems):
        problems = check_paths(files, _vocabulary(), outside)
    for problem in problems:
        typer.echo(str(problem))
    errors = len(errors_in(problems))
    warnings = len(problems) - errors
    if problems:
        typer.echo(f"{_count(errors, 'error')}, {_count(warnings, 'warning')}", err=True)
    else:
        typer.echo("All fine.", err=True)
    raise typer.Exit(1 if errors or (strict and warnings) else 0)


def _vocabulary() -> Unspeakable | None:
    """The Korean recogniser's, where its model is installed."""
    from voiceedge.speech.models import vosk_directory  # noqa: PLC0415 - no other command here needs a model
    from voiceedge.speech.streaming import VoskModel  # noqa: PLC0415

    try:
        model = VoskModel(vosk_directory(Speech()))
    except ModelMissingError:
        return None
    return lambda expectation: model.unspeakable(expectation) if expectation.language == "ko" else []


@flow_app.command("try")
def try_(
    file: Annotated[Path, typer.Argument(help="The flow file.", exists=True, dir_okay=False)],
    answer: Annotated[
        str | None, typer.Option(help='What every look-up finds, as JSON; "null" finds nothing. Default: really ask.')
    ] = None,
    setting: Annotated[list[str] | None, typer.Option(help="A setting of the flow, as name=value.")] = None,
    transfer: Annotated[TransferResult, typer.Option(help="What becomes of a transfer.")] = TransferResult.DONE,
    earlier: Annotated[
        list[str] | None, typer.Option(help="A slot of an earlier conversation that is continued, as name=value.")
    ] = None,
    connectors_file: ConnectorsOption = None,
) -> None:
    """Be the caller: type words or keys, nothing to stay silent, /hangup to hang up."""
    try:
        values = dict(_pair(item) for item in setting or [])
        slots = dict(_pair(item) for item in earlier or [])
        fixed = _FixedAnswer.read(answer) if answer is not None else None
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    try:
        connectors = Connectors.load(connectors_file, RealClock())
        flows, name = flows_beside(file, values, outside_of(connectors.profiles if connectors_file else None))
    except (ConfigError, FlowError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    unknown = values.keys() - flows[name].header.settings.keys()
    if unknown:
        typer.echo(f"The flow has no setting {', '.join(sorted(unknown))}. See its settings:", err=True)
        raise typer.Exit(2)
    screen = _Terminal(Console(highlight=False, soft_wrap=True))
    signal.signal(signal.SIGINT, _interrupt)
    read = functools.partial(SimulatedCall, screen.read, screen, transfer=transfer, earlier=slots)
    outcome = asyncio.run(_run(flows, name, screen, fixed, connectors, read))
    screen.ended(outcome)


async def _run(
    flows: Flows,
    name: str,
    screen: "_Terminal",
    fixed: LookUps | None,
    connectors: Connectors,
    new_call: Callable[[], SimulatedCall],
) -> FlowOutcome:
    clock = RealClock()
    async with httpx.AsyncClient() as client, connectors:
        look_ups = fixed or SiteLookUps(client, clock, connectors)
        return await FlowRun(flows, name, new_call(), screen, clock, look_ups).run()


def _interrupt(*_: object) -> None:
    """As Python's own, which asyncio would replace by one that waits for the line to be typed."""
    raise KeyboardInterrupt


class _FixedAnswer:
    """The same answer for every look-up."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    @classmethod
    def read(cls, text: str) -> "_FixedAnswer":
        try:
            values: Any = json.loads(text)
        except ValueError:
            raise ValueError(f'--answer {text}: is not JSON. Write it as \'{{"status": "shipped"}}\'.') from None
        if values is None:
            return cls(NotFound())
        return cls(Found(values) if isinstance(values, dict) else Failed("the answer is not a JSON object"))

    async def ask(self, wish: Request | Query) -> Answer:  # noqa: ARG002
        return self._answer


class _Terminal:
    """Shows a simulated call as it happens, and reads what the caller says. Also its journal."""

    def __init__(self, console: Console) -> None:
        self._console, self._is_terminal = console, sys.stdin.isatty()

    def record(self, event: EventData, conversation: object = None) -> None:  # noqa: ARG002
        if isinstance(event, StepEntered):
            self._console.print(f"[dim]── {event.flow}/{event.step} · {event.kind}[/dim]")

    def said(self, text: str, recording: str | None) -> None:
        mark = " [dim](recording)[/dim]" if recording else ""
        self._console.print(f"[bold cyan]VoiceEdge[/bold cyan]  {escape(text)}{mark}")

    def expects(self, question: Question) -> None:
        phrases: dict[str, str] = {}
        for phrase in question.expectation.phrases:
            phrases.setdefault(phrase.value, phrase.text)
        shown = [f"“{text}”" for text in list(phrases.values())[:_MOST_SHOWN]]
        shown += ["…"] if len(phrases) > _MOST_SHOWN else []
        rule = question.keys
        if rule.longest:
            length = f"{rule.shortest}" if rule.shortest == rule.longest else f"{rule.shortest}-{rule.longest}"
            shown.append(f"{length} digits")
        if rule.single:
            shown.append("keys " + " ".join(sorted(rule.single)))
        self._console.print(f"[dim]             {escape('  '.join(shown))}[/dim]")

    async def read(self, question: Question) -> str | None:  # noqa: ARG002
        """Blocks the loop, in which nothing else runs: so Ctrl-C hangs up at once and not after the next line."""
        if self._is_terminal:
            try:
                prompt = "[bold yellow]Caller   [/bold yellow] "
                return str(Prompt.ask(prompt, console=self._console, default="", show_default=False))
            except (EOFError, KeyboardInterrupt):
                return None
        line = sys.stdin.readline()
        if not line:
            return None
        self._console.print(f"[bold yellow]Caller[/bold yellow]     {escape(line.rstrip()) or '[dim](silence)[/dim]'}")
        return line

    def understood(self, reply: Reply) -> None:
        match reply:
            case NoInput():
                text = "[dim]heard nothing[/dim]"
            case Keyed(keys=keys):
                text = f"[dim]keyed[/dim] {escape(keys)}"
            case heard:
                colour = {Decision.ACCEPT: "green", Decision.CONFIRM: "yellow", Decision.REJECT: "red"}[heard.decision]
                what = f" {escape(heard.value)}" if heard.value else ""
                text = f"[{colour}]{heard.decision}[/{colour}]{what} [dim]({heard.confidence:.0%} sure)[/dim]"
        self._console.print(f"             {text}")

    def noted(self, text: str) -> None:
        self._console.print(f"[magenta]             {escape(text)}[/magenta]")

    def ended(self, outcome: FlowOutcome) -> None:
        slots = ", ".join(f"{name}={slot.masked}" for name, slot in outcome.slots.items())
        self._console.rule(style="dim")
        self._console.print(f"[bold]{escape(outcome.outcome)}[/bold], ended by the {outcome.ended_by}")
        self._console.print(f"[dim]intent {outcome.intent or 'none'} · slots {escape(slots) or 'none'}[/dim]")


def _pair(item: str) -> tuple[str, str]:
    name, separator, value = item.partition("=")
    if not separator or not name:
        raise ValueError(f"{item}: write it as name=value.")
    return name, value


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
