"""Streams, backgrounds and positions as Python sees them; their samples are proved in test_player.py."""

import gc
import select
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from voiceedge.audio.events import Played, Underrun
from voiceedge.audio.pipeline import Pipeline
from voiceedge.errors import NativeError


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with Pipeline() as opened:
        yield opened


def noise(samples: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(-20000, 20000, samples).astype(np.int16)


class TestStream:
    def test_what_a_thread_writes_is_heard_between_what_was_queued(self, pipeline: Pipeline) -> None:
        channel, said = pipeline.channel(), [noise(1000, seed) for seed in (1, 2, 3)]
        channel.play(said[0])
        stream = channel.stream(pre_buffer_ms=20)
        channel.play(said[2])

        def write() -> None:
            for at in range(0, 1000, 77):
                assert stream.write(said[1][at : at + 77]) == len(said[1][at : at + 77])
            stream.end()

        writer = threading.Thread(target=write)
        writer.start()
        writer.join()
        heard = np.concatenate([channel.fetch(160) for _ in range(19)])
        assert np.array_equal(heard[:3000], np.concatenate(said))
        played = [event for event in pipeline.read_events() if isinstance(event, Played)]
        assert [(event.item, event.played_ms) for event in played] == [(1, 125), (2, 125), (3, 125)]
        assert all(event.complete for event in played)
        assert stream.item == 2

    def test_a_slow_writer_is_told_how_much_there_is_room_for(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        stream = channel.stream(room_ms=100)
        assert stream.room == 800
        assert stream.write(noise(801)) == 800
        assert stream.write(noise(10)) == stream.room == 0
        channel.fetch(320)
        assert stream.room == 320
        channel.pause()
        channel.fetch(320)
        assert stream.room == 320 + 160  # what faded will be said again and is kept, but was played once

    def test_an_underrun_wakes_who_reads_events_and_is_counted(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        stream = channel.stream(pre_buffer_ms=20)
        stream.write(noise(200))
        channel.fetch(160)
        assert not select.select([pipeline.fileno()], [], [], 0)[0]
        channel.fetch(160)
        assert select.select([pipeline.fileno()], [], [], 1)[0]
        (underrun,) = pipeline.read_events()
        assert isinstance(underrun, Underrun)
        assert (underrun.item, underrun.played_ms) == (stream.item, 25)
        assert channel.stats().underruns == 1

    @pytest.mark.parametrize("end", ["stop", "release"])
    def test_a_stream_nobody_hears_any_more_lets_its_writer_go(self, pipeline: Pipeline, end: str) -> None:
        channel = pipeline.channel()
        stream = channel.stream()
        stream.write(noise(100))
        getattr(channel, end)()
        if end == "stop":
            channel.fetch(160)
        with pytest.raises(NativeError, match="nobody listens"):
            stream.write(noise(100))
        with pytest.raises(NativeError, match="nobody listens"):
            _ = stream.room

    def test_a_stream_outlives_its_channel_for_its_writer(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        stream = channel.stream()
        channel.release()
        pipeline.read_events()
        with pytest.raises(NativeError, match="nobody listens"):
            stream.write(noise(100))
        stream.end()

    def test_no_stream_begins_later_than_it_is_full(self, pipeline: Pipeline) -> None:
        with pytest.raises(NativeError, match="out of range"):
            pipeline.channel().stream(pre_buffer_ms=200, room_ms=100)


class TestBackground:
    def test_its_memory_is_held_until_it_has_faded_and_no_longer(self, pipeline: Pipeline) -> None:
        channel, music = pipeline.channel(), noise(800)
        alive = weakref.ref(music)
        channel.background(music)
        del music
        channel.fetch(1600)
        channel.background(None)
        gc.collect()
        assert alive() is not None
        assert channel.fetch(160).any()
        channel.fetch(1600)
        assert not channel.fetch(160).any()
        channel.play(noise(10))
        gc.collect()
        assert alive() is None

    def test_it_goes_on_while_a_prompt_is_paused_and_after_it(self, pipeline: Pipeline) -> None:
        channel = pipeline.channel()
        channel.background(np.full(800, 10000, np.int16))
        channel.play(np.full(3200, 1000, np.int16))
        assert (channel.fetch(1600)[-160:] == 1000 + 1259).all()
        channel.pause()
        assert (channel.fetch(1600)[-160:] == 10000).all()
        channel.resume()
        channel.fetch(1920)
        assert not channel.playing
        assert (channel.fetch(1600)[-160:] == 10000).all()

    @pytest.mark.parametrize("gains", [(1.0, 0.0), (-6.0, -3.0), (float("nan"), -10.0)])
    def test_gains_out_of_range_are_refused(self, pipeline: Pipeline, gains: tuple[float, float]) -> None:
        with pytest.raises(NativeError, match="out of range"):
            pipeline.channel().background(noise(10), *gains)


def test_a_pause_becomes_silence_once(pipeline: Pipeline) -> None:
    channel = pipeline.channel()
    channel.play(noise(8000))
    channel.fetch(160)
    channel.pause()
    channel.fetch(320)
    silent_at_ns = channel.stats().silent_at_ns
    assert silent_at_ns
    channel.fetch(320)
    assert channel.stats().silent_at_ns == silent_at_ns


def test_a_barge_in_can_ask_what_was_being_said(pipeline: Pipeline) -> None:
    channel = pipeline.channel()
    assert channel.position is None
    channel.play(noise(800))
    second = channel.play(noise(8000))
    channel.fetch(1600)
    channel.pause()
    channel.fetch(320)
    assert channel.position == (second, 100)
    channel.stop()
    channel.fetch(160)
    assert channel.position is None
