"""How the media benchmark listens, and what it costs: the events and the audio of channels, and the CPU of threads."""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voiceedge.audio.channel import HEARD_RATE, Channel, Pcm
from voiceedge.audio.events import AudioEvent, KeyDown, Offset, Onset, Played
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.settings import ChannelSettings
from voiceedge.audio.silero import Silero, model_file
from voiceedge.config import Audio
from voiceedge.edge.call.line import channel_settings

LISTEN_S = 0.1  # how often a recogniser takes what there is
QUEUED = 2  # prompts, so that one follows the other without a gap

MEDIA = "media"  # the thread that is none of Python's: PJSIP's clock, in which the bridge and the channels run
_NAMES = {"MainThread": "reader"}


def everything() -> ChannelSettings:
    """What a worker sets for its calls where the configuration says nothing."""
    return channel_settings(Audio())


def new_pipeline(kind: type[Pipeline] = Pipeline) -> Pipeline:
    return kind(everything(), Silero(model_file()))


@dataclass
class Ear:
    """What was noticed of one channel so far."""

    channel: Channel
    onsets: int = 0
    keys: str = ""
    position: int = 0

    def take(self, event: AudioEvent, prompt: Pcm) -> None:
        match event:
            case Onset():
                self.onsets += 1
            case Offset():
                self.channel.resume()
            case KeyDown():
                self.keys += event.key
            case Played():
                self.channel.play(prompt)

    def listen(self) -> None:
        _, self.position = self.channel.read(self.position, HEARD_RATE)


def begin(channel: Channel, prompt: Pcm) -> None:
    """Play it over and over, as `Ear.take` goes on to, and let the caller interrupt."""
    channel.arm_barge_in(on=True)
    for _ in range(QUEUED):
        channel.play(prompt)


def cpu_ns() -> dict[str, int]:
    """CPU time of each of this process's threads by its name, and of the process, those that have ended included."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    used = {"all": time.process_time_ns()}
    for task in Path("/proc/self/task").iterdir():
        tid = int(task.name)
        name = names.get(tid, MEDIA)
        name = _NAMES.get(name, name)
        used[name] = used.get(name, 0) + time.clock_gettime_ns(_cpu_clock(tid))
    return used


def cost_ms(before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> dict[str, float]:
    """What each thread used in between, in ms a second."""
    return {name: (used - before.get(name, 0)) / 1e6 / seconds for name, used in after.items()}


def _cpu_clock(tid: int) -> int:
    """Linux's number for the CPU clock of a thread of this process: CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED."""
    return (~tid << 3) | 4 | 2


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
