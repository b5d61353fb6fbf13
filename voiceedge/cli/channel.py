"""`voiceedge channel`: the channels over which conversations go on, and a test message over one of them."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from voiceedge.channels.file import ChannelsFile, Sending, load_channels
from voiceedge.channels.senders.message import Message, NotSentError
from voiceedge.channels.senders.service import address_for, facts, sender_for
from voiceedge.cli import app
from voiceedge.cli.options import EXIT_CONFIG, ConfigOption, JsonOption, settings_of
from voiceedge.clock import RealClock
from voiceedge.context.cloudevents import new_id
from voiceedge.errors import ConfigError

channel_app = typer.Typer(no_args_is_help=True, help="See the channels, and try one (docs/channels.md).")
app.add_typer(channel_app, name="channel")

EXIT_FAILED = 1


@channel_app.command("list")
def list_(as_json: JsonOption = False, config_file: ConfigOption = None) -> None:
    """List the channels of the file."""
    channels = facts(_channels(config_file)[0])
    if as_json:
        typer.echo(json.dumps(channels, ensure_ascii=False))
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("channel", "kind", "link"):
        table.add_column(column, no_wrap=True)
    for one in channels:
        table.add_row(one["name"], one["kind"], one["link"])
    Console(highlight=False).print(table)


@channel_app.command("try")
def try_(
    name: Annotated[str, typer.Argument(help="The channel.")],
    address: Annotated[
        str, typer.Argument(help="Who gets the message: a number, an e-mail address, or what it takes.")
    ],
    language: Annotated[str, typer.Option(help="ko or en.")] = "ko",
    config_file: ConfigOption = None,
) -> None:
    """Send a message like those of flows, with a link that leads nowhere, and say what became of it."""
    channels, site = _channels(config_file)
    settings = channels.sending.get(name)
    if settings is None:
        typer.echo(f'nothing is sent by "{name}"; there are: {", ".join(channels.sending) or "none"}', err=True)
        raise typer.Exit(2)
    to = address_for(settings, address)
    if to is None:
        typer.echo(f"{address}: is no address for {settings.kind}", err=True)
        raise typer.Exit(2)
    try:
        asyncio.run(_send(settings, name, to, language, channels.site or site))
    except NotSentError as error:
        typer.echo(f"not sent: {error}", err=True)
        raise typer.Exit(EXIT_FAILED) from None
    typer.echo("sent")


async def _send(settings: Sending, name: str, to: str, language: str, site: str) -> None:
    clock = RealClock()
    link = (settings.link or "https://talk.example/c#{token}").replace("{token}", "test")
    values = {"site": site, "link": link, "token": "test", "pin": "000000", "minutes": "15"}
    message = Message(new_id(clock), new_id(clock), "test", settings.opens, name, to, language, values)
    async with httpx.AsyncClient(trust_env=False) as client:
        await sender_for(settings, client, clock).send(message)


def _channels(config_file: Path | None) -> tuple[ChannelsFile, str]:
    config = settings_of(config_file)
    try:
        return load_channels(config.channels.file), config.site.name
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIG) from None
