"""The benchmark under load runs: every call is served to its end, and no figure of time fails it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

BENCH = Path(__file__).with_name("bench_load.py")
FIGURES = {"cpu_pct_per_call", "rss_mib", "gap_ms", "overruns", "workers", "machine", "load_average"}


@pytest.mark.slow
@pytest.mark.timeout(360)
@pytest.mark.skipif(not which("sipp"), reason="sipp is not installed (apt install sip-tester)")
@pytest.mark.skipif(not which("cc"), reason="no C compiler for the callers' RTP")
def test_bench_load_serves_every_call_and_prints_its_figures_as_json():
    done = subprocess.run(
        [sys.executable, BENCH, "--quick", "--json", "--calls", "4"],
        env=os.environ | {"PYTHONPATH": str(BENCH.parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["calls"], figures["failed"], figures["lost"]) == (4, 0, 0), figures
    assert figures["served"] >= 4
    assert figures.keys() >= FIGURES
    assert figures["cpu_pct_per_call"] > 0
    for name in ("invite_200_ms", "digit_to_audio_ms"):
        assert figures[name]["n"] == figures["served"]
        assert 0 < figures[name]["p50"] <= figures[name]["p95"]
