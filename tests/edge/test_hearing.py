"""What the recognisers are given of an answer, from a real channel."""

import asyncio
from types import SimpleNamespace

import numpy as np

from voiceedge.audio.events import Offset, Onset
from voiceedge.audio.pipeline import Pipeline
from voiceedge.clock import RealClock
from voiceedge.config import Audio
from voiceedge.edge.call.hearing import Hearing
from voiceedge.edge.call.line import channel_settings
from voiceedge.speech.heard import Expectation, Phrase

RATE = 8000


def answer():
    """Half a second of a voice-like buzz in two seconds of a quiet line."""
    line = np.random.default_rng(1).normal(0, 3, 2 * RATE)
    at = np.arange(RATE // 2) / RATE
    buzz = sum(np.sin(2 * np.pi * 130 * n * at) / n for n in range(1, 20)) * (1 + 0.5 * np.sin(2 * np.pi * 5 * at))
    line[RATE // 2 : RATE] += 2500 * buzz
    return line.astype(np.int16)


async def test_whisper_hears_some_of_the_silence_after_a_short_answer():
    asked = asyncio.get_running_loop().create_future()

    async def judge(samples, _expectation):
        asked.set_result(samples)

    ears = SimpleNamespace(listen=lambda _: None, judge=judge)
    expectation = Expectation("ko", (Phrase("네", "yes"),))
    with Pipeline(channel_settings(Audio(echo_tail_ms=0, gain=False))) as pipeline:
        channel = pipeline.channel(RATE)
        hearing = Hearing(
            1,
            expectation,
            channel=channel,
            ears=ears,
            clock=RealClock(),
            post=lambda _: None,
            spawn=asyncio.ensure_future,
        )
        said = answer()
        for start in range(0, len(said), 160):
            channel.feed(said[start : start + 160])
            for event in pipeline.read_events():
                match event:
                    case Onset(position=position):
                        hearing.onset(position)
                    case Offset(position=position):
                        hearing.offset(position)
        heard = await asyncio.wait_for(asked, 60)
        hearing.cancel()
    quiet = heard[-4000:]  # 250 ms of the 300
    assert np.abs(quiet).max() < 50 < np.abs(heard[-8000:]).max()
