"""The IVR load for an hour: calls come and go all the time, and memory, handles and threads must stay flat.

Flat: between the first third, once the load is up, and the last the median of none of them rises by more than 3 %,
handles and threads by no more than one a process.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ivr import process_tree
from ivr.callers import NoCallersError, Offer
from ivr.load import SPARE, USUAL, heard, stand
from machine import machine
from rich.console import Console

from voiceedge.errors import VoiceEdgeError

MINUTES, CALLS = 60.0, 40
LOOK_S = 15.0
RISE = 1.03
WATCHED = ("memory_mib", "handles", "threads")

Sample = dict[str, Any]


def soak(folder: Path, minutes: float, calls: int, console: Console) -> dict[str, Any]:
    talk = USUAL
    total = round(calls * minutes * 60 / talk.call_s)
    with stand(folder, talk, calls + SPARE) as here:
        sipp = here.callers.call(here.port, Offer(calls, talk.call_s, total, calls))
        began, samples = time.monotonic(), list[Sample]()
        while sipp.poll() is None:
            time.sleep(LOOK_S)
            used = asdict(process_tree.use(here.root))
            cpu_s = sum(used.pop("cpu_s").values())
            samples.append(
                {
                    "at_s": round(time.monotonic() - began),
                    "active": here.callers.active(),
                    "cpu_s": round(cpu_s, 1),
                    **{name: round(value, 1) for name, value in used.items()},
                }
            )
            console.print(samples[-1])
        result = heard(here)
        result["workers"] = here.workers
    loaded = [sample for sample in samples if sample["active"] >= 0.8 * calls]
    result["problems"] += [f"{name} rose" for name in WATCHED if rises(loaded, name)]
    if result["failed"]:
        result["problems"].append(f"{result['failed']} calls failed")
    return {"minutes": minutes, "calls_at_once": calls, "calls": total, **result, "samples": samples}


def rises(samples: Sequence[Sample], name: str) -> bool:
    third = len(samples) // 3
    if not third:
        return False
    first, last = (statistics.median(sample[name] for sample in part) for part in (samples[:third], samples[-third:]))
    spare = samples[0]["processes"] if name != "memory_mib" else 0
    return last > first * RISE + spare


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"instead of {MINUTES:g}")
    parser.add_argument("--calls", type=int, default=CALLS, help=f"at once, instead of {CALLS}")
    parser.add_argument("--result", type=Path, help="write everything to this file (JSON), every look included")
    options = parser.parse_args()
    console, load = Console(stderr=True), os.getloadavg()
    try:
        with tempfile.TemporaryDirectory(prefix="voiceedge-soak-") as name:
            result = soak(Path(name), options.minutes, options.calls, console)
    except (VoiceEdgeError, NoCallersError) as error:
        console.print(f"soak: {error}", style="red")
        return 2
    result |= {"machine": machine(), "load_average": {"before": load, "after": os.getloadavg()}}
    if options.result:
        options.result.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    del result["samples"]
    sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
