"""A hundred channels on a real-time clock without SIP, as a process: what they cost, and whether the clock held.

    python -m media.channels COUNT SCRIPTS

The clock is C (native/bench/real_time.c) in a thread that never holds the GIL; events and audio of all channels are
read in Python, as in a worker. Prints a line of JSON.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI
from media.ear import LISTEN_S, MEDIA, Ear, begin, cost_ms, cpu_ns, new_pipeline, resident_kb
from media.sounds import Script, prompt, script, voice, with_hiss
from rtp import FRAME, RATE

from voiceedge.audio import native
from voiceedge.audio.recording import Recorder

NATIVE = Path(__file__).resolve().parents[3] / "native"
sys.path.insert(0, str(NATIVE))

from build_native import COMPILE, STRICT  # noqa: E402 - lies beside this folder

APART = 2  # ticks by which each channel's script begins after the one before
TAIL_S = 1.0
TICK_MS = 20.0
DECLARATION = """
    struct ve_channel;
    bool real_time(struct ve_channel **channels, size_t count, bool (*get)(struct ve_channel *, int16_t *, size_t),
                   void (*put)(struct ve_channel *, const int16_t *, size_t), const int16_t *said, const size_t *from,
                   size_t ticks, int64_t *late_ns, int64_t *took_ns, int64_t *cpu_ns);
"""


class Clock:
    def __init__(self, work: Path) -> None:
        library = work / "real_time.so"
        compiler = os.environ.get("CC", "cc").split()
        flags = [flag for flag in COMPILE if not flag.startswith("-fvisibility")]
        source = NATIVE / "bench" / "real_time.c"
        subprocess.run(
            [*compiler, *flags, *STRICT, f"-I{NATIVE / 'include'}", source, "-shared", "-o", library], check=True
        )
        self._ffi = FFI()
        self._ffi.cdef(DECLARATION)
        self._library = self._ffi.dlopen(str(library))

    def run(self, channels: list[Any], said: np.ndarray, starts: list[int], ticks: int) -> np.ndarray:
        """Rows late, took and CPU in ms, a column a tick. Returns when it is over."""
        cast, buffer = self._ffi.cast, self._ffi.from_buffer
        handles = self._ffi.new(
            "struct ve_channel *[]", [cast("struct ve_channel *", _address(each)) for each in channels]
        )
        get = cast("bool (*)(struct ve_channel *, int16_t *, size_t)", _function("ve_channel_get"))
        put = cast("void (*)(struct ve_channel *, const int16_t *, size_t)", _function("ve_channel_put"))
        measured = np.zeros((3, ticks), np.int64)
        told = [buffer("int64_t[]", row) for row in measured]
        assert self._library.real_time(
            handles, len(channels), get, put, buffer("int16_t[]", said), starts, ticks, *told
        )
        return measured / 1e6


def _address(pointer: Any) -> int:
    return int(native.ffi.cast("uintptr_t", pointer))


def _function(name: str) -> int:
    return _address(native.ffi.addressof(native.lib, name))


class Hundred:
    def __init__(self, count: int, work: Path) -> None:
        self.pipeline = new_pipeline()
        self.recorder = Recorder()
        self.before_kb = resident_kb()
        self.ears = [Ear(self.pipeline.channel()) for _ in range(count)]
        self.by_channel = {id(ear.channel): ear for ear in self.ears}
        self.prompt = prompt(voice())
        self.recordings = [
            self.recorder.record(ear.channel, work / f"{number}.wav") for number, ear in enumerate(self.ears)
        ]

    async def run(self, clock: Clock, script: Script, rounds: int) -> dict[str, Any]:
        said, starts, ticks = _schedule(script, len(self.ears), rounds)
        for ear in self.ears:
            begin(ear.channel, self.prompt)
        self.pipeline.judge.start()
        loop = asyncio.get_running_loop()
        loop.add_reader(self.pipeline.fileno(), self.hear)
        over = loop.create_future()
        natives = [ear.channel._native for ear in self.ears]

        def tick() -> None:
            measured = clock.run(natives, said, starts, ticks)
            loop.call_soon_threadsafe(over.set_result, (measured, cpu_ns(), time.monotonic()))

        before, began = cpu_ns(), time.monotonic()
        threading.Thread(target=tick, name=MEDIA).start()
        while not over.done():
            await asyncio.sleep(LISTEN_S)
            for ear in self.ears:
                ear.listen()
        measured, after, ended = over.result()
        await asyncio.sleep(LISTEN_S)
        loop.remove_reader(self.pipeline.fileno())
        cost = cost_ms(before, after, (ended - began) * len(self.ears))
        facts = self._facts(measured, cost) | noticed(self.ears, script, rounds)
        return {"channels": len(self.ears), "seconds": round(ended - began, 1)} | facts

    def hear(self) -> None:
        for event in self.pipeline.read_events():
            self.by_channel[id(event.channel)].take(event, self.prompt)

    def _facts(self, measured: np.ndarray, cost: dict[str, float]) -> dict[str, Any]:
        late_ms, took_ms, cpu_ms = measured
        stats = [ear.channel.stats() for ear in self.ears]
        return {
            "late_ticks": int(np.count_nonzero(late_ms + took_ms > TICK_MS)),  # not done when the next was due
            "ticks": len(late_ms),
            "begun_late_ms": _spread(late_ms),
            "took_ms": _spread(took_ms),
            "frame_us": round(float(np.mean(cpu_ms)) * 1000 / len(self.ears), 2),
            "cpu_ms_a_channel_second": round(cost.pop("all"), 3),
            "threads": {name: round(cost[name], 3) for name in sorted(cost)},
            "frame_gap_ms": round(max(each.longest_gap_ms for each in stats), 2),
            "events_dropped": sum(each.events_dropped for each in stats),
            "samples_lost": sum(each.samples_lost for each in stats),
            "recorded_lost_ms": sum(recording.lost_ms for recording in self.recordings),
            "unjudged_ms": max(each.unjudged_ms for each in stats),
            "memory_kb": round((resident_kb() - self.before_kb) / len(self.ears)),
        }

    def close(self) -> None:
        self.recorder.stop()
        for ear in self.ears:
            ear.channel.release()
        self.pipeline.close()


def noticed(ears: list[Ear], script: Script, rounds: int) -> dict[str, int]:
    return {
        "keys": sum(len(ear.keys) for ear in ears),
        "keys_expected": len(script.keys) * rounds * len(ears),
        "lines_with_wrong_keys": sum(ear.keys != script.keys * rounds for ear in ears),
        "onsets": sum(ear.onsets for ear in ears),
        "onsets_expected": script.onsets * rounds * len(ears),
    }


def _schedule(script: Script, count: int, rounds: int) -> tuple[np.ndarray, list[int], int]:
    """One long signal, where each channel begins in it, and for how many ticks."""
    wait = count * APART * FRAME
    quiet = np.zeros(wait, np.int16)
    tail = np.zeros(int(TAIL_S * RATE), np.int16)
    said = np.concatenate([with_hiss(quiet), *[script.pcm] * rounds, with_hiss(quiet), with_hiss(tail)])
    ticks = (wait + rounds * len(script.pcm) + len(tail)) // FRAME
    return said, [wait - number * APART * FRAME for number in range(count)], ticks


def _spread(values: np.ndarray) -> dict[str, float]:
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "most": round(float(values.max()), 3)}


def main() -> None:
    count, rounds = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="voiceedge-bench-") as name:
        hundred = Hundred(count, Path(name))
        facts = asyncio.run(hundred.run(Clock(Path(name)), script(voice()), rounds))
        hundred.close()
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
