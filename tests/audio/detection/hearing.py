"""A call heard by the C pipeline, offline: frame by frame, as the conference bridge would bring it."""

from dataclasses import dataclass

import numpy as np

from voiceedge.audio.events import AudioEvent
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.settings import ChannelSettings
from voiceedge.audio.silero import Silero
from voiceedge.speech.telephone import LINE_RATE_HZ

FRAME_MS = 20
FRAME = LINE_RATE_HZ * FRAME_MS // 1000


@dataclass(frozen=True)
class Noticed:
    """An event, and how much of the call had arrived when it was to be had."""

    event: AudioEvent
    at_ms: float


def hear(pcm: np.ndarray, settings: ChannelSettings, silero: Silero | None) -> list[Noticed]:
    noticed = []
    with Pipeline(settings, silero) as pipeline:
        channel = pipeline.channel(LINE_RATE_HZ, FRAME_MS)
        for start in range(0, len(pcm) - FRAME + 1, FRAME):
            channel.feed(pcm[start : start + FRAME])
            while pipeline.judge and pipeline.judge.step():
                pass
            at_ms = (start + FRAME) * 1000 / LINE_RATE_HZ
            noticed += [Noticed(event, at_ms) for event in pipeline.read_events()]
        channel.release()
    return noticed
