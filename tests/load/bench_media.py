"""What the audio of calls costs, and whether it holds: real calls over loopback, and channels on a clock of their own.

Calls: as many as one SIP stack carries; in turn with a worker's settings, Silero and a recording each (`on`), with the
bare tap (`tap`), and with no channel at all, PJSIP sending each caller back to themselves (`off`). The callers are raw
SIP and RTP peers in another process: they speak, press keys in band and by RFC 4733, and return an echo of the prompt.
Channels: a hundred of them with everything on, fed in real time by a thread of C, without SIP.

CPU is that of the whole process with the calls or channels in it, and of each of its threads: frames pass in `media`,
packets come in through `sip-pump`, `reader` is asyncio with events and audio.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import machine
from media import sounds
from media.calls import CHANNEL_MODES, MODES, bench_calls, summary
from rich.console import Console
from rich.table import Table

from voiceedge.errors import VoiceEdgeError

CHANNELS = 100
WAIT_S = 300


def bench_channels(count: int, scripts: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "media.channels", str(count), str(scripts)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=WAIT_S)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def bench(rounds: int, scripts: int, channels: int) -> dict[str, Any]:
    said = sounds.script(sounds.voice())
    load = os.getloadavg()
    calls = summary(asyncio.run(bench_calls(said, rounds, scripts)))
    result = {"calls": calls, "channels": bench_channels(channels, scripts)}
    return result | {"machine": machine(), "load_average": {"before": load, "after": os.getloadavg()}}


def problems(result: dict[str, Any]) -> list[str]:
    """All that must never be, on any machine that keeps up."""
    channels = result["channels"]
    found = list(result["calls"]["problems"])
    if lost := channels["events_dropped"] + channels["samples_lost"] + channels["recorded_lost_ms"]:
        found.append(f"channels: {lost} events, samples or recorded ms lost")
    if wrong := channels["lines_with_wrong_keys"]:
        found.append(f"channels: {wrong} did not notice the keys that were pressed")
    return found


def tables(result: dict[str, Any]) -> list[Table]:
    calls, channels = result["calls"], result["channels"]
    threads = sorted(calls["on"]["threads"])
    one = Table(
        "", *MODES, title=f"{calls['calls']} calls, {result['machine']['cpu']}, {result['machine']['cores']} cores"
    )
    one.add_row(
        "CPU of a second of a call", *(f"{calls[mode]['cpu_ms_a_call_second']['median']:.2f} ms" for mode in MODES)
    )
    for thread in threads:
        one.add_row(f"… {thread}", *(f"{calls[mode]['threads'].get(thread, 0):.2f} ms" for mode in MODES))
    one.add_row(
        "longest gap between frames", *(f"{calls[mode]['frame_gap_ms']['most']:.1f} ms" for mode in CHANNEL_MODES)
    )
    one.add_row("longest gap between packets", *(f"{calls[mode]['packet_gap_ms']['most']:.1f} ms" for mode in MODES))
    one.add_row("overruns", *(str(calls[mode]["overruns"]) for mode in MODES))
    for what in ("keys", "onsets"):
        one.add_row(f"{what} noticed", f"{calls['on'][what]} of {calls['on'][f'{what}_expected']}", "", "")
    two = Table("", f"{channels['channels']} channels")
    two.add_row("CPU of a second of a channel", f"{channels['cpu_ms_a_channel_second']:.2f} ms")
    for thread, cost in channels["threads"].items():
        two.add_row(f"… {thread}", f"{cost:.2f} ms")
    two.add_row("a frame", f"{channels['frame_us']:.1f} µs")
    two.add_row("late ticks", f"{channels['late_ticks']} of {channels['ticks']}")
    two.add_row(
        "a tick takes (median, 99 %, most)", " · ".join(f"{ms:.1f}" for ms in channels["took_ms"].values()) + " ms"
    )
    two.add_row("longest gap between frames", f"{channels['frame_gap_ms']:.1f} ms")
    two.add_row("events dropped, samples lost", f"{channels['events_dropped']}, {channels['samples_lost']}")
    for what in ("keys", "onsets"):
        two.add_row(f"{what} noticed", f"{channels[what]} of {channels[f'{what}_expected']}")
    two.add_row("memory of a channel", f"{channels['memory_kb']} kB")
    return [one, two]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="each once: less than a minute")
    parser.add_argument("--channels", type=int, default=CHANNELS, help=f"instead of {CHANNELS}")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (Path(__file__).parents[1], Path(__file__).parent)))
    console = Console(stderr=True)
    try:
        result = bench(*((1, 1) if options.quick else (4, 3)), options.channels)
    except VoiceEdgeError as error:
        console.print(f"bench-media: {error}", style="red")
        return 2
    if options.json:
        sys.stdout.write(json.dumps(result | {"problems": problems(result)}, indent=1) + "\n")
    else:
        for table in tables(result):
            Console().print(table)
    for problem in problems(result):
        console.print(problem, style="yellow")
    return 1 if problems(result) else 0


if __name__ == "__main__":
    sys.exit(main())
