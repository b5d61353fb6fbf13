"""`voiceedge demo`: see a call being answered, understood, and gone on with in a chat and back, all on this machine."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from voiceedge.cli import app
from voiceedge.clock import RealClock
from voiceedge.errors import VoiceEdgeError

if TYPE_CHECKING:
    from voiceedge.edge.demo.play import Line

WHO_WIDTH = 10
PROGRESS_EVERY_S = 5.0


@app.command()
def demo(
    flows: Annotated[Path, typer.Option(help="The flow files.")] = Path("ivr_flows"),
    state: Annotated[Path, typer.Option(help="Where rendered prompts are kept for the next time.")] = Path("var/demo"),
) -> None:
    """Run the service on loopback; a customer who speaks Korean calls, chats and calls. Exit 0: all went well."""
    from voiceedge.edge.demo import play  # noqa: PLC0415 - loads the speech libraries

    screen = DemoScreen(Console(highlight=False, soft_wrap=True))
    try:
        asyncio.run(play.run(play.RETAIL, flows, state.absolute(), screen, RealClock()))
    except* (VoiceEdgeError, TimeoutError) as errors:
        screen.failed(_first(errors))
        raise typer.Exit(1) from None
    screen.summary()


class DemoScreen:
    """The call as a dialogue, with what was understood and published in between."""

    def __init__(self, console: Console) -> None:
        self._console, self._began = console, time.monotonic()
        self._events, self._spoken, self._keyed, self._unsure = 0, 0, 0, 0
        self._calls: list[str] = []
        self._told: Mapping[str, Any] = {}
        self._talk_ms = 0
        self._last_progress = self._began

    def stage(self, text: str) -> None:
        self._print("", text, "dim")

    def progress(self, done: int, of: int) -> None:
        if self._console.is_terminal:
            self._console.print(f"         rendering the prompts, once: {done} of {of}", end="\r", style="dim")
        elif done == of or time.monotonic() - self._last_progress > PROGRESS_EVERY_S:
            self._last_progress = time.monotonic()
            self.stage(f"rendering the prompts, once: {done} of {of}")

    def caller(self, line: "Line") -> None:
        manner = ", interrupting" if line.interrupts else ""
        self._print("caller", f"“{line.says}”" if line.says else f"presses {line.keys}", "bold green", manner)

    def event(self, event: Mapping[str, Any]) -> None:
        self._events += 1
        kind, data = event["type"].removeprefix("voiceedge."), event["data"]
        match kind:
            case "call.started":
                self._calls.append(data["call_id"])
                self._print("event", kind, "magenta")
            case "step.entered" if data["says"]:
                who = "VoiceEdge" if data["call_id"] in self._calls else "chat"
                self._print(who, data["says"], "bold cyan", f"  [{data['flow']}/{data['step']}]")
            case "turn.heard":
                self._heard(data)
            case "call.ended":
                self._talk_ms += data["talk_ms"]
                self._print("event", f"{kind}: {data['cause']}, {data['outcome']}", "magenta")
            case "step.entered":
                self._print("event", f"{kind}: {data['flow']}/{data['step']} ({data['kind']})", "magenta")
            case "conversation.handed_over":
                self._told = data["slots"]
                self._print("event", f"{kind}: to {data['channel']} with {data['slots']}", "magenta")
            case "conversation.continued":
                self._print("event", f"{kind}: by {data['channel']}, {data['by']}, {data['trust']}", "magenta")
            case _:
                self._print("event", kind, "magenta")

    def message(self, text: str) -> None:
        self._print("SMS", text, "bold green")

    def chat(self, told: Mapping[str, Any]) -> None:
        story = Table(show_header=False, box=None, padding=(0, 1))
        for turn in told["story"]:
            story.add_row("caller" if turn["by"] == "caller" else "VoiceEdge", turn["text"])
        self._console.print(Panel(story, title="the web chat opens with", border_style="blue", expand=False))

    def visitor(self, does: str) -> None:
        self._print("customer", does, "bold green")

    def failed(self, error: BaseException) -> None:
        reason = "it took too long" if isinstance(error, TimeoutError) else str(error)
        self._print("failed", reason, "bold red")

    def summary(self) -> None:
        rows = Table(show_header=False, box=None, padding=(0, 1))
        rows.add_row(
            "understood", f"{self._spoken} spoken answers ({self._unsure} confirmed first), {self._keyed} by keys"
        )
        rows.add_row("published", f"{self._events} events, in order, none lost")
        rows.add_row("handed over", f"to the web chat with {len(self._told)} facts, by a link that opened once")
        rows.add_row("continued", "by phone with a code, and nothing was asked twice: one conversation, three visits")
        rows.add_row("talked", f"{self._talk_ms / 1000:.0f} s")
        self._console.print(Panel(rows, title="all went well", border_style="green", expand=False))

    def _heard(self, data: Mapping[str, Any]) -> None:
        if data["by"] == "none":
            self._print("heard", "nothing", "yellow")
            return
        if data["by"] == "keys":
            self._keyed += data["decision"] == "accept"
            self._print("heard", f"keys → {data['value']}", "yellow")
            return
        self._spoken += data["decision"] == "accept"
        self._unsure += data["decision"] == "confirm"
        sureness = f"  ({data['decision']}, {data['confidence']:.0%} sure)"
        self._print("heard", f"“{data['transcript']}” → {data['value']}", "yellow", sureness)

    def _print(self, who: str, what: str, style: str, note: str = "") -> None:
        self._console.print(
            Text.assemble(
                (f"{time.monotonic() - self._began:6.1f}  ", "dim"), (f"{who:<{WHO_WIDTH}}", style), what, (note, "dim")
            )
        )


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
