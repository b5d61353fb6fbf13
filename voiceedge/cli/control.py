"""What commands share that ask the running service over one of its sockets."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import typer
from pydantic import BaseModel

from voiceedge import config
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import LinkClient
from voiceedge.errors import VoiceEdgeError

Answer = TypeVar("Answer", bound=BaseModel)
ANSWER_S = 10.0


def ask(
    config_file: Path | None,
    request: str,
    body: Mapping[str, Any] | None = None,
    *,
    socket_of: Callable[[config.Config], Path] = paths.control_socket,
    timeout_s: float = ANSWER_S,
) -> dict[str, Any]:
    """Ends the command with what is wrong where the service is away or refuses. Bytes are under "payload"."""
    try:
        settings = config.load(config_file)
        return asyncio.run(_ask(socket_of(settings), request, body or {}, timeout_s))
    except VoiceEdgeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


async def _ask(socket: Path, request: str, body: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    client = LinkClient(socket)
    try:
        answer = await client.request(request, body, timeout_s=timeout_s)
    finally:
        await client.close()
    return {key: value for key, value in answer.items() if key != "id" and (key != "payload" or value)}


def seconds(value: float | None) -> str:
    """As people read it: 0:07, 12:30, 1:02:03; a dash where there is none."""
    if value is None:
        return "–"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
