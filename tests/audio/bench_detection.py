"""How well the pipeline notices voice, keys and tones: misses, false triggers and latencies on every kind of line.

Calls are made of recordings (three Debian packages, and the evaluation corpus where VOICEEDGE_CORPUS names it),
carried by a telephone line (300-3400 Hz, G.711, noise, lost packets, an echo of our prompts) and heard frame by frame
by the C pipeline with everything on. When speech really begins is known from the clean recording alone:
detection/truth.py. Times are in ms: median / 95th percentile / longest.
"""

import argparse
import os
import platform
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from detection import keys, recordings, tones, voice
from detection.hearing import hear
from detection.line import CLEAN, LINES, Line
from detection.sounds import Taken, sounds, speech
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from voiceedge.audio.silero import Silero, model_file
from voiceedge.audio.speech_level import MARGIN_DB
from voiceedge.audio.tones import DEFAULT_FILE, load_plan
from voiceedge.errors import ModelMissingError

ONSET_P95_MS = 100.0
ALL = "all"
OUT, NOTES = Console(width=200, highlight=False), Console(stderr=True, style="dim")
QUICK_LINES = tuple(line for line in LINES if line is CLEAN or line.name.endswith("15 dB") or "silence" in line.name)
SPEAKERS: dict[str, Callable[[int], Iterable[recordings.Recording]]] = {
    "Korean, read": recordings.korean,
    "English, several": lambda every: recordings.speakers(min(every, 2)),
    "English, prompts": lambda every: recordings.prompts(every * 4),
}


def measure_voice(lines: Sequence[Line], every: int, silero: Silero | None, margin_db: float) -> list[dict[str, Any]]:
    scores: dict[tuple[str, str], voice.Score] = {}
    for number, (who, of) in enumerate(SPEAKERS.items()):
        calls = voice.calls(of(every), number, margin_db=margin_db)
        for line in lines if calls else ():
            for seed, call in enumerate(calls):
                pcm = line.carry(call.clean, seed)
                noticed = hear(pcm, silero=silero, prompt=line.prompt(len(pcm)))
                for row in (who, ALL):
                    scores.setdefault((row, line.name), voice.Score()).count(call, noticed)
            NOTES.print(f"voice, {who}, {line.name}")
    order = [*SPEAKERS, ALL]
    return [
        {"speech": who, "line": line, **figures(scores[who, line])}
        for who, line in sorted(scores, key=lambda row: order.index(row[0]))
    ]


def figures(score: voice.Score) -> dict[str, Any]:
    return {
        "minutes": round(score.minutes, 1),
        "onsets_due": len(score.onset_ms) + score.missed + score.hidden,
        "missed": score.missed,
        "hidden": score.hidden,
        "false_a_minute": round(score.false / score.minutes, 2),
        "onset_ms": spread(score.onset_ms),
        "late_position": score.clipped,
        "offset_ms": spread(score.offset_ms),
        "cut": score.cut,
    }


def measure_keys(lines: Sequence[Line], rounds: int) -> list[dict[str, Any]]:
    rows = []
    for line in lines:
        for tone_ms in (80.0, 40.0):
            tally = keys.measure(line, rounds, tone_ms)
            found = {"pressed": tally.pressed, "missed": tally.missed, "false": tally.false}
            rows.append({"line": line.name, "tone_ms": tone_ms, **found, "told_ms": spread(tally.told_ms)})
        NOTES.print(f"keys, {line.name}")
    return rows


