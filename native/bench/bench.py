"""What a 20 ms frame at 8 kHz costs: by block, as a whole channel, and the same chain in NumPy, SciPy and soxr."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI
from numpy.typing import NDArray
from reference import FRAME, ReferenceChannel

from voiceedge.audio.settings import (
    EchoSettings,
    GainSettings,
    KeySettings,
    LevelSettings,
    PlayerSettings,
    VoiceSettings,
)
from voiceedge.audio.tones import load_plan, to_c

NATIVE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(NATIVE))

from build_native import COMPILE, STRICT, declarations  # noqa: E402 - lies beside this folder

BLOCKS = ("offset", "level", "echo", "keys", "tones", "vad", "gain", "resampler", "ring", "player")
SIGNATURE = (
    "(const struct ve_settings *, const struct ve_vad_api *, const int16_t *speech, size_t length, {}size_t frames);"
)
ROUNDS = 5  # of which the quickest counts: others were disturbed


def speech_like(seconds: int) -> NDArray[np.int16]:
    """Voiced for 0.8 s, silent for 0.7 s: the detectors and the events have something to do."""
    time_s = np.arange(seconds * 8000) / 8000
    pitch_hz = 120 + 30 * np.sin(2 * np.pi * 0.8 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / 8000
    voice = sum(np.sin(k * phase + k) / k for k in range(1, 20))
    hiss = np.random.default_rng(1).standard_normal(len(time_s)) * 20
    return np.asarray(3000 * voice * (time_s % 1.5 < 0.8) + hiss, np.int16)  # noqa: PLR2004 - the voiced part


class Bench:
    def __init__(self, work: Path) -> None:
        self._ffi = FFI()
        benches = "".join(f"double bench_{block}{SIGNATURE.format('')}\n" for block in BLOCKS)
        self._ffi.cdef(declarations() + benches + f"double bench_channels{SIGNATURE.format('size_t channels, ')}")
        self._lib = self._ffi.dlopen(str(self._build(work)))
        self._vad = self._ffi.new("struct ve_vad_api *")
        found = find_spec("_webrtcvad")
        if not found or not found.origin or self._lib.ve_vad_load(self._vad, found.origin.encode()) != self._ffi.NULL:
            sys.exit("webrtcvad-wheels is not installed")
        self.speech = speech_like(30)
        self._signal = (self._ffi.from_buffer("int16_t[]", self.speech), len(self.speech))
        self._kept: list[Any] = []  # what settings point to

    def _build(self, work: Path) -> Path:
        sources = [source for source in sorted((NATIVE / "src").glob("*.c")) if source.name != "bridge.c"]
        flags = [flag for flag in COMPILE if not flag.startswith("-fvisibility")]
        compiler = os.environ.get("CC", "cc").split()
        library = work / "bench.so"
        build = [*compiler, *flags, *STRICT, f"-I{NATIVE / 'include'}", NATIVE / "bench" / "bench.c", *sources]
        subprocess.run([*build, "-shared", "-o", library, "-lm", "-ldl", "-lpthread"], check=True)
        return library

    def settings(self, *, echo: bool) -> Any:
        """Everything on."""
        new, voice = self._ffi.new, asdict(VoiceSettings())
        tones, plan = to_c(load_plan("kr"), self._ffi), new("struct ve_tone_plan **")
        self._lib.ve_tone_plan_open(plan, tones, len(tones))
        parts = {
            "level": new("struct ve_level_settings *", asdict(LevelSettings())),
            "keys": new("struct ve_dtmf_settings *", asdict(KeySettings())),
            "gain": new("struct ve_gain_settings *", asdict(GainSettings())),
        }
        if echo:
            parts["echo"] = new("struct ve_echo_settings *", asdict(EchoSettings()))
        self._kept += [*parts.values(), plan]
        always = {"rate": 8000, "frame_ms": 20, "remove_offset": True, "player": asdict(PlayerSettings())}
        return new(
            "struct ve_settings *", {**always, "vad_mode": voice.pop("mode"), **voice, **parts, "tones": plan[0]}
        )

    def block_us(self, block: str, frames: int) -> float:
        work = getattr(self._lib, f"bench_{block}")
        settings = self.settings(echo=True)
        return min(float(work(settings, self._vad, *self._signal, frames)) for _ in range(ROUNDS)) / 1000

    def channel_us(self, channels: int, frames: int, *, echo: bool) -> float:
        settings = self.settings(echo=echo)
        runs = [self._lib.bench_channels(settings, self._vad, *self._signal, channels, frames) for _ in range(ROUNDS)]
        return float(min(runs)) / 1000

    def reference_us(self, frames: int, *, echo: bool) -> float:
        channel = ReferenceChannel(echo=echo)
        cost_s = []
        for _ in range(ROUNDS):
            before = time.thread_time()
            for frame in range(frames):
                at = frame * FRAME % (len(self.speech) - FRAME)
                heard = channel.get(self.speech)
                channel.put(self.speech[at : at + FRAME].tobytes(), heard)
            cost_s.append(time.thread_time() - before)
        return min(cost_s) / frames * 1e6


def measure(frames: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="voiceedge-bench-") as work:
        bench = Bench(Path(work))
        figures = {f"{block}_us": bench.block_us(block, frames) for block in BLOCKS}
        figures |= {
            "channel_us": bench.channel_us(1, frames, echo=False),
            "channel_of_100_us": bench.channel_us(100, frames // 50, echo=False),
            "channel_of_500_us": bench.channel_us(500, frames // 100, echo=False),
            "channel_echo_us": bench.channel_us(1, frames, echo=True),
            "channel_echo_of_500_us": bench.channel_us(500, frames // 100, echo=True),
            "reference_us": bench.reference_us(frames // 10, echo=False),
            "reference_echo_us": bench.reference_us(frames // 100, echo=True),
        }
    figures["reference_ratio"] = figures["reference_us"] / figures["channel_us"]
    figures["reference_echo_ratio"] = figures["reference_echo_us"] / figures["channel_echo_us"]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer frames: less than half a minute")
    parser.add_argument("--json", action="store_true", help="figures for a program")
    options = parser.parse_args()
    figures = measure(5_000 if options.quick else 50_000)
    if options.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))  # noqa: T201
        return
    for name, value in figures.items():
        print(f"{name:24}{value:9.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
