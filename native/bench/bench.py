"""What a 20 ms frame at 8 kHz costs: by block, as a whole channel, and the same chain in NumPy, SciPy and soxr."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
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
    JudgeSettings,
    KeySettings,
    LevelSettings,
    PlayerSettings,
    VoiceSettings,
)
from voiceedge.audio.tones import load_plan, to_c

NATIVE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(NATIVE))

from build_native import COMPILE, STRICT, declarations

BLOCKS = (
    *("offset", "level", "echo", "keys", "tones", "vad", "gain", "resampler", "ring", "judge"),
    *("player", "stream", "background", "recorder", "decimator"),
)
DECLARATIONS = """
struct bench_line {
    const struct ve_settings *settings; const struct ve_vad_api *vad; const int16_t *said, *prompt; size_t length;
    const char *recording;
};
double bench_channels(const struct bench_line *, size_t count, size_t skipped, size_t frames);
size_t bench_channel_bytes(void);
"""
SECONDS = 30  # of sound, over and over
VOICED_S = 0.8  # at a time
START, LEARNT = 100, 150  # frames: of a prompt whose echo has yet to be found, and after which it is known
WARM = 25  # frames after which everything has been in use
ECHO_MS, ECHO_LOSS_DB = 60, 12
ROUNDS, LONG_ROUNDS = 5, 2  # of which the quickest counts: others were disturbed


def speech_like(pitch_hz: float, pause_s: float) -> NDArray[np.float64]:
    """Voiced for VOICED_S, silent for a while, and so on: the detectors and the events have something to do."""
    time_s = np.arange(SECONDS * 8000) / 8000
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.25 * np.sin(2 * np.pi * 0.8 * time_s))) / 8000
    voice = sum(np.sin(k * phase + k) / k for k in range(1, 20))
    return np.asarray(3000 * voice * (time_s % (VOICED_S + pause_s) < VOICED_S))


def echo_of(prompt: NDArray[np.float64]) -> NDArray[np.float64]:
    """What comes back of it, late and dulled."""
    loss = 10 ** (-ECHO_LOSS_DB / 20)
    return sum(loss * share * np.roll(prompt, 8 * ECHO_MS + i) for i, share in enumerate((0.5, 0.3, 0.2)))


def as_samples(sound: NDArray[np.float64]) -> NDArray[np.int16]:
    """A frame longer, as it goes on from the beginning."""
    return np.asarray(np.append(sound, sound[:FRAME]), np.int16)


class Bench:
    def __init__(self, work: Path) -> None:
        self._ffi = FFI()
        benches = "".join(f"double bench_{block}(const struct bench_line *, size_t frames);\n" for block in BLOCKS)
        self._ffi.cdef(declarations() + DECLARATIONS + benches)
        self._lib = self._ffi.dlopen(str(self._build(work)))
        self._vad = self._ffi.new("struct ve_vad_api *")
        found = find_spec("_webrtcvad")
        if not found or not found.origin or self._lib.ve_vad_load(self._vad, found.origin.encode()) != self._ffi.NULL:
            sys.exit("webrtcvad-wheels is not installed")
        prompt, caller = speech_like(120, 0.2), speech_like(190, 0.7)
        hiss = np.random.default_rng(1).standard_normal(len(caller)) * 20
        self.prompt, self.said = as_samples(prompt), as_samples(caller + hiss + echo_of(prompt))
        self._recording = self._ffi.new("char[]", str(work / "recording.wav").encode())
        self._kept: list[Any] = []  # what settings point to

    def _build(self, work: Path) -> Path:
        sources = [source for source in sorted((NATIVE / "src").glob("*.c")) if source.name != "bridge.c"]
        flags = [flag for flag in COMPILE if not flag.startswith("-fvisibility")]
        compile_ = [*os.environ.get("CC", "cc").split(), *flags, *STRICT, f"-I{NATIVE / 'include'}"]

        def compiled(source: Path) -> Path:
            made = work / f"{source.stem}.o"
            subprocess.run([*compile_, "-c", source, "-o", made], check=True)
            return made

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compiled, [NATIVE / "bench" / "bench.c", *sources]))
        library = work / "bench.so"
        subprocess.run([*compile_, "-shared", *objects, "-o", library, "-lm", "-ldl", "-lpthread"], check=True)
        return library

    def line(self, *, echo: bool = True) -> Any:
        """Everything on."""
        new, voice = self._ffi.new, asdict(VoiceSettings())
        tones, plan = to_c(load_plan("kr"), self._ffi), new("struct ve_tone_plan **")
        self._lib.ve_tone_plan_open(plan, tones, len(tones))
        parts = {
            "level": new("struct ve_level_settings *", asdict(LevelSettings())),
            "keys": new("struct ve_dtmf_settings *", asdict(KeySettings())),
            "gain": new("struct ve_gain_settings *", asdict(GainSettings())),
            "judge": new("struct ve_judge_settings *", {"hub": self._lib.ve_hub_open(), **asdict(JudgeSettings())}),
        }
        if echo:
            parts["echo"] = new("struct ve_echo_settings *", asdict(EchoSettings()))
        always = {"rate": 8000, "frame_ms": 20, "remove_offset": True, "player": asdict(PlayerSettings())}
        settings = new(
            "struct ve_settings *", {**always, "vad_mode": voice.pop("mode"), **voice, **parts, "tones": plan[0]}
        )
        said, prompt = (self._ffi.from_buffer("int16_t[]", sound) for sound in (self.said, self.prompt))
        self._kept += [*parts.values(), plan, settings, said, prompt]
        return new("struct bench_line *", (settings, self._vad, said, prompt, SECONDS * 8000, self._recording))

    def block_us(self, block: str, frames: int) -> float:
        work = getattr(self._lib, f"bench_{block}")
        line = self.line()
        return min(float(work(line, frames)) for _ in range(ROUNDS)) / 1000

    def channel_us(self, count: int, frames: int, *, echo: bool = False, skipped: int = WARM) -> float:
        line, rounds = self.line(echo=echo), ROUNDS if count == 1 else LONG_ROUNDS
        return min(float(self._lib.bench_channels(line, count, skipped, frames)) for _ in range(rounds)) / 1000

    def channel_bytes(self) -> int:
        return int(self._lib.bench_channel_bytes())

    def reference_us(self, frames: int, *, echo: bool) -> float:
        channel = ReferenceChannel(echo=echo)
        cost_s = []
        for _ in range(ROUNDS):
            before = time.thread_time()
            for frame in range(frames):
                at = frame * FRAME % (SECONDS * 8000)
                heard = channel.get(self.prompt)
                channel.put(self.said[at : at + FRAME].tobytes(), heard)
            cost_s.append(time.thread_time() - before)
        return min(cost_s) / frames * 1e6


def measure(frames: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="voiceedge-bench-") as work:
        bench = Bench(Path(work))
        figures = {f"{block}_us": bench.block_us(block, frames) for block in BLOCKS}
        figures |= {
            "channel_us": bench.channel_us(1, frames),
            "channel_of_100_us": bench.channel_us(100, frames // 50),
            "channel_of_500_us": bench.channel_us(500, frames // 100),
            "channel_echo_us": bench.channel_us(1, frames, echo=True, skipped=LEARNT),
            "channel_echo_start_us": bench.channel_us(1, START, echo=True, skipped=0),
            "channel_echo_of_500_us": bench.channel_us(500, frames // 200, echo=True, skipped=LEARNT),
            "channel_bytes": bench.channel_bytes(),
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
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
        return
    for name, value in figures.items():
        print(f"{name:24}{value:9.2f}")


if __name__ == "__main__":
    main()
