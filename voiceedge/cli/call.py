"""`voiceedge call`: place a test call that speaks, plays files and presses keys, and listen to what comes back."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceedge.cli import app
from voiceedge.clock import RealClock, sleep
from voiceedge.config import Prompts
from voiceedge.errors import VoiceEdgeError

if TYPE_CHECKING:
    from voiceedge.edge.demo.caller import Caller

KINDS = ("say", "keys", "wav", "wait")


@app.command()
def call(
    uri: Annotated[str, typer.Argument(help="Whom to call, such as sip:1000@192.0.2.10.")],
    actions: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to do, each when the other side has finished: say:TEXT keys:12# wav:FILE wait:SECONDS"
        ),
    ] = None,
    language: Annotated[str, typer.Option(help="The language of what is said: ko or en.")] = "ko",
    voice: Annotated[str, typer.Option(help="The Kokoro voice that says it.")] = "jf_gongitsune",
    at_once: Annotated[bool, typer.Option("--at-once", help="Do not wait for the other side to finish.")] = False,
    record: Annotated[Path | None, typer.Option(help="Write what the other side said to this WAV file.")] = None,
    header: Annotated[list[str] | None, typer.Option(help="A header of the INVITE, as NAME:VALUE.")] = None,
    state: Annotated[Path, typer.Option(help="Where rendered speech is kept.")] = Path("var/caller"),
) -> None:
    """Place a call, do as told, wait for the other side to hang up, and say how it went."""
    steps = [_parsed(action) for action in actions or []]
    headers = dict(_header(line) for line in header or [])
    try:
        asyncio.run(
            _call(uri, steps, headers, language=language, voice=voice, at_once=at_once, record=record, state=state)
        )
    except* (VoiceEdgeError, TimeoutError) as errors:
        typer.echo(str(errors.exceptions[0]) or "the other side did not go on within a minute", err=True)
        raise typer.Exit(1) from None


async def _call(
    uri: str,
    steps: list[tuple[str, str]],
    headers: dict[str, str],
    *,
    language: str,
    voice: str,
    at_once: bool,
    record: Path | None,
    state: Path,
) -> None:
    from voiceedge.edge.demo.caller import dial  # noqa: PLC0415 - loads the SIP stack

    prompts = Prompts(voice=voice)
    async with dial(
        uri, headers=headers, prompts=prompts, language=language, data_dir=state, clock=RealClock()
    ) as caller:
        recording = asyncio.create_task(caller.record()) if record else None
        typer.echo(f"answered after {caller.answered_ms} ms")
        for kind, value in steps:
            if not at_once:
                await caller.until_quiet()
            if caller.ended:
                typer.echo(f"hung up before {kind}:{value}")
                break
            typer.echo(f"{kind} {value}")
            await _do(caller, kind, value)
        ended = await caller.until_ended()
        if record and recording:
            await recording
            caller.save(record)
        typer.echo(f"ended by {ended.cause}: {ended.sip_code} {ended.reason}")


async def _do(caller: "Caller", kind: str, value: str) -> None:
    match kind:
        case "say":
            await caller.say(value)
        case "keys":
            await caller.press(value)
        case "wav":
            await caller.play(Path(value))
        case _:
            await sleep(RealClock(), float(value))


def _parsed(action: str) -> tuple[str, str]:
    kind, colon, value = action.partition(":")
    if not colon or kind not in KINDS or not value:
        raise typer.BadParameter(f"{action!r}: write one of {', '.join(f'{kind}:…' for kind in KINDS)}")
    if kind == "keys" and set(value) - set("0123456789*#ABCD"):
        raise typer.BadParameter(f"{action!r}: keys are 0-9, *, # and A-D")
    if kind == "wait" and not value.replace(".", "", 1).isdigit():
        raise typer.BadParameter(f"{action!r}: give seconds, such as wait:2.5")
    return kind, value


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise typer.BadParameter(f"{line!r}: write NAME:VALUE")
    return name.strip(), value.strip()
