"""A flow's side of a call on a real channel, minutes of it in moments: what is said, keyed and heard when."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from rtp import tone

from voiceedge.audio.events import Offset, Onset
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.settings import ChannelSettings, VoiceSettings
from voiceedge.clock import VirtualClock
from voiceedge.edge.call.hearing import Hearing
from voiceedge.edge.call.inbox import Inbox
from voiceedge.edge.call.live_call import LiveCall
from voiceedge.edge.call.speaker import Speaker
from voiceedge.flow.call import Button, CallEnded, Keyed, KeyRule, NoInput, Question, Utterance
from voiceedge.sip.events import Ended, Key
from voiceedge.speech.evidence import PhraseScore, WhisperEvidence
from voiceedge.speech.heard import Decision, Expectation, Heard, Phrase

FRAME_S, FRAME = 0.02, 160
SILENCE = np.zeros(FRAME, np.int16)
PROMPT = tone(440, 4000)
YES = Expectation("ko", (Phrase("네", "yes"),))
UNDERSTOOD = WhisperEvidence("네", "네", -0.05, 0.0, (PhraseScore("네", -0.05),))


def voice(seconds):
    """Something that voice activity detection takes for a voice."""
    return np.random.default_rng(1).normal(0, 3000, int(seconds * 8000)).astype(np.int16)


class Line:
    """A call on a channel without a conference bridge: both ways, 20 ms at a time, as fast as can be."""

    def __init__(self):
        self.helpers = []
        self.clock = VirtualClock()
        self.inbox = Inbox(self.clock)
        self.pipeline = Pipeline(ChannelSettings(VoiceSettings(offset_ms=300)))
        self.channel = self.pipeline.channel()
        self.leg = SimpleNamespace(channel=self.channel, ended=None)
        self.evidence = None  # what Whisper will find
        self.said = []  # the level of each frame the caller has heard
        self.voice_seen = 0
        prompts = SimpleNamespace(library=SimpleNamespace(pieces=lambda utterance: [utterance]), samples=self._samples)
        self.speaker = Speaker(self.channel, prompts, self.inbox.post, self.spawn)
        ears = SimpleNamespace(listen=lambda _: None, judge=self._judge)
        self.call = LiveCall(
            leg=self.leg, facts=None, inbox=self.inbox, speaker=self.speaker, tickets=None, dialling=None,
            queueing=None, mailboxes=None, journal=None, recordings=None, clock=self.clock,
            new_hearing=lambda number, expectation: Hearing(
                number, expectation, channel=self.channel, ears=ears, clock=self.clock, post=self.inbox.post,
                spawn=self.spawn,
            ),
        )  # fmt: skip

    def spawn(self, work):
        self.helpers.append(asyncio.ensure_future(work))
        return self.helpers[-1]

    async def _samples(self, _piece):
        return PROMPT

    async def _judge(self, _samples, _expectation):
        return self.evidence

    async def goes_on(self, seconds, caller=None):
        """Let this much time pass, the caller saying something from its beginning."""
        frames = round(seconds / FRAME_S)
        audio = np.zeros(frames * FRAME, np.int16)
        if caller is not None:
            audio[: len(caller)] = caller[: len(audio)]
        for frame in audio.reshape(frames, FRAME):
            self.channel.feed(frame)
            self.said.append(int(np.abs(self.channel.fetch(FRAME)).max()))
            for event in self.pipeline.read_events():
                self.voice_seen += isinstance(event, Onset | Offset)
                self.inbox.post(event)
            await self.clock.advance(FRAME_S)

    def press(self, keys):
        for key in keys:
            self.inbox.post(Key(key, 160, "rfc4733", 0))

    def is_silent(self, seconds):
        return max(self.said[-round(seconds / FRAME_S) :]) == 0


@pytest.fixture
async def line():
    line = Line()
    yield line
    for helper in line.helpers:
        helper.cancel()
    line.channel.release()


def question(**changes):
    keys = KeyRule(single=frozenset("12"))
    return Question(name="q", prompt=(Utterance("질문", "ko"),), keys=keys, expectation=YES, **changes)


async def asking(line, **changes):
    asked = asyncio.ensure_future(line.call.ask(question(**changes)))
    await asyncio.sleep(0)
    return asked


async def test_nothing_said_is_no_input_after_the_prompt_and_the_wait(line):
    asked = await asking(line, no_input_s=5.0)
    await line.goes_on(8.9)
    assert not asked.done()
    await line.goes_on(0.3)
    assert asked.result() == NoInput()


async def test_a_voice_pauses_the_prompt_and_what_is_understood_ends_it(line):
    line.evidence = UNDERSTOOD
    asked = await asking(line)
    await line.goes_on(1.0)
    await line.goes_on(1.0, voice(0.8))
    assert line.is_silent(0.5)
    await line.goes_on(1.0)
    assert asked.result().value == "yes"


async def test_a_cough_lets_the_prompt_go_on_where_it_was(line):
    asked = await asking(line)
    await line.goes_on(1.0)
    await line.goes_on(1.8, voice(0.3))
    assert not line.is_silent(0.1)
    assert not asked.done()
    line.press("1")
    await line.goes_on(0.1)
    assert asked.result() == Keyed("1")


async def test_a_voice_before_the_first_sound_of_the_prompt_holds_it_back(line):
    line.evidence = UNDERSTOOD
    ready = asyncio.Event()
    rendered = line.speaker._voice.samples

    async def slowly(piece):
        await ready.wait()
        return await rendered(piece)

    line.speaker._voice.samples = slowly
    asked = await asking(line)
    await line.goes_on(0.4, voice(0.4))
    ready.set()
    await line.goes_on(1.0, voice(1.0))
    assert line.is_silent(1.0), "nobody talks over the caller"
    await line.goes_on(1.5)
    assert asked.result().value == "yes"


async def test_an_answer_begun_while_something_else_was_said_is_heard_whole(line):
    line.evidence = UNDERSTOOD
    saying = asyncio.ensure_future(line.call.say((Utterance("인사", "ko"),)))
    await asyncio.sleep(0)
    await line.goes_on(3.5)
    await line.goes_on(1.0, voice(1.0))
    assert saying.done()
    asked = await asking(line)
    await line.goes_on(2.0, voice(0.5))
    assert line.is_silent(1.5)
    heard = asked.result()
    assert heard.value == "yes"
    assert heard.speech_ms > 1500


async def test_steady_noise_ends_as_one_answer_and_holds_no_further_prompt(line):
    asked = await asking(line, longest_speech_s=4.0)
    await line.goes_on(6.0, voice(6.0))
    assert isinstance(asked.result(), Heard)
    assert asked.result().decision is Decision.REJECT
    again = await asking(line, no_input_s=2.0)
    await line.goes_on(3.0, voice(3.0))
    assert not line.is_silent(0.5), "the question is asked aloud"
    await line.goes_on(4.0, voice(4.0))
    assert again.result() == NoInput()


async def test_a_voice_that_a_key_cut_off_belongs_to_the_question_before(line):
    asked = await asking(line)
    await line.goes_on(1.0, voice(1.0))
    line.press("1")
    await line.goes_on(0.1, voice(0.1))
    assert asked.result() == Keyed("1")
    again = await asking(line)
    await line.goes_on(1.0, voice(0.5))
    assert not line.is_silent(0.5)
    line.press("2")
    await line.goes_on(0.1)
    assert again.result() == Keyed("2")


async def test_a_key_ends_what_may_be_interrupted_and_nothing_else(line):
    for barge_in in (True, False):
        saying = asyncio.ensure_future(line.call.say((Utterance("인사", "ko"),), barge_in=barge_in))
        await asyncio.sleep(0)
        await line.goes_on(1.0)
        line.press("1")
        await line.goes_on(0.2)
        assert saying.done() is barge_in
        line.call._typed_ahead.clear()
        await line.goes_on(4.0)
        assert saying.done()


async def test_the_end_of_the_leg_ends_whatever_is_being_done(line):
    asked = await asking(line)
    await line.goes_on(1.0, voice(0.5))
    line.leg.ended = Ended("caller", 200, "")
    line.channel.release()
    line.press("1")  # a moment before the inbox tells
    line.inbox.end()
    await line.clock.advance(1.0)
    with pytest.raises(CallEnded):
        await asked
    with pytest.raises(CallEnded):
        await line.call.ask(question())


async def test_what_is_tapped_or_typed_on_a_screen_answers_and_silences_the_prompt(line):
    buttons = (Button("yes", "네"),)
    asked = await asking(line, buttons=buttons)
    await line.goes_on(0.1)
    assert not line.is_silent(0.04)
    assert not line.call.typed("another", None, "yes")  # a button of a question that is over
    assert line.call.typed("q", None, "yes")
    assert not line.call.typed("q", None, "no")
    await line.goes_on(0.1)
    reply = asked.result()
    assert (reply.value, reply.typed) == ("yes", True)
    assert line.is_silent(0.04)
    assert not line.call.typed("q", "네", None)  # nothing is asked now
    asked = await asking(line, buttons=buttons)
    assert line.call.typed("q", "2", None)
    await line.goes_on(0.1)
    assert asked.result() == Keyed("2", typed=True)
