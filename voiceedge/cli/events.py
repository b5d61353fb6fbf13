"""`voiceedge events`: follow what happens in conversations, a line an event."""

import asyncio
from collections import defaultdict
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
from voiceedge.context.events.call import (
    AgentStateChanged,
    BridgeEnded,
    BridgeStarted,
    CallAnswered,
    CallEnded,
    CallStarted,
    CallTransferred,
    HandedOver,
    LegEnded,
    OutboundDialled,
    OutboundOrdered,
    OutboundOver,
    OutboundRefused,
    OutboundResult,
    QueueCallBack,
    QueueJoined,
    QueueLeft,
    RecordingDeleted,
    RecordingEnded,
    RecordingStarted,
    StepEntered,
    ToneHeard,
    TurnHeard,
    VoicemailLeft,
)
from voiceedge.context.events.digital import (
    ContextChanged,
    ContinueRefused,
    ConversationClosed,
    ConversationContinued,
    ConversationErased,
    CustomerIdentified,
    InteractionEnded,
    InteractionStarted,
    LinkSent,
    MessageSent,
    NoteAdded,
)
from voiceedge.context.publishing.follow import follow
from voiceedge.context.service import broker_url_file
from voiceedge.errors import VoiceEdgeError

# By type: a label, its style, and what to say of the data.
KINDS = {
    CallStarted.type: ("started", "bold", "{caller} → {called}  ({flow})"),
    CallAnswered.type: ("answered", "green", "after {set_up_ms} ms"),
    ToneHeard.type: ("tone", "yellow", "{tone}"),
    StepEntered.type: ("step", "cyan", "{step}  {says}"),
    TurnHeard.type: ("heard", "yellow", "{transcript}  [{by} {decision} {value} {confidence}]"),
    HandedOver.type: ("handed over", "magenta", "to {channel}: {reason}"),  # its token is for the customer only
    CallTransferred.type: ("transferred", "magenta", "to {target}: {result}"),
    BridgeStarted.type: ("talking", "green", "with {agent}  by {by} {queue}  after {wait_ms} ms"),
    BridgeEnded.type: ("parted", "green", "{agent}  {ended_by}  after {talk_ms} ms"),
    VoicemailLeft.type: ("message", "red", "{mailbox}  {seconds} s  {path}"),
    QueueJoined.type: ("queue", "blue", "{queue}  at {position}"),
    QueueLeft.type: ("left queue", "blue", "{queue}  {reason} {agent}  after {waited_ms} ms"),
    QueueCallBack.type: ("call-back", "blue", "{queue}  {state}"),
    AgentStateChanged.type: ("agent", "blue", "{agent}  {state} {reason} {queue}"),
    RecordingStarted.type: ("recording", "red", "{path}"),
    RecordingEnded.type: ("recorded", "red", "{seconds} s  {error}"),
    RecordingDeleted.type: ("deleted", "red", "{path}  after {age_days} days"),
    OutboundOrdered.type: ("ordered", "magenta", "{campaign} {order}  {number}"),
    OutboundRefused.type: ("refused", "magenta", "{order}  {why}"),
    OutboundDialled.type: ("dialled", "magenta", "{campaign} {order}  {number}  attempt {attempt}"),
    OutboundResult.type: ("result", "magenta", "{order}  {result} {answered_by} {outcome}  again {again_at}"),
    OutboundOver.type: ("order over", "magenta", "{order}  {state}  {why}"),
    InteractionStarted.type: ("visit", "bold", "{channel} {direction}  {interaction}"),
    InteractionEnded.type: ("visit over", "bold", "{channel} {cause}  {outcome}"),
    MessageSent.type: ("message", "yellow", "{by} {agent}: {text}"),
    LinkSent.type: ("link", "magenta", "to {channel} by {via} {address}: {result} {why}"),
    ConversationContinued.type: ("continued", "bold magenta", "by {channel}, {by}  {trust}"),
    ContinueRefused.type: ("kept apart", "magenta", "by {channel}, {by}: {reason}"),
    ContextChanged.type: ("noted", "cyan", "{by}: {intent}"),
    NoteAdded.type: ("note", "cyan", "{by} {to}: {text}"),
    ConversationClosed.type: ("closed", "bold", "{by}: {outcome} {satisfaction}"),
    CustomerIdentified.type: ("customer", "cyan", "{customer_id} by {by}"),
    ConversationErased.type: ("erased", "red", "by {why}"),
    LegEnded.type: ("leg", "dim", "{direction} {role} {agent} {trunk}  {cause} {sip_code} {q850}  MOS {mos}"),
    CallEnded.type: ("ended", "bold", "{cause}  {outcome}  ({duration_ms} ms, {sip_code})"),
}
LABEL_WIDTH = max(len(label) for label, _, _ in KINDS.values())


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
    label, style, template = KINDS.get(event.type, (event.type, "", ""))
    said = defaultdict(str, {name: _plain(value) for name, value in event.data.items()})
    return Text.assemble(
        (f"{event.time.astimezone():%H:%M:%S}  ", "dim"),
        (f"{event.subject[-6:]:<6}  ", "blue"),
        (f"{label:<{LABEL_WIDTH}}  ", style),
        " ".join(template.format_map(said).split()).replace(" ]", "]"),
    )


def _plain(value: object) -> str:
    """Without control characters: what came over the network must not steer the terminal."""
    text = "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
    return "".join(character if character.isprintable() else " " for character in text)
