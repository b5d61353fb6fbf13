"""What a 20 ms frame at 8 kHz costs in C, by block and as a whole channel: `python native/bench/bench.py [--json]`."""

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from cffi import FFI

NATIVE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(NATIVE))

from build_native import COMPILE, STRICT, declarations  # noqa: E402 - lies beside this folder

FRAMES = 20_000
BENCHES = """
double bench_channels(const struct ve_vad_api *, const int16_t *speech, size_t length, size_t channels, size_t frames);
double bench_vad(const struct ve_vad_api *api, const int16_t *speech, size_t length, size_t frames);
double bench_resampler(const int16_t *speech, size_t length, size_t frames);
double bench_ring(const int16_t *speech, size_t length, size_t frames);
double bench_player(const int16_t *speech, size_t length, size_t frames);
"""


def speech_like(seconds: int) -> np.ndarray:
    """Voiced for 0.8 s, silent for 0.7 s: the detector and the events have something to do."""
    time_s = np.arange(seconds * 8000) / 8000
    voice = sum(np.sin(2 * np.pi * 120 * k * time_s + k) / k for k in range(1, 20))
    return (3000 * voice * (time_s % 1.5 < 0.8)).astype(np.int16)  # noqa: PLR2004


def main() -> None:
    sources = [source for source in sorted((NATIVE / "src").glob("*.c")) if source.name != "bridge.c"]
    ffi = FFI()
    ffi.cdef(declarations() + BENCHES)
    with tempfile.TemporaryDirectory(prefix="voiceedge-bench-") as work:
        library = Path(work, "bench.so")
        flags = [flag for flag in COMPILE if not flag.startswith("-fvisibility")]
        compiler = os.environ.get("CC", "cc").split()
        include = f"-I{NATIVE / 'include'}"
        build = [*compiler, *flags, *STRICT, include, NATIVE / "bench" / "bench.c", *sources, "-shared", "-o", library]
        subprocess.run([*build, "-lm", "-ldl"], check=True)
        lib = ffi.dlopen(str(library))
    vad = ffi.new("struct ve_vad_api *")
    found = find_spec("_webrtcvad")
    if not found or not found.origin or lib.ve_vad_load(vad, found.origin.encode()) != ffi.NULL:
        sys.exit("webrtcvad-wheels is not installed")
    speech = speech_like(30)
    signal = (ffi.from_buffer("int16_t[]", speech), len(speech))
    results_us = {
        "vad_us": lib.bench_vad(vad, *signal, FRAMES) / 1000,
        "resampler_us": lib.bench_resampler(*signal, FRAMES) / 1000,
        "ring_us": lib.bench_ring(*signal, FRAMES) / 1000,
        "player_us": lib.bench_player(*signal, FRAMES) / 1000,
        "channel_us": lib.bench_channels(vad, *signal, 1, FRAMES) / 1000,
        "channel_of_100_us": lib.bench_channels(vad, *signal, 100, FRAMES // 100) / 1000,
        "channel_of_500_us": lib.bench_channels(vad, *signal, 500, FRAMES // 100) / 1000,
    }
    if "--json" in sys.argv:
        print(json.dumps(results_us))  # noqa: T201
        return
    for name, cost_us in results_us.items():
        print(f"{name:20}{cost_us:8.2f}")  # noqa: T201


main()
