"""What a call costs under load: as many at once as wanted, the service on one core, its callers on another.

Each call is answered, hears 20 s of a prompt, presses a key (RFC 4733), hears a second prompt and is hung up on; PCMU
both ways, a worker's whole pipeline on. When one ends the next begins. SIPp signals, rtpgen sends and hears the RTP.

    cpu_pct_per_call   CPU of the service and of all its processes while so many calls are up, in % of a core
    rss_mib            their memory, pages that they share counted once
    invite_200_ms      INVITE sent → 200 received
    digit_to_audio_ms  last packet of the key sent → first packet of the next prompt received
    lost               packets to the callers that did not come
    failed             calls that did not go so to their end, or were refused
    gap_ms             longest wait of a caller for the next packet
    overruns           samples and events that the service lost
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from ivr.callers import NoCallersError
from ivr.load import QUICK, USUAL, Talk, measure, measure_peak, measure_setups
from machine import machine
from rich.console import Console
from rich.table import Table

from voiceedge.errors import VoiceEdgeError

CALLS = (25, 50, 100, 200)
PEAK_CALLS, QUICK_PEAK_CALLS = 200, 8


def bench(options: argparse.Namespace) -> list[dict[str, Any]]:
    talk: Talk = QUICK if options.quick else USUAL
    runs = []
    for calls in [options.calls] if options.calls else CALLS:
        with tempfile.TemporaryDirectory(prefix="voiceedge-load-") as name:
            folder = Path(name)
            if options.setups:
                runs.append(measure_setups(folder, talk, calls, options.setups))
            elif options.peak:
                runs.append(measure_peak(folder, talk, calls))
            else:
                runs.append(measure(folder, talk, calls, talks=options.talking))
    return runs


def table(runs: list[dict[str, Any]]) -> Table:
    columns = [name for name, value in runs[0].items() if isinstance(value, int | float | dict)]
    made = Table("", *(f"{run['calls']} calls" for run in runs))
    for name in columns:
        made.add_row(name, *(_shown(run[name]) for run in runs))
    return made


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key} {_shown(part)}" for key, part in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, help=f"so many at once; without it {', '.join(map(str, CALLS))} in turn")
    parser.add_argument("--quick", action="store_true", help="short prompts: half a minute")
    parser.add_argument("--talking", action="store_true", help="callers who talk all the time instead of now and then")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--setups", type=int, metavar="RATE", help="so many short calls a second instead, without audio")
    what.add_argument("--peak", action="store_true", help="twice as many calls as there is room for, in 20 s, instead")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")
    options = parser.parse_args()
    if options.peak or options.setups:
        options.calls = options.calls or (QUICK_PEAK_CALLS if options.quick else PEAK_CALLS)
    console, load = Console(stderr=True), os.getloadavg()
    try:
        runs = bench(options)
    except (VoiceEdgeError, NoCallersError) as error:
        console.print(f"bench-load: {error}", style="red")
        return 2
    where = {"machine": machine(), "load_average": {"before": load, "after": os.getloadavg()}}
    if options.json:
        result = runs[0] | where if options.calls else {"runs": runs} | where
        sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    else:
        Console().print(table(runs))
    problems = [f"{run['calls']} calls: {problem}" for run in runs for problem in run["problems"]]
    for problem in problems:
        console.print(problem, style="yellow")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
