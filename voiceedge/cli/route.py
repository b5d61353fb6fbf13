"""`voiceedge route`: where a call would go, and why; `voiceedge route check`: what is wrong with the switch plan."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from voiceedge import config
from voiceedge.cli import app
from voiceedge.clock import Clock, RealClock, VirtualClock
from voiceedge.config import Config
from voiceedge.errors import ConfigError, FlowError, NumberError
from voiceedge.flow.book import FlowBook
from voiceedge.switch import numbers
from voiceedge.switch.checks import check_plan
from voiceedge.switch.guard import Guard, Refusal
from voiceedge.switch.outgoing import Outgoing
from voiceedge.switch.plan import Plan, load_plan
from voiceedge.switch.routing import Incoming, Router

CHECK = "check"


@app.command()
def route(
    number: Annotated[str, typer.Argument(help='The number called; or "check", to examine the plan.')],
    caller: Annotated[str, typer.Option(help="The number that calls; none: anonymous.")] = "",
    trunk: Annotated[str, typer.Option(help="The trunk by which the call comes.")] = "",
    agent: Annotated[str, typer.Option(help="The agent whose phone calls.")] = "",
    out: Annotated[
        bool, typer.Option("--out", help="A call out, such as a flow or agent makes: by which trunks?")
    ] = False,
    at: Annotated[datetime | None, typer.Option(help="When; unset: now. Local time of guard.timezone.")] = None,
    config_file: Annotated[Path | None, typer.Option("--config", "-c", help="The configuration file.")] = None,
) -> None:
    """Tell which route takes a call and why the others do not. Exit code 0: it is taken, 1: refused or broken."""
    try:
        settings = config.load(config_file)
        plan = load_plan(settings.switch.plan)
        if number == CHECK:
            raise typer.Exit(_check(settings, plan))
    except (ConfigError, FlowError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for kind, name, known in (("trunk", trunk, plan.trunks), ("agent", agent, plan.agents)):
        if name and name not in known:
            typer.echo(f"The plan has no {kind} {name}. It has: {', '.join(known) or 'none'}.", err=True)
            raise typer.Exit(2)
    clock: Clock = VirtualClock(at.replace(tzinfo=ZoneInfo(plan.guard.timezone))) if at else RealClock()
    typer.echo(_told(number, plan))
    is_taken = (
        _out(plan, number, agent or caller)
        if out
        else _in(settings, plan, clock, Incoming(number, caller, trunk, agent))
    )
    raise typer.Exit(0 if is_taken else 1)


def _check(settings: Config, plan: Plan) -> int:
    problems = check_plan(plan, FlowBook(settings.flows.dir, settings.flows.values).flows)
    for problem in problems:
        typer.echo(str(problem))
    errors = sum(problem.severity == "error" for problem in problems)
    typer.echo(f"{errors} errors, {len(problems) - errors} warnings" if problems else "All fine.", err=True)
    return 1 if errors else 0


def _told(text: str, plan: Plan) -> str:
    try:
        number = numbers.read(text, plan.numbers)
    except NumberError as error:
        return f"{text}: {error}"
    return f"{text}: {number.kind} number {number.digits}" + (f", {number.e164}" if number.e164 else ", no E.164 form")


def _in(settings: Config, plan: Plan, clock: Clock, call: Incoming) -> bool:
    destination = Router(plan, settings.flows, clock).route(call)
    _list(destination.passed)
    typer.echo(f"→ {destination.kind} {destination.name} ({destination.by})")
    if destination.kind == "number":
        return _out(plan, destination.name, call.agent or call.caller)
    return destination.kind != "reject"


def _out(plan: Plan, number: str, caller: str) -> bool:
    explained = Outgoing(plan, Guard(plan)).explained(number, caller)
    _list(explained.passed)
    if isinstance(explained.outcome, Refusal):
        typer.echo(f"→ refused, {explained.outcome.sip_code}: {explained.outcome.why}")
        return False
    for place, attempt in enumerate(explained.outcome, 1):
        shown = f"showing {attempt.caller_id}" if attempt.caller_id else "showing no number of ours"
        typer.echo(f"→ {place}. {attempt.trunk}: {attempt.uri}, {shown}")
    _list(_limits(plan, [attempt.trunk for attempt in explained.outcome]))
    return True


def _limits(plan: Plan, trunks: list[str]) -> Iterator[str]:
    """What may refuse it all the same, once enough others have called."""
    guard = plan.guard
    yield f"caps: {_cap(guard.calls_per_caller_per_day)} a caller a day, {_cap(guard.calls_per_day)} a day"
    for name in trunks:
        line = plan.trunks[name]
        yield f"caps of {name}: {_cap(line.max_calls)} at once, {_cap(line.calls_per_day)} a day"


def _cap(limit: int | None) -> str:
    return "any number" if limit is None else str(limit)


def _list(lines: Iterator[str] | tuple[str, ...]) -> None:
    for line in lines:
        typer.echo(f"  {line}")
