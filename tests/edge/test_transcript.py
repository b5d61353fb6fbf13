"""What two people say to each other, as text."""

import asyncio
from types import SimpleNamespace

import numpy as np

from voiceedge.audio.events import Offset, Onset
from voiceedge.edge.call.transcript import LONGEST_S, MOST_WAITING, RATE, Listener, Transcripts
from voiceedge.errors import NativeError
from voiceedge.speech.evidence import WhisperEvidence


class Channel:
    """Samples that tell their position."""

    released = False

    def read(self, position, limit):
        if self.released:
            raise NativeError("released")
        return np.arange(position, position + limit) % 1000, position + limit


class Desk:
    """Hears the length of what is said, when it is let."""

    def __init__(self, *, at_once=True):
        self.go_on, self.heard, self.events = asyncio.Event(), [], []
        if at_once:
            self.go_on.set()
        self.tasks = []
        ears = SimpleNamespace(judge=self.judge)
        self.transcripts = Transcripts(ears, self.spawn)
        journal = SimpleNamespace(record=self.events.append)
        self.listener = Listener(self.transcripts, journal, "c1", "ko")

    def spawn(self, work):
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    async def judge(self, samples, expectation):
        self.heard.append((len(samples), expectation.language, expectation.phrases))
        await self.go_on.wait()
        return WhisperEvidence("여보세요" if len(samples) != RATE * 2 else "", "", 0.0, 0.0)

    def says(self, speaker, channel, start_s, end_s):
        self.listener.hear(speaker, Onset(channel, int(start_s * RATE), False, 0))
        self.listener.hear(speaker, Offset(channel, int(end_s * RATE), 0))

    async def done(self):
        self.go_on.set()
        await asyncio.gather(*self.tasks)
        return [(event.speaker, event.transcript, event.speech_ms) for event in self.events]


async def test_both_sides_are_written_down_in_order():
    desk, caller, agent = Desk(), Channel(), Channel()
    desk.listener.hear("caller", Onset(caller, 0, False, 0))
    desk.listener.hear("agent", Onset(agent, RATE, False, 0))  # they interrupt each other
    desk.listener.hear("caller", Offset(caller, RATE * 3, 0))
    desk.listener.hear("agent", Offset(agent, RATE * 5, 0))
    assert await desk.done() == [("caller", "여보세요", 3000), ("agent", "여보세요", 4000)]
    assert desk.heard[0] == (RATE * 3, "ko", ())
    assert desk.events[0].step == "talk"


async def test_a_cough_is_no_turn_and_of_a_speech_the_end_is_heard():
    desk, channel = Desk(), Channel()
    desk.says("caller", channel, 0, 0.4)
    desk.says("caller", channel, 1, 61)
    assert await desk.done() == [("caller", "여보세요", LONGEST_S * 1000)]


async def test_what_is_no_word_and_what_began_before_is_left_out():
    desk, channel = Desk(), Channel()
    desk.says("caller", channel, 0, 2)  # nothing is made of it
    desk.listener.hear("caller", Offset(channel, RATE * 9, 0))
    channel.released = True
    desk.says("caller", channel, 10, 15)
    assert await desk.done() == []


async def test_who_cannot_be_kept_up_with_is_not_written_down_and_later_turns_are():
    desk, channel = Desk(at_once=False), Channel()
    for number in range(MOST_WAITING + 5):
        desk.says("agent", channel, number * 10, number * 10 + 1)
        await asyncio.sleep(0)
    assert len(await desk.done()) == MOST_WAITING + 1
    desk.says("agent", channel, 1000, 1001)
    assert len(await desk.done()) == MOST_WAITING + 2
