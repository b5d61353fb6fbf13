"""`voiceedge calls`: which calls are up, to end one, what one said in SIP, and the records of those that are over."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from voiceedge import config
from voiceedge.cli import app
from voiceedge.cli.options import ConfigOption, JsonOption, settings_of
from voiceedge.errors import VoiceEdgeError

if TYPE_CHECKING:
    from voiceedge.context.storage.legs import LegRecord, Summary

calls = typer.Typer(no_args_is_help=True, help="Calls that are up, and the records of those that are over.")
app.add_typer(calls, name="calls")

SinceOption = Annotated[str, typer.Option(help="From when on: 2026-11-22, 2026-11-22T09:00, or 2h, 7d before now.")]
UntilOption = Annotated[str | None, typer.Option(help="Until when; unset: now.")]
FOLLOW_S = 1.0
# Of the lines of a ladder.
STYLES = {
    "title": "bold", "lane": "bold", "request": "blue", "provisional": "bright_black", "success": "green",
    "refusal": "red", "again": "yellow", "quiet": "bright_black",
}  # fmt: skip
SHOWN = 12  # characters of a conversation's id: the last ones differ


@calls.command("list")
def list_(
    config_file: ConfigOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing them until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the calls that are up."""
    settings = settings_of(config_file)
    if as_json:
        print(json.dumps(asyncio.run(_up(settings)), ensure_ascii=False))
    elif follow:
        try:
            asyncio.run(_follow(settings))
        except KeyboardInterrupt:
            return
    else:
        Console().print(_table(asyncio.run(_up(settings))))


@calls.command("hang-up")
def hang_up(
    call: Annotated[str, typer.Argument(help="The conversation, or six characters at its beginning or end.")],
    config_file: ConfigOption = None,
) -> None:
    """End a call. Exit code 1: there is none of that name."""
    from voiceedge.edge.call.live_view import ask_workers  # noqa: PLC0415 - as below: no other command needs the database

    answers = asyncio.run(ask_workers(settings_of(config_file), "hang_up", {"conversation": call}))
    ended = [conversation for answer in answers.values() for conversation in answer["ended"]]
    if not ended:
        typer.echo(f"No call {call} is up; voiceedge calls list shows those that are.", err=True)
        raise typer.Exit(1)
    for conversation in ended:
        typer.echo(f"{conversation} is ended.")


@calls.command()
def records(
    since: SinceOption = "1d",
    until: UntilOption = None,
    csv: Annotated[Path | None, typer.Option(help="Write them to this file, with numbers in the clear.")] = None,
    as_json: JsonOption = False,
    config_file: ConfigOption = None,
) -> None:
    """Show the call-detail records of legs that have ended, one a leg; numbers are masked unless written to CSV."""
    from voiceedge.context.storage import legs  # noqa: PLC0415

    found = _read(config_file, since, until)
    if csv:
        csv.touch(mode=0o600)
        with csv.open("w", encoding="utf-8", newline="") as file:
            legs.write_csv(found, file)
        typer.echo(f"{len(found)} records are in {csv}.")
    elif as_json:
        print(json.dumps([record.leg.model_dump(mode="json") for record in found], ensure_ascii=False))
    else:
        table = Table("ended", "leg", "far end", "trunk", "talk", "cause", "SIP", "Q.850", "MOS", "lost", "jitter")
        for record in found:
            table.add_row(*_row(record))
        Console().print(table)


@calls.command()
def report(
    since: SinceOption = "1d", until: UntilOption = None, as_json: JsonOption = False, config_file: ConfigOption = None
) -> None:
    """Sum the records up, by trunk (RFC 6076)."""
    from voiceedge.context.storage import legs  # noqa: PLC0415

    found = _read(config_file, since, until)
    trunks = sorted({record.leg.trunk or "-" for record in found})
    sums = {name: legs.summary(record.leg for record in found if (record.leg.trunk or "-") == name) for name in trunks}
    sums["all"] = legs.summary(record.leg for record in found)
    if as_json:
        print(json.dumps({name: vars_of(one) for name, one in sums.items()}))
        return
    table = Table("trunk", "legs", "answered", "SER", "SEER", "ISA", "talk", "request delay", "MOS", "lost")
    for name, one in sums.items():
        table.add_row(
            name, str(one.legs), str(one.answered), _share(one.ser), _share(one.seer), _share(one.isa),
            f"{one.talk_s / 60:.0f} min", _ms(one.request_delay_ms), _plain(one.mos, ".2f"), _share(one.loss),
        )  # fmt: skip
    Console().print(table)


