"""`voiceedge audio`: look at a recording from the field, and make test signals for the line."""

import dataclasses
import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from voiceedge.audio.tones import DEFAULT_FILE, load_plan
from voiceedge.cli import app
from voiceedge.errors import VoiceEdgeError

if TYPE_CHECKING:
    from voiceedge.audio.inspection import Inspection, Side

audio_app = typer.Typer(no_args_is_help=True, help="Look at recordings, and make test signals for the line.")
app.add_typer(audio_app, name="audio")

Plan = Annotated[str, typer.Option(help="The tone plan: kr, us, jp, uk, de, cn, or itu.")]
PlanFile = Annotated[Path, typer.Option("--plan-file", help="A file of further tone plans.", exists=True)]


class Signal(StrEnum):
    KEYS = "keys"
    TONES = "tones"
    SWEEP = "sweep"


@audio_app.command()
def inspect(
    file: Annotated[
        Path, typer.Argument(help="A WAV file; of two channels, left is the caller.", exists=True, dir_okay=False)
    ],
    picture: Annotated[Path | None, typer.Option(help="Also draw it, into this SVG file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    plan: Plan = "kr",
    plan_file: PlanFile = DEFAULT_FILE,
) -> None:
    """Tell the levels, voice, keys and tones of a recording, as a call would have heard them."""
    from voiceedge.audio import inspection  # noqa: PLC0415 - loads the C pipeline
    from voiceedge.audio.picture import draw  # noqa: PLC0415

    try:
        found = inspection.inspect(file, load_plan(plan, plan_file))
        if picture:
            picture.write_text(draw(found), encoding="utf-8")
    except (VoiceEdgeError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(_plain(found), ensure_ascii=False))
    else:
        _show(found)


@audio_app.command()
def signal(
    what: Annotated[Signal, typer.Argument(help="All keys, the tones of the plan, or a sweep of the telephone band.")],
    file: Annotated[Path, typer.Argument(help="The WAV file to write.", dir_okay=False)],
    plan: Plan = "kr",
    plan_file: PlanFile = DEFAULT_FILE,
) -> None:
    """Write a test signal: play it down a line, record the other end, and inspect what arrived."""
    from voiceedge.audio import wav  # noqa: PLC0415
    from voiceedge.audio.signals import RATE, SIGNALS  # noqa: PLC0415

    try:
        wav.save(file, SIGNALS[what](load_plan(plan, plan_file)), RATE)
    except (VoiceEdgeError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _show(found: "Inspection") -> None:
    console = Console(highlight=False)
    heard_at = "" if found.rate == found.file_rate else f", heard at {found.rate} Hz"
    console.print(f"{found.path}: {found.seconds:.1f} s, {found.file_rate} Hz{heard_at}", markup=False, soft_wrap=True)
    if not found.judged:
        console.print(
            "Without Silero's model, music and tones count as voice: pip install 'voiceedge\\[models]'",
            style="dim",
            soft_wrap=True,
        )
    for side in found.sides:
        console.print()
        console.print(_levels(side))
        for table in _tables(side):
            if table.row_count:
                console.print(table)


def _levels(side: "Side") -> Table:
    loud = side.loudness
    speech = "no voice" if loud.speech_dbov is None else f"{loud.speech_dbov:.1f} dBov"
    rows = [[speech, f"{loud.noise_dbov:.1f} dBov", f"{loud.peak_dbov:.1f} dB", str(loud.offset), str(loud.clipped)]]
    return _table(side.name, ("voice", "noise", "peak", "offset", "clipped samples"), rows)


def _tables(side: "Side") -> Iterable[Table]:
    yield _table(
        "voice",
        ("from", "to", "level"),
        [[_time(span.start_s), _time(span.end_s), f"{span.level_dbov:.1f} dBov"] for span in side.voice],
    )
    yield _table(
        "keys",
        ("key", "at", "held", "level", "twist"),
        [
            [
                key.key,
                _time(key.start_s),
                f"{key.duration_ms} ms",
                f"{key.level_dbov:.1f} dBov",
                f"{key.twist_db:+.1f} dB",
            ]
            for key in side.keys
        ],
    )
    yield _table(
        "tones",
        ("tone", "from", "to", "level"),
        [
            [tone.kind.replace("_", " "), _time(tone.start_s), _time(tone.end_s), f"{tone.level_dbov:.1f} dBov"]
            for tone in side.tones
        ],
    )


def _table(title: str, columns: Iterable[str], rows: Iterable[list[str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _time(at_s: float) -> str:
    minutes, seconds = divmod(at_s, 60)
    return f"{int(minutes)}:{seconds:05.2f}"


def _plain(found: "Inspection") -> dict[str, object]:
    return {
        "file": str(found.path),
        "file_rate": found.file_rate,
        "rate": found.rate,
        "seconds": found.seconds,
        "plan": found.plan.name,
        "judged": found.judged,
        "sides": [
            {
                "name": side.name,
                "loudness": dataclasses.asdict(side.loudness),
                "clipped_at_s": side.clipped_at_s,
                "voice": [dataclasses.asdict(span) for span in side.voice],
                "keys": [dataclasses.asdict(key) for key in side.keys],
                "tones": [dataclasses.asdict(tone) for tone in side.tones],
            }
            for side in found.sides
        ],
    }
