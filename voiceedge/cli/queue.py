"""`voiceedge queue`: who waits where, and how well queues are served."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from voiceedge.cli import app
from voiceedge.cli.agent import agent_table
from voiceedge.cli.control import ask, seconds, share
from voiceedge.cli.options import ConfigOption, JsonOption
from voiceedge.switch.queues.messages import AgentState, QueueDetails, QueueView, TicketState
from voiceedge.switch.queues.rules import AT_WORK

queue_app = typer.Typer(no_args_is_help=True, help="See who waits, and how well queues are served.")
app.add_typer(queue_app, name="queue")

FOLLOW_S = 1.0
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on showing it, until Ctrl-C.")]


@queue_app.command("list")
def list_queues(follow: FollowOption = False, as_json: JsonOption = False, config_file: ConfigOption = None) -> None:
    """Show all queues: how many wait and talk, and the day's figures."""

    def shown() -> RenderableType:
        return queue_table([QueueView.model_validate(one) for one in ask(config_file, "queues")["queues"]])

    if as_json:
        typer.echo(json.dumps(ask(config_file, "queues")["queues"], ensure_ascii=False))
    else:
        _show(shown, follow=follow)


@queue_app.command()
def show(
    name: Annotated[str, typer.Argument(help="The queue.")],
    follow: FollowOption = False,
    as_json: JsonOption = False,
    config_file: ConfigOption = None,
) -> None:
    """Show one queue: its figures, everybody in it in order, and its agents."""

    def shown() -> RenderableType:
        details = QueueDetails.model_validate(ask(config_file, "queue_show", {"queue": name}))
        return Group(queue_table([details.queue]), _spans(details.queue), _places(details), agent_table(details.agents))

    if as_json:
        typer.echo(json.dumps(ask(config_file, "queue_show", {"queue": name}), ensure_ascii=False))
    else:
        _show(shown, follow=follow)


def _show(shown: Callable[[], RenderableType], *, follow: bool) -> None:
    console = Console(highlight=False)
    if not follow:
        console.print(shown())
        return
    with suppress(KeyboardInterrupt), Live(shown(), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(FOLLOW_S)
            live.update(shown(), refresh=True)


def queue_table(queues: Sequence[QueueView]) -> Table:
    table = _table("queue", "waiting", "longest", "expected", "talking", "agents", "handled", "abandoned", "in time")
    for queue in queues:
        at_work = sum(queue.agents.get(state, 0) for state in AT_WORK)
        there = sum(count for state, count in queue.agents.items() if state is not AgentState.LOGGED_OUT)
        back = f" ({queue.call_backs} to call back)" if queue.call_backs else ""
        table.add_row(
            queue.name if queue.open else f"{queue.name} (closed)",
            f"{queue.waiting}{back}", seconds(queue.longest_wait_s), seconds(queue.expected_wait_s),
            str(queue.talking), f"{at_work} of {there}", str(queue.today.handled), str(queue.today.abandoned),
            share(queue.today.service_level),
        )  # fmt: skip
    return table


def _spans(queue: QueueView) -> Table:
    table = _table("", "handled", "abandoned", "overflowed", "called back", "in time", "mean wait", "longest", "talk")
    for name, its in (("15 min", queue.last_15_min), ("60 min", queue.last_hour), ("today", queue.today)):
        table.add_row(
            name, str(its.handled), str(its.abandoned), str(its.overflowed), str(its.called_back),
            share(its.service_level), seconds(its.wait_s), seconds(its.longest_wait_s), seconds(its.talk_s),
        )  # fmt: skip
    return table


def _places(details: QueueDetails) -> Table:
    table = _table("place", "state", "for", "priority", "agent")
    for number, place in enumerate(details.places, 1):
        kind = "to call back" if place.call_back and place.state is TicketState.WAITING else place.state.value
        table.add_row(str(number), kind, seconds(place.waited_s), str(place.priority), ", ".join(place.agents))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table
