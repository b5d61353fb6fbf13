"""`voiceedge outbound`: call people by order, see what became of it, and keep a list of who is never called."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from voiceedge.cli import app
from voiceedge.cli.control import ask
from voiceedge.cli.options import ConfigOption, JsonOption
from voiceedge.errors import ConfigError
from voiceedge.switch.outbound.messages import Added, OrderView
from voiceedge.switch.outbound.model import OrderState

outbound_app = typer.Typer(no_args_is_help=True, help="Call people by order (docs/outbound.md).")
list_app = typer.Typer(no_args_is_help=True, help="Numbers that are never called.")
outbound_app.add_typer(list_app, name="do-not-call")
app.add_typer(outbound_app, name="outbound")

BATCH = 500  # orders of one request

Campaign = Annotated[str, typer.Option("--campaign", help="One of the switch plan.")]
OrderId = Annotated[str, typer.Argument(help="As `outbound list` shows it.")]
Numbers = Annotated[list[str], typer.Argument(help="Telephone numbers.")]


@outbound_app.command()
def add(
    number: Annotated[str, typer.Argument(help="Whom to call.")],
    campaign: Campaign,
    order_id: Annotated[str | None, typer.Option("--id", help="Given twice, it is one order.")] = None,
    flow: Annotated[str | None, typer.Option(help="Unset: the campaign's.")] = None,
    value: Annotated[list[str] | None, typer.Option("--value", help="slot=value; once for each slot.")] = None,
    caller_id: Annotated[str | None, typer.Option(help="Which of our numbers is shown.")] = None,
    not_before: Annotated[str | None, typer.Option(help="Such as 2026-11-24T10:00:00+09:00.")] = None,
    until: Annotated[str | None, typer.Option(help="Not called any more from then on.")] = None,
    priority: Annotated[int, typer.Option(min=1, max=9, help="1 first.")] = 5,
    attempts: Annotated[int | None, typer.Option(min=1, help="Calls in all; unset: the campaign's.")] = None,
    conversation: Annotated[str | None, typer.Option(help="The conversation that this continues.")] = None,
    config_file: ConfigOption = None,
) -> None:
    """Order a call. Prints the order's id; exit code 1: refused."""
    order = {
        "id": order_id,
        "number": number,
        "campaign": campaign,
        "flow": flow,
        "values": _values(value or []),
        "caller_id": caller_id,
        "not_before": not_before,
        "until": until,
        "priority": priority,
        "attempts": attempts,
        "conversation": conversation,
    }
    (answer,) = _added(config_file, [order])
    if answer.state == "refused":
        typer.echo(f"Refused: {answer.why}.", err=True)
        raise typer.Exit(1)
    typer.echo(answer.id if answer.state == "added" else f"{answer.id} (known already)")


@outbound_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV with a head: number, and whatever else an order has; see docs.")],
    campaign: Campaign,
    config_file: ConfigOption = None,
) -> None:
    """Order a call for each line of a file. Exit code 1: some were refused, which are listed with their lines."""
    from voiceedge.switch.outbound.importing import read_csv  # noqa: PLC0415 - no other command needs it

    try:
        orders = read_csv(file, campaign)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    answers: list[Added] = []
    for start in range(0, len(orders), BATCH):
        answers += _added(config_file, [order for _, order in orders[start : start + BATCH]])
    for (line, _), answer in zip(orders, answers, strict=True):
        if answer.state == "refused":
            typer.echo(f"{file}:{line}: {answer.why}", err=True)
    counts = {state: sum(answer.state == state for answer in answers) for state in ("added", "known", "refused")}
    typer.echo(f"{counts['added']} added, {counts['known']} known already, {counts['refused']} refused")
    raise typer.Exit(1 if counts["refused"] else 0)


