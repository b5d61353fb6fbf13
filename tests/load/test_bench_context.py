"""The benchmark runs, says what it measured, and has lost nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mosquitto import Mosquitto

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.timeout(460)
def test_bench_context_prints_its_figures_as_json_and_nothing_is_lost(mosquitto: Mosquitto):
    done = subprocess.run(
        [sys.executable, TESTS / "load" / "bench_context.py", "--quick", "--json"],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert {name: figures[name] for name in ("lost", "duplicates", "out_of_order")} == {
        "lost": 0,
        "duplicates": 0,
        "out_of_order": 0,
    }
    for name in ("event_ms", "api_ms"):
        assert figures[name].keys() == {"p50", "p95"}
        assert 0 < figures[name]["p50"] <= figures[name]["p95"]
    assert figures["events"] > 6_000
    assert figures["requests"] == 120
