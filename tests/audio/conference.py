"""A conference bridge with nothing but our channels in it, run as a program: PJSIP allows one life a process."""

import json
import os
import select
import sys
import time
from pathlib import Path

import numpy as np
import pjsua2 as pj

from voiceedge.audio.channel import Channel
from voiceedge.audio.events import Closed, Played
from voiceedge.audio.pipeline import Pipeline
from voiceedge.errors import NativeError


def start(bridge_rate: int, bridge_frame_ms: int) -> pj.Endpoint:
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.logConfig.level = config.logConfig.consoleLevel = 1
    config.medConfig.clockRate = bridge_rate
    config.medConfig.sndClockRate = bridge_rate
    config.medConfig.audioFramePtime = bridge_frame_ms
    config.medConfig.threadCnt = 0
    config.medConfig.hasIoqueue = False
    config.medConfig.noVad = True
    endpoint.libInit(config)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    return endpoint


def events_until(pipeline: Pipeline, kind: type, count: int = 1, patience_s: float = 60.0) -> list:
    seen = []
    deadline = time.monotonic() + patience_s
    while sum(isinstance(event, kind) for event in seen) < count:
        if not select.select([pipeline.fileno()], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(f"{count} × {kind.__name__} wanted, {seen} seen")
        seen += pipeline.read_events()
    return seen


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(7).integers(-9000, 9000, samples).astype(np.int16)


def carry(pipeline: Pipeline, rate: int, frame_ms: int) -> dict:
    """One channel plays into another: is every sample there, in order, unchanged?"""
    here, there = pipeline.channel(rate, frame_ms), pipeline.channel(rate, frame_ms)
    here.open_port()
    there_slot = there.open_port()
    here.connect(there_slot)
    sent = noise(rate)
    here.play(sent)
    events_until(pipeline, Played)
    deadline = time.monotonic() + 60
    heard = np.empty(0, np.int16)
    while time.monotonic() < deadline:
        heard = there.read(0, there.head)[0][:: 16000 // rate]
        if np.count_nonzero(heard) >= np.count_nonzero(sent):
            break
        time.sleep(0.02)
    begin = int(np.flatnonzero(heard)[0]) - int(np.flatnonzero(sent)[0])
    exact = np.array_equal(heard[begin : begin + rate], sent)
    longest_gap_ms = there.stats().longest_gap_ms
    here.disconnect(there_slot)
    here.close_port()
    there.close_port()
    events_until(pipeline, Closed, 2)
    here.release()
    there.release()
    pipeline.read_events()
    return {"exact": exact, "longest_gap_ms": longest_gap_ms}


class LoudIsVoice:
    """In place of the network."""

    def voice(self, rows: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (np.abs(rows).max(axis=1) > 0.1).astype(np.float32), memory


def judged(pipeline: Pipeline) -> dict:
    """Is the judge's thread in time for the bridge's?"""
    here, there = pipeline.channel(), pipeline.channel()
    here.open_port()
    here.connect(there.open_port())
    at = np.arange(8000) % 64
    rough = (np.where(at % 16 < 8, 140, -140) * (64 - at)).astype(np.int16)  # opens the gate
    for volume in (20, 1, 20):
        here.play(rough // volume)
    heard = [type(event).__name__ for event in events_until(pipeline, Played, 3)]
    unjudged_ms = there.stats().unjudged_ms
    for channel in (here, there):
        channel.close_port()
        channel.release()
    events_until(pipeline, Closed, 2)
    return {"heard": [name for name in heard if name != "Played"], "unjudged_ms": unjudged_ms}


def churn(pipeline: Pipeline, rounds: int) -> dict:
    """Open, play, close, over and over: what is left behind?"""
    pcm = noise(800)

    def pair() -> tuple[Channel, Channel]:
        one, other = pipeline.channel(), pipeline.channel()
        one.open_port()
        one.connect(other.open_port())
        one.play(pcm)
        return one, other

    def resident_kb() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def handles() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    memory_before = handles_before = 0
    for number in range(rounds):
        pairs = [pair() for _ in range(5)]
        for one, other in pairs:
            one.close_port()
            other.close_port()
        for one, other in pairs:
            one.release()
            other.release()
        events_until(pipeline, Closed, 10)
        if number == rounds // 4:
            memory_before, handles_before = resident_kb(), handles()
    return {
        "grown_kb": resident_kb() - memory_before,
        "handles_grown": handles() - handles_before,
    }


def misuse(pipeline: Pipeline) -> dict:
    """What must be refused, not crash."""
    channel = pipeline.channel()
    refusals = []
    for attempt in (
        lambda: channel.connect(0),
        channel.close_port,
        lambda: (channel.open_port(), channel.open_port()),
        lambda: channel.connect(4321),
        lambda: channel.feed(np.zeros(160, np.int16)),
    ):
        try:
            attempt()
        except NativeError as error:
            refusals.append(str(error))
    channel.release()
    pipeline.read_events()
    channel.close_port()  # also after the release
    events_until(pipeline, Closed)
    return {"refusals": refusals}


def main(scene: str, *numbers: str) -> None:
    values = [int(number) for number in numbers]
    pipeline = Pipeline(silero=LoudIsVoice() if scene in {"judged", "churn"} else None)
    try:
        pipeline.bridge_self_test()
    except NativeError as error:
        before = str(error)
    endpoint = start(*values[:2])
    pipeline.bridge_self_test()
    result = {"carry": carry, "churn": churn, "misuse": misuse, "judged": judged}[scene](pipeline, *values[2:])
    if scene == "carry":
        left_open = pipeline.channel(*values[2:])
        left_open.open_port()
        endpoint.libDestroy()
        left_open.close_port()  # late, but not wrong
        left_open.release()
    else:
        endpoint.libDestroy()
    pipeline.close()
    sys.stdout.write(json.dumps(result | {"before_init": before}) + "\n")
    sys.stdout.flush()
    os._exit(0)  # destructors of pjsua2 objects after libDestroy would abort


main(*sys.argv[1:])
