"""The benchmark of the native pipeline is a command that prints figures; no figure fails a test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "native" / "bench" / "bench.py"


@pytest.mark.slow
@pytest.mark.timeout(450)
def test_bench_native_prints_its_figures_as_json():
    run = subprocess.run(
        [sys.executable, BENCH, "--quick", "--json"], capture_output=True, text=True, timeout=400, check=True
    )
    figures = json.loads(run.stdout)
    assert {"channel_us", "channel_echo_us", "reference_ratio"} <= figures.keys()
    assert all(value > 0 for value in figures.values())