@outbound_app.command("list")
def list_(
    campaign: Annotated[str | None, typer.Option(help="Only this one's.")] = None,
    state: Annotated[OrderState | None, typer.Option(help="Only those that are so.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The latest so many.")] = 50,
    as_json: JsonOption = False,
    config_file: ConfigOption = None,
) -> None:
    """List orders, the latest first; numbers are masked."""
    answer = ask(config_file, "outbound_list", {"campaign": campaign, "state": state, "limit": limit})
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("order", "campaign", "number", "state", "calls", "last", "outcome", "due"):
        table.add_column(column, no_wrap=True)
    for order in map(OrderView.model_validate, answer["orders"]):
        due = f"{order.due_at.astimezone():%Y-%m-%d %H:%M}" if order.state is OrderState.WAITING else ""
        table.add_row(
            order.id, order.campaign, order.number, order.state.value, str(order.tries),
            order.result.value if order.result else "", order.outcome or "", due,
        )  # fmt: skip
    Console(highlight=False).print(table)
    for name in answer["paused"]:
        typer.echo(f"{name or 'Everything'} is paused.")


@outbound_app.command()
def show(order: OrderId, config_file: ConfigOption = None) -> None:
    """Show one order, as JSON."""
    typer.echo(json.dumps(ask(config_file, "outbound_show", {"order": order}), ensure_ascii=False, indent=2))


@outbound_app.command()
def cancel(order: OrderId, config_file: ConfigOption = None) -> None:
    """Call no more for this order; a call that is up goes on."""
    ask(config_file, "outbound_cancel", {"order": order})
    typer.echo(f"{order}: cancelled")


@outbound_app.command()
def pause(
    campaign: Annotated[str, typer.Argument(help="Unset: all of them.")] = "", config_file: ConfigOption = None
) -> None:
    """Place no further calls; those that are up go on."""
    ask(config_file, "outbound_pause", {"campaign": campaign, "paused": True})
    typer.echo(f"{campaign or 'Everything'} is paused.")


@outbound_app.command()
def resume(
    campaign: Annotated[str, typer.Argument(help="Unset: all, but those paused by name.")] = "",
    config_file: ConfigOption = None,
) -> None:
    """Place calls again."""
    ask(config_file, "outbound_pause", {"campaign": campaign, "paused": False})
    typer.echo(f"{campaign or 'Everything'} goes on.")


@list_app.command("add")
def forbid(
    numbers: Numbers,
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
    config_file: ConfigOption = None,
) -> None:
    """Put numbers on the list; they are kept as keyed hashes. Orders for them end when it is their turn."""
    added = ask(config_file, "do_not_call_add", {"numbers": numbers, "reason": reason})["added"]
    typer.echo(f"{added} added")


@list_app.command("list")
def forbidden(as_json: JsonOption = False, config_file: ConfigOption = None) -> None:
    """Show the latest of them, masked."""
    answer = ask(config_file, "do_not_call_list")
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    for entry in answer["numbers"]:
        typer.echo(f"{entry['shown']}  {entry['added_at'][:10]}  {entry['reason']}".rstrip())
    typer.echo(f"{answer['count']} in all")


@list_app.command("remove")
def allow(number: Annotated[str, typer.Argument(help="A telephone number.")], config_file: ConfigOption = None) -> None:
    """Take a number off the list. Exit code 1: it was not on it."""
    if not ask(config_file, "do_not_call_remove", {"number": number})["removed"]:
        typer.echo("It was not on the list.", err=True)
        raise typer.Exit(1)
    typer.echo("It may be called again.")


def _added(config_file: Path | None, orders: list[dict[str, Any]]) -> list[Added]:
    answers = ask(config_file, "outbound_add", {"orders": orders})["orders"]
    return [Added.model_validate(answer) for answer in answers]


def _values(pairs: list[str]) -> dict[str, str]:
    if wrong := [pair for pair in pairs if "=" not in pair]:
        typer.echo(f"--value {wrong[0]}: write slot=value.", err=True)
        raise typer.Exit(2)
    return dict(pair.split("=", 1) for pair in pairs)