@calls.command()
def trace(
    call: Annotated[str, typer.Argument(help="The conversation, or six characters at its beginning or end.")],
    full: Annotated[bool, typer.Option("--full", help="Whole messages, with numbers in the clear.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write the ladder to this SVG file.")] = None,
    as_json: JsonOption = False,
    config_file: ConfigOption = None,
) -> None:
    """Show a call's SIP messages: who said what, when, and what was repeated. Each worker keeps its last 50 legs.

    Exit code 1: no worker knows such a call, or it is not clear which one is meant.
    """
    from voiceedge.edge.call.live_view import ask_workers  # noqa: PLC0415
    from voiceedge.edge.tracing import ladder, ladder_picture  # noqa: PLC0415

    request = {"conversation": call, "full": full}
    answers = asyncio.run(ask_workers(settings_of(config_file), "trace", request))
    found: dict[str, list[dict[str, Any]]] = {}
    for answer in answers.values():
        for told in answer["traces"]:
            found.setdefault(told["conversation"], []).extend(told["legs"])
    if len(found) != 1:
        several = f"{call} may be any of {', '.join(found)}: give more of it."
        none = f"No worker remembers a call {call}: each keeps the last 50 legs, for as long as it runs."
        typer.echo(several if found else none, err=True)
        raise typer.Exit(1)
    ((conversation, legs),) = found.items()
    if as_json:
        print(json.dumps({"conversation": conversation, "legs": legs}, ensure_ascii=False))
        return
    drawn = ladder.read_ladder(conversation, legs)
    if picture:
        picture.touch(mode=0o600)
        picture.write_text(ladder_picture.draw(drawn), encoding="utf-8")
        typer.echo(f"The ladder is in {picture}.")
        return
    console = Console(soft_wrap=True)
    for line, style in ladder.lines(drawn):
        console.print(line, style=STYLES[style], markup=False, highlight=False)


def vars_of(one: "Summary") -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


async def _up(settings: config.Config) -> list[dict[str, Any]]:
    from voiceedge.edge.call.live_view import ask_workers  # noqa: PLC0415

    answers = await ask_workers(settings, "calls")
    if not answers:
        typer.echo(f"No worker answers below {settings.site.run_dir}: is the service running?", err=True)
        raise typer.Exit(1)
    return [{"worker": name, **call} for name, answer in answers.items() for call in answer["calls"]]


async def _follow(settings: config.Config) -> None:
    with Live(_table(await _up(settings)), auto_refresh=False) as live:
        while True:
            await asyncio.sleep(FOLLOW_S)
            live.update(_table(await _up(settings)), refresh=True)


def _table(found: Iterable[dict[str, Any]]) -> Table:
    table = Table("conversation", "caller", "called", "trunk", "at", "with", "for", "level", "worker")
    table.columns[0].no_wrap = True
    table.columns[0].min_width = SHOWN
    for call in sorted(found, key=lambda call: -call["seconds"]):
        minutes, seconds = divmod(int(call["seconds"]), 60)
        table.add_row(
            call["conversation"][-SHOWN:], call["caller"], call["called"], call["trunk"] or "-",
            call["step"] or call["flow"], call["with"] or "-", f"{minutes}:{seconds:02}",
            _plain(call["level_dbov"], ".0f"), call["worker"],
        )  # fmt: skip
    return table


def _row(record: "LegRecord") -> tuple[str, ...]:
    leg = record.leg
    when = datetime.fromisoformat(leg.ended_at).astimezone()
    due = leg.packets_in + leg.lost_in
    lost = _share(leg.lost_in / due if due else None)
    return (
        f"{when:%m-%d %H:%M:%S}", f"{leg.direction} {leg.role}", leg.far_end, leg.trunk or "-",
        f"{leg.talk_ms / 1000:.0f} s", leg.cause, str(leg.sip_code), _plain(leg.q850, "d"), _plain(leg.mos, ".2f"),
        lost, _ms(leg.jitter_in_ms),
    )  # fmt: skip


def _read(config_file: Path | None, since: str, until: str | None) -> "list[LegRecord]":
    from voiceedge.context.storage import legs  # noqa: PLC0415
    from voiceedge.context.storage.database import Database  # noqa: PLC0415

    settings, now = settings_of(config_file), datetime.now(UTC)

    async def read() -> "list[LegRecord]":
        database = Database.of(settings)
        try:
            found = legs.read(database.look, _when(since, now), _when(until or "0d", now))
            return [record async for record in found]
        finally:
            await database.close()

    try:
        return asyncio.run(read())
    except VoiceEdgeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _when(text: str, now: datetime) -> datetime:
    units = {"m": "minutes", "h": "hours", "d": "days"}
    if text[:-1].isdigit() and text[-1:] in units:
        return now - timedelta(**{units[text[-1]]: int(text[:-1])})
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise typer.BadParameter(f"{text!r}: write a time such as 2026-11-22T09:00, or 30m, 2h, 7d") from None


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def _plain(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