def measure_tones(lines: Sequence[Line], rounds: int, plans: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for line in lines:
        tally = tones.measure(line, [load_plan(plan) for plan in plans], rounds)
        told = {kind.value: spread(times) for kind, times in tally.told_ms.items()}
        found = {"played": tally.played, "missed": tally.missed, "again": tally.again, "false": tally.false}
        rows.append({"line": line.name, **found, "told_ms": told})
        NOTES.print(f"tones, {line.name}")
    return rows


def measure_sounds(minutes: float, every: int, silero: Silero | None) -> list[dict[str, Any]]:
    rows = []
    for name, make in sounds(minutes).items():
        rows.append({"sound": name, **taken(Taken.of(make(), silero))})
        NOTES.print(name)
    talk = Taken.of(speech(every), None)
    return [*rows, {"sound": "speech", **taken(talk), "onsets": None, "speaking_s": None}]


def taken(found: Taken) -> dict[str, Any]:
    return {
        "minutes": round(found.minutes, 1),
        "onsets": found.onsets,
        "speaking_s": round(found.speaking_s, 1),
        "keys": found.keys,
        "tones": found.tones,
    }


def spread(times_ms: Sequence[float]) -> dict[str, float] | None:
    if not times_ms:
        return None
    half, most, worst = np.percentile(times_ms, [50, 95, 100])
    return {"p50": round(float(half)), "p95": round(float(most)), "max": round(float(worst))}


def problems(found: dict[str, Any]) -> list[str]:
    """What misses the goals."""
    late = [
        f"{row['line']}: onset at the 95th percentile after {row['onset_ms']['p95']} ms instead of {ONSET_P95_MS:.0f}"
        for row in found["voice"]
        if (row["speech"], row["line"]) == (ALL, CLEAN.name) and row["onset_ms"]["p95"] > ONSET_P95_MS
    ]
    false = [
        f"{row['sound']}: {row['onsets']} onsets in {row['minutes']} minutes"
        for row in found["sounds"]
        if row["onsets"] and row["sound"].startswith(("music: ", "ringback"))
    ]
    talked = [
        f"{row['sound']}: {row['keys']} keys" for row in found["sounds"] if row["keys"] and row["sound"] != "keys"
    ]
    return late + false + talked


# --- telling ---


def cell(value: Any) -> str:
    if isinstance(value, dict):
        return " / ".join(str(value[name]) for name in ("p50", "p95", "max"))
    return "" if value is None else str(value)


def show(rows: Sequence[dict[str, Any]]) -> None:
    table = Table(*(name.replace("_", " ") for name in rows[0]), box=MARKDOWN)
    for row in rows:
        table.add_row(*map(cell, row.values()))
    OUT.print(table)


def report(found: dict[str, Any]) -> None:
    OUT.print(found["machine"])
    show(found["voice"])
    show(found["keys"])
    show([{name: value for name, value in row.items() if name != "told_ms"} for row in found["tones"]])
    for row in found["tones"][:1]:
        show([{"tone": kind.replace("_", " "), "told ms": times} for kind, times in row["told_ms"].items()])
    show(found["sounds"])
    for problem in found["problems"]:
        OUT.print(f"[red]{problem}[/]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a part of everything, in half a minute")
    parser.add_argument("--json", action="store_true", help="figures on standard output")
    parser.add_argument(
        "--margin", type=float, default=MARGIN_DB, help="speech begins so many dB below its active level"
    )
    options = parser.parse_args()
    if missing := recordings.missing_packages():
        sys.exit(f"There are no recordings: apt-get install {' '.join(missing)}")
    if not recordings.corpus():
        NOTES.print("without Korean speech: set VOICEEDGE_CORPUS to the evaluation corpus")
    try:
        silero = Silero(model_file())
    except ModelMissingError as error:
        silero = None
        NOTES.print(f"by the gate alone: {error}")
    lines, every = (QUICK_LINES, 12) if options.quick else (LINES, 1)
    plans = ["kr"] if options.quick else list(tomllib.loads(DEFAULT_FILE.read_text(encoding="utf-8"))["plans"])
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "quick": options.quick,
        "judge": silero is not None,
        "margin_db": options.margin,
        "voice": measure_voice(lines, every, silero, options.margin),
        "keys": measure_keys(lines, 2 if options.quick else 10),
        "tones": measure_tones(lines, 1 if options.quick else 2, plans),
        "sounds": measure_sounds(0.5 if options.quick else 10.0, every, silero),
    }
    found["problems"] = problems(found)
    if options.json:
        OUT.print_json(data=found, indent=1)
    else:
        report(found)
    sys.exit(1 if found["problems"] else 0)


if __name__ == "__main__":
    main()
