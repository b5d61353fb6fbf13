"""The recordings of one call on a real channel: where they lie, what is told of them, and disks that fail."""

import asyncio
import contextlib
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from tests.disk import small_disk
from voiceedge.audio import wav
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.recording import Recorder, RecordingSettings, load_opus
from voiceedge.clock import VirtualClock
from voiceedge.config import Config
from voiceedge.context.events.call import RecordingEnded, RecordingStarted
from voiceedge.edge.call.recordings import CallRecordings
from voiceedge.errors import NativeError
from voiceedge.flow.call import CallFacts, RecordAction
from voiceedge.sip.events import Ended

START, PAUSE, RESUME, STOP = RecordAction
FACTS = CallFacts("call-1", "conversation-1", caller="01012345678", called="1000")
SECOND = np.full(8000, 1000, np.int16)


async def until(true):
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is waited for is in another thread
            await asyncio.sleep(0.01)


class Call:
    def __init__(self, directory, **settings):
        self.directory = directory / "recordings"
        self.clock, self.pipeline = VirtualClock(), Pipeline()
        self.recorder = Recorder(RecordingSettings(settle_ms=0))
        self.leg = SimpleNamespace(channel=self.pipeline.channel(), ended=None)
        self.events = []
        config = Config.model_validate({"site": {"data_dir": directory}, "recording": {"enabled": True, **settings}})
        journal = SimpleNamespace(record=self.events.append)
        self.recordings = CallRecordings(
            self.recorder, config, leg=self.leg, facts=FACTS, journal=journal, clock=self.clock
        )

    async def takes(self, *actions):
        for action in actions:
            await self.recordings.take(action)

    async def goes_on(self):
        """A second, in which the caller says something."""
        self.leg.channel.feed(SECOND)
        self.leg.channel.fetch(len(SECOND))
        await self.clock.advance(1)

    def hangs_up(self):
        self.leg.ended = Ended("caller", 200, "")
        self.leg.channel.release()

    def files(self):
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*.*"))


@pytest.fixture
def new_call(tmp_path):
    with contextlib.ExitStack() as cleaning:

        def new_call(**settings):
            call = Call(tmp_path, **settings)
            cleaning.callback(call.pipeline.close)
            cleaning.callback(call.leg.channel.release)
            cleaning.callback(call.recorder.stop)
            return call

        yield new_call


async def test_a_recording_lies_in_the_days_directory_which_only_its_owner_may_enter(new_call):
    call = new_call()
    await call.takes(START)
    await call.goes_on()
    await call.takes(STOP)
    assert call.files() == ["2026-01-01/conversation-1.wav"]
    (directory,) = call.directory.iterdir()
    assert [path.stat().st_mode & 0o777 for path in (call.directory, directory)] == [0o700, 0o700]
    assert next(directory.iterdir()).stat().st_mode & 0o777 == 0o600
    assert call.events == [
        RecordingStarted(call_id="call-1", path="2026-01-01/conversation-1.wav", format="wav"),
        RecordingEnded(
            call_id="call-1", path="2026-01-01/conversation-1.wav", format="wav", seconds=1, pauses=0, paused_s=0
        ),
    ]


async def test_pauses_are_silence_and_are_told(new_call):
    call = new_call()
    await call.takes(START)
    for action in (PAUSE, RESUME, PAUSE):
        await call.goes_on()
        await call.takes(action)
    await call.goes_on()
    await call.takes(STOP)
    (left, _), _ = wav.load_channels(call.directory / "2026-01-01/conversation-1.wav")
    assert [bool(left[at * 8000 + 80 : (at + 1) * 8000].any()) for at in range(4)] == [True, False, True, False]
    assert (call.events[-1].seconds, call.events[-1].pauses, call.events[-1].paused_s) == (4, 2, 2)


async def test_a_call_may_have_more_than_one(new_call):
    call = new_call(format="opus")
    try:
        load_opus()
    except NativeError as missing:
        pytest.skip(str(missing))
    await call.takes(START, STOP, START, STOP)
    assert call.files() == ["2026-01-01/conversation-1-2.opus", "2026-01-01/conversation-1.opus"]


async def test_the_end_of_the_call_ends_it_with_all_that_was_said(new_call):
    call = new_call()
    await call.takes(START)
    await call.goes_on()
    call.hangs_up()
    await call.recordings.close()
    await call.recordings.close()
    assert call.events[-1].seconds == 1
    assert call.events[-1].error is None
    assert wav.load_channels(call.directory / call.events[-1].path)[0].shape == (2, 8000)


async def test_a_site_that_forbids_it_keeps_nothing(new_call):
    call = new_call(enabled=False)
    await call.takes(START, PAUSE, RESUME, STOP)
    assert (call.events, call.directory.exists()) == ([], False)


async def test_a_place_that_takes_no_files_is_told_once_and_the_flow_goes_on(new_call):
    call = new_call()
    call.directory.write_text("This is no directory.")
    await call.takes(START, PAUSE, RESUME, STOP)
    (told,) = call.events
    assert isinstance(told, RecordingEnded)
    assert told.seconds == 0
    assert told.error


async def test_a_disk_that_fills_up_in_between_is_told_at_once_and_what_it_has_stays_readable(new_call):
    call = new_call()
    call.directory.mkdir()
    with small_disk(call.directory) as full:
        await call.takes(START)
        await call.goes_on()
        await until(lambda: (call.directory / call.events[0].path).stat().st_size > 32000)
        with full():
            await call.goes_on()
            await until(lambda: len(call.events) > 1)
        assert call.events[-1].error == "No space left on device"
        assert 1 <= call.events[-1].seconds < 2
        assert wav.load_channels(call.directory / call.events[0].path)[0].shape[1] >= 8000
        await call.takes(PAUSE, RESUME, STOP)
        assert len(call.events) == 2


async def test_a_disk_that_hangs_is_not_waited_for_and_leaves_no_recording_behind(new_call):
    call = new_call()
    hanging = threading.Event()
    record, made = call.recorder.record, []

    def slowly(channel, path):
        hanging.wait(60)
        made.append(record(channel, path))
        return made[0]

    call.recorder.record = slowly
    starting = asyncio.ensure_future(call.recordings.take(START))
    await asyncio.sleep(0.05)
    await call.clock.advance(2.1)
    await starting
    assert "2 s" in call.events[0].error
    hanging.set()
    await until(lambda: made and made[0].ended.done())
    await call.takes(PAUSE, STOP)
    assert len(call.events) == 1


async def test_a_caller_who_leaves_while_the_file_is_opened_is_no_error(new_call):
    call = new_call()
    call.hangs_up()
    await call.takes(START)
    assert call.events == []
