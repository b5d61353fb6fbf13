"""`voiceedge events`: follow what happens in conversations, a line an event."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from voiceedge import config
from voiceedge.bus.client import Broker
from voiceedge.cli import app
from voiceedge.clock import RealClock
from voiceedge.context.cloudevents import CloudEvent
from voiceedge.context.events import (
    CallAnswered,
    CallEnded,
    CallStarted,
    CallTransferred,
    HandedOver,
    StepEntered,
    TurnHeard,
)
from voiceedge.context.follow import follow
from voiceedge.context.service import broker_url_file
from voiceedge.errors import VoiceEdgeError

LABELS = {
    CallStarted.type: ("started", "bold"),
    CallAnswered.type: ("answered", "green"),
    StepEntered.type: ("step", "cyan"),
    TurnHeard.type: ("heard", "yellow"),
    HandedOver.type: ("handed over", "magenta"),
    CallTransferred.type: ("transferred", "magenta"),
    CallEnded.type: ("ended", "bold"),
}
LABEL_WIDTH = max(len(label) for label, _ in LABELS.values())


@app.command()
def events(
    url: Annotated[str | None, typer.Option(help="The broker, mqtt://host:port; else as configured.")] = None,
    config_file: Annotated[Path | None, typer.Option("--config", "-c", help="The configuration file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each CloudEvent as it came, one a line.")] = False,
) -> None:
    """Follow the events as they happen, until Ctrl-C."""
    notes = Console(stderr=True, highlight=False)
    try:
        settings = config.load(config_file)
        asyncio.run(_follow(_broker(url, settings), notes, as_json=as_json))
    except KeyboardInterrupt:
        return
    except VoiceEdgeError as error:
        notes.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None


def _broker(url: str | None, settings: config.Config) -> Broker:
    if url or settings.mqtt.url:
        return Broker.from_url(str(url or settings.mqtt.url), settings.mqtt)
    known = broker_url_file(settings)
    embedded = f"mqtt://{settings.mqtt.embedded_host}:{settings.mqtt.embedded_port or 1883}"
    return Broker.from_url(known.read_text(encoding="utf-8") if known.exists() else embedded, config.Mqtt())


async def _follow(broker: Broker, notes: Console, *, as_json: bool) -> None:
    lines = Console(highlight=False, soft_wrap=True)

    def report(text: str) -> None:
        notes.print(text, style="dim", markup=False)

    async for event in follow(broker, RealClock(), report):
        if as_json:
            print(event.model_dump_json(), flush=True)
        else:
            lines.print(line(event))


def line(event: CloudEvent) -> Text:
    """Local time, the end of the conversation's id, what happened, and what there is to say about it."""
    label, style = LABELS.get(event.type, (event.type, ""))
    return Text.assemble(
        (f"{event.time.astimezone():%H:%M:%S}  ", "dim"),
        (f"{event.subject[-6:]:<6}  ", "blue"),
        (f"{label:<{LABEL_WIDTH}}  ", style),
        _printable(_details(event)),
    )


def _details(event: CloudEvent) -> str:
    def said(name: str) -> str:
        value = event.data.get(name)
        return "" if value is None else str(value)

    match event.type:
        case CallStarted.type:
            return f"{said('caller')} → {said('called')}  ({said('flow')})"
        case CallAnswered.type:
            return f"after {said('set_up_ms')} ms"
        case StepEntered.type:
            return f"{said('step')}  {said('says')}"
        case TurnHeard.type:
            heard = said("transcript") or said("value") or "—"
            sure = f"{event.data['confidence']:.2f}" if isinstance(event.data.get("confidence"), float) else ""
            return f"{heard}  [{' '.join(filter(None, (said('by'), said('decision'), said('value'), sure)))}]"
        case HandedOver.type:
            return f"to {said('channel')}: {said('reason')}"  # the token is for the customer only
        case CallTransferred.type:
            return f"to {said('target')}: {said('result')}"
        case CallEnded.type:
            return f"{said('cause')}  {said('outcome')}  ({said('duration_ms')} ms, {said('sip_code')})"
    return ""


def _printable(text: str) -> str:
    """One line without control characters: what came over the network must not steer the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)
