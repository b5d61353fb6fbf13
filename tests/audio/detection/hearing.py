"""A call heard by the C pipeline, offline: frame by frame, as the conference bridge would bring it."""

from dataclasses import dataclass

import numpy as np

from voiceedge.audio.events import AudioEvent
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.settings import ChannelSettings, EchoSettings, GainSettings, KeySettings, VoiceSettings
from voiceedge.audio.silero import Silero
from voiceedge.audio.tones import load_plan
from voiceedge.speech.telephone import LINE_RATE_HZ

FRAME_MS = 20
FRAME = LINE_RATE_HZ * FRAME_MS // 1000

# Everything on, as in a call.
SETTINGS = ChannelSettings(
    voice=VoiceSettings(offset_ms=300),
    remove_offset=True,
    echo=EchoSettings(),
    keys=KeySettings(),
    tones=load_plan("kr"),
    gain=GainSettings(),
)


@dataclass(frozen=True)
class Noticed:
    """An event, and how much of the call had arrived when it was to be had."""

    event: AudioEvent
    at_ms: float


def hear(
    pcm: np.ndarray,
    settings: ChannelSettings = SETTINGS,
    silero: Silero | None = None,
    prompt: np.ndarray | None = None,
) -> list[Noticed]:
    """`prompt` is what the caller hears meanwhile, from the beginning of the call."""
    noticed = []
    with Pipeline(settings, silero) as pipeline:
        channel = pipeline.channel(LINE_RATE_HZ, FRAME_MS)
        if prompt is not None:
            channel.play(prompt)
        for start in range(0, len(pcm) - FRAME + 1, FRAME):
            channel.fetch(FRAME)
            channel.feed(pcm[start : start + FRAME])
            while pipeline.judge and pipeline.judge.step():
                pass
            at_ms = (start + FRAME) * 1000 / LINE_RATE_HZ
            noticed += [Noticed(event, at_ms) for event in pipeline.read_events()]
        channel.release()
    return noticed
