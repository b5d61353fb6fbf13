"""The player against its reference under random commands, and what a caller hears of it."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from blocks import load
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.player import Background as ReferenceBackground
from reference.player import Item
from reference.player import Player as Reference

ffi, lib = load("events", "stream", "background", "player")
RATE = 8000
PLAYED, UNDERRUN = lib.VE_PLAYED, lib.VE_UNDERRUN


def noise(samples: int, seed: int = 3, peak: int = 32768) -> np.ndarray:
    return np.random.default_rng(seed).integers(-peak, peak, samples).astype(np.int16)


def tone(samples: int, hz: float = 200.0, peak: int = 12000) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * hz * np.arange(samples) / RATE)).astype(np.int16)


class Stream:
    def __init__(self, room_ms: int, pre_buffer_ms: int, rate: int = RATE) -> None:
        out = ffi.new("struct ve_stream **")
        chosen = {"room_ms": room_ms, "pre_buffer_ms": pre_buffer_ms}
        self.status = lib.ve_stream_open(out, rate, ffi.new("struct ve_stream_settings *", chosen))
        self.native = ffi.gc(out[0], lib.ve_stream_free)

    def write(self, pcm: np.ndarray) -> int | None:
        taken = int(lib.ve_stream_write(self.native, ffi.from_buffer("int16_t[]", pcm), len(pcm)))
        return None if taken < 0 else taken

    @property
    def room(self) -> int:
        return int(lib.ve_stream_room(self.native))

    def end(self) -> None:
        lib.ve_stream_end(self.native)


class Player:
    """The player in C, with everything it may refer to kept."""

    def __init__(self, fade_ms: int = 20, duck_ms: int = 150, rate: int = RATE) -> None:
        self.native = ffi.new("struct ve_player *")
        self.queue = ffi.new("struct ve_queue *")
        chosen = ffi.new("struct ve_player_settings *", {"fade_ms": fade_ms, "duck_ms": duck_ms})
        self.status = lib.ve_player_open(self.native, rate, chosen, self.queue)
        self.kept: list[Any] = []

    def play(self, pcm: np.ndarray) -> int:
        self.kept.append(ffi.from_buffer("int16_t[]", pcm))
        return int(lib.ve_player_queue(self.native, self.kept[-1], len(pcm)))

    def stream(self, room_ms: int = 500, pre_buffer_ms: int = 0) -> Stream:
        stream = Stream(room_ms, pre_buffer_ms)
        self.kept.append(stream)
        assert lib.ve_player_stream(self.native, stream.native) > 0
        return stream

    def background(self, pcm: np.ndarray | None, gain_db: float = 0.0, ducked_gain_db: float = -20.0) -> int:
        memory = ffi.NULL if pcm is None else ffi.from_buffer("int16_t[]", pcm)
        self.kept.append(memory)
        length = 0 if pcm is None else len(pcm)
        return int(lib.ve_player_background(self.native, memory, length, gain_db, ducked_gain_db))

    def pause(self) -> None:
        lib.ve_player_pause(self.native)

    def resume(self) -> None:
        lib.ve_player_resume(self.native)

    def stop(self) -> None:
        lib.ve_player_stop(self.native)

    def render(self, count: int, frame: int = 160) -> np.ndarray:
        out = np.zeros(count, np.int16)
        for at in range(0, count, frame):
            part = out[at : at + frame]
            lib.ve_player_render(self.native, ffi.from_buffer("int16_t[]", part), len(part), 1)
        return out

    def barge_in(self) -> bool:
        return bool(lib.ve_player_barge_in(self.native))

    @property
    def place(self) -> tuple[int, int]:
        position = ffi.new("uint64_t *")
        return int(lib.ve_player_position(self.native, position)), int(position[0])

    def events(self) -> list[tuple[str, int, bool, int]]:
        event, events = ffi.new("struct ve_event *"), []
        while lib.ve_queue_pop(self.queue, event):
            kind = {PLAYED: "played", UNDERRUN: "underrun"}[event.kind]
            events.append((kind, int(event.item), bool(event.flag), int(event.position)))
        return events


class Pair:
    """The same commands to both."""

    def __init__(self, fade_ms: int, duck_ms: int) -> None:
        self.player = Player(fade_ms, duck_ms)
        self.reference = Reference(RATE // 1000 * fade_ms, RATE // 1000 * duck_ms)
        self.streams: list[tuple[Stream, Item]] = []
        self.seed = 0

    def noise(self, count: int) -> np.ndarray:
        self.seed += 1
        return noise(count, self.seed)

    def play(self, count: int) -> None:
        pcm = self.noise(count)
        assert self.player.play(pcm) == self.reference.play(pcm.tolist()).number

    def stream(self, room_ms: int, pre_buffer_ms: int) -> None:
        stream = self.player.stream(room_ms, min(pre_buffer_ms, room_ms))
        item = self.reference.stream(RATE // 1000 * room_ms, RATE // 1000 * min(pre_buffer_ms, room_ms))
        self.streams.append((stream, item))

    def write(self, count: int) -> None:
        for stream, item in self.streams[-2:]:
            pcm = self.noise(count)
            if not item.ended:
                assert stream.write(pcm) == item.write(pcm.tolist())
                assert item.gone or stream.room == item.room

    def end(self, which: int) -> None:
        for stream, item in self.streams[-which:]:
            stream.end()
            item.ended = True

    def background(self, count: int, gain_db: float, ducked_db: float) -> None:
        pcm = self.noise(count) if count else None
        status = self.player.background(pcm, gain_db, gain_db + ducked_db)
        if status > 0:
            self.reference.background.set(None if pcm is None else pcm.tolist(), gain_db, gain_db + ducked_db)

    def pause(self) -> None:
        self.player.pause()
        self.reference.paused = True

    def resume(self) -> None:
        self.player.resume()
        self.reference.paused = False

    def stop(self) -> None:
        self.player.stop()
        self.reference.stop()

    def arm(self, on: bool) -> None:
        lib.ve_player_arm(self.player.native, on)
        self.reference.armed = on

    def barge_in(self) -> None:
        assert self.player.barge_in() == self.reference.barge_in()
        assert lib.ve_player_paused(self.player.native) == self.reference.paused

    def render(self, count: int, frame: int) -> None:
        assert self.player.render(count, frame).tolist() == self.reference.render(count)
        assert self.player.events() == self.reference.events
        self.reference.events.clear()
        assert self.player.place == self.reference.place
        assert lib.ve_player_played(self.player.native) == self.reference.played
        for stream, item in self.streams:
            assert stream.room == (-32 if item.gone else item.room)  # -EPIPE


def commands(choose: random.Random) -> Iterator[tuple[Any, ...]]:
    """What may be asked of a player, the more often the more there is to go wrong."""
    frame = choose.choice([1, 7, 80, 160, 480])
    kinds = {
        "render": lambda: (choose.choice([1, 13, 40, 80, 160, 320, 700]), frame),
        "play": lambda: (choose.choice([1, 50, 200, 700]),),
        "stream": lambda: (choose.randint(20, 100), choose.choice([0, 0, 10, 40])),
        "write": lambda: (choose.choice([0, 20, 90, 160, 400, 2000]),),
        "end": lambda: (choose.randint(1, 2),),
        "pause": tuple,
        "resume": tuple,
        "stop": tuple,
        "arm": lambda: (choose.random() < 0.7,),
        "barge_in": tuple,
        "background": lambda: (choose.choice([0, 1, 300]), choose.choice([0.0, -6.0]), choose.choice([0.0, -14.5])),
    }
    weights = [45, 6, 4, 15, 2, 6, 8, 1, 3, 3, 2]
    while True:
        (kind,) = choose.choices(list(kinds), weights)
        yield kind, *kinds[kind]()


class TestAgainstTheReference:
    @settings(max_examples=30, deadline=None)
    @given(seed=st.integers(0), fade_ms=st.sampled_from([10, 20, 30]), duck_ms=st.sampled_from([20, 150]))
    def test_every_sample_event_and_position_is_that_of_the_reference(
        self, seed: int, fade_ms: int, duck_ms: int
    ) -> None:
        pair = Pair(fade_ms, duck_ms)
        for name, *arguments in itertools.islice(commands(random.Random(seed)), 150):
            getattr(pair, name)(*arguments)
        pair.stop()
        pair.background(0, 0.0, 0.0)
        pair.render(3000, 160)
        assert not pair.reference.queue
        assert not pair.player.render(160).any()


class TestFades:
    @pytest.mark.parametrize("fade_ms", [10, 20, 30])
    def test_a_fade_is_as_long_as_was_asked_for(self, fade_ms: int) -> None:
        player, fade = Player(fade_ms), 8 * fade_ms
        player.play(np.full(8000, 10000, np.int16))
        player.render(400)
        player.pause()
        falling = player.render(400)
        assert falling.tolist() == [10000 * gain // fade for gain in range(fade - 1, -1, -1)] + [0] * (400 - fade)
        assert player.place == (1, 400)
        player.resume()
        assert player.render(fade).tolist() == [10000 * gain // fade for gain in range(1, fade + 1)]

    @pytest.mark.parametrize("settings", [(9, 150), (31, 150), (20, 19), (20, 1001)])
    def test_others_are_refused(self, settings: tuple[int, int]) -> None:
        assert Player(*settings).status < 0

    def test_pausing_and_resuming_within_the_fade_goes_no_further_back_than_a_stream_keeps(self) -> None:
        player = Player(30)
        stream = player.stream(pre_buffer_ms=20)
        stream.write(tone(4000))
        player.render(1600)
        for _ in range(4):
            player.pause()
            player.render(100)
            player.resume()
            player.render(80)
        player.pause()
        player.render(400)
        assert player.place == (1, 1600 + 4 * 180 + 160 - 2 * 240)
        player.resume()
        assert np.array_equal(player.render(1000)[240:], tone(4000)[2240:3000])


class TestStreams:
    def test_a_stream_follows_and_is_followed_without_a_gap(self) -> None:
        player, before, streamed, after = Player(), noise(500), noise(900, 4), noise(500, 5)
        player.play(before)
        stream = player.stream()
        player.play(after)
        heard = [player.render(100)]
        for at in range(0, 900, 100):
            assert stream.write(streamed[at : at + 100]) == 100
            heard.append(player.render(100))
        stream.end()
        heard.append(player.render(900))
        assert np.array_equal(np.concatenate(heard), np.concatenate([before, streamed, after]))
        assert player.events() == [("played", 1, True, 500), ("played", 2, True, 900), ("played", 3, True, 500)]

    def test_it_begins_when_its_pre_buffer_is_full_or_there_will_be_no_more(self) -> None:
        for ended in (False, True):
            player = Player()
            stream = player.stream(pre_buffer_ms=100)
            stream.write(noise(799))
            assert not player.render(160).any()
            stream.write(noise(1)) if not ended else stream.end()
            assert np.array_equal(player.render(160), noise(799)[:160])

    def test_an_underrun_has_no_click_loses_nothing_and_is_told(self) -> None:
        player, wave = Player(), tone(4000)
        stream = player.stream(pre_buffer_ms=50)
        stream.write(wave[:1010])
        before, during = player.render(960), player.render(640)
        assert player.events() == [("underrun", 1, False, 1010)]
        assert not during[50 + 160 :].any()
        stream.write(wave[1010:1409])
        assert not player.render(160).any()  # one short of the pre-buffer
        stream.write(wave[1409:])
        stream.end()
        again = player.render(2990)
        assert np.array_equal(np.concatenate([before, during[:50], again[160:]])[:1010], wave[:1010])
        assert np.array_equal(again[160:], wave[1010 + 160 :])
        steps = np.abs(np.diff(np.concatenate([before, during, again]).astype(int)))
        assert steps.max() <= np.abs(np.diff(wave.astype(int))).max() + 12000 // 160
        assert player.events() == [("played", 1, True, 4000)]

    def test_an_end_that_comes_while_an_underrun_is_concealed_does_not_cut_it_short(self) -> None:
        player, wave = Player(), tone(1010)
        stream = player.stream()
        stream.write(wave)
        player.render(1050)
        stream.end()
        fading = player.render(120, 7)
        assert fading.tolist() == [int(int(wave[968 - i]) * (119 - i) / 160) for i in range(120)]
        assert player.events() == [("underrun", 1, False, 1010), ("played", 1, True, 1010)]

    def test_a_pause_after_an_underrun_goes_no_further_back_than_the_underrun(self) -> None:
        player, wave = Player(), tone(4000)
        stream = player.stream()
        stream.write(wave[:1000])
        player.render(1280)
        stream.write(wave[1000:1100])
        player.render(320)  # runs dry again while it fades in
        stream.write(wave[1100:])
        player.render(100)
        player.pause()
        player.render(320)
        assert player.place == (1, 1100)

    def test_what_a_pause_faded_is_said_again_though_the_writer_has_filled_all_the_room(self) -> None:
        player, wave = Player(), noise(20000)
        stream = player.stream(room_ms=128)  # and what is kept: a power of two
        said = stream.write(wave)
        assert said == 1024
        player.render(160)
        player.pause()
        player.render(320)
        while taken := stream.write(wave[said:]):
            said += taken
        player.resume()
        assert np.array_equal(player.render(said - 160)[160:], wave[320:said])

    def test_a_stopped_stream_lets_its_writer_go(self) -> None:
        player = Player()
        stream, waiting = player.stream(), player.stream()
        stream.write(noise(1000))
        player.render(100)
        player.stop()
        player.render(320)
        assert stream.write(noise(10)) is None
        assert waiting.write(noise(10)) is None
        assert player.events() == [("played", 1, False, 100), ("played", 2, False, 0)]

    def test_a_stop_drops_a_stream_that_waits_and_goes_on_within_the_frame(self) -> None:
        player, following = Player(), noise(500, 7)
        player.play(np.full(200, 8000, np.int16))
        player.stream()
        player.render(160)
        player.stop()
        player.play(following)
        heard = player.render(160)
        assert heard[:40].tolist() == [8000 * gain // 160 for gain in range(159, 119, -1)]
        assert np.array_equal(heard[40:], following[:120])


class TestBackground:
    @settings(max_examples=50, deadline=None)
    @given(
        schedule=st.lists(st.tuples(st.integers(0, 300), st.booleans(), st.integers(1, 2500)), min_size=1, max_size=12),
        ramp_ms=st.sampled_from([20, 150, 1000]),
        chop=st.integers(1, 600),
    )
    def test_every_sample_is_that_of_the_reference_in_frames_of_any_length(
        self, schedule: list[tuple[int, bool, int]], ramp_ms: int, chop: int
    ) -> None:
        native = ffi.new("struct ve_background *")
        assert lib.ve_background_open(native, RATE, ramp_ms) == 0
        reference, kept = ReferenceBackground(8 * ramp_ms), []
        for number, (length, ducked, count) in enumerate(schedule):
            if number % 3 == 0:
                kept.append(noise(length, number) if length else None)
                memory = ffi.from_buffer("int16_t[]", kept[-1]) if length else ffi.NULL
                if lib.ve_background_set(native, memory, length, -3.0, -15.0) > 0:
                    reference.set(kept[-1].tolist() if length else None, -3.0, -15.0)
            said = noise(count, 99)
            wanted = [reference.under(int(sample), ducked=ducked) for sample in said]
            for at in range(0, count, chop):
                part = said[at : at + chop]
                lib.ve_background_mix(native, ffi.from_buffer("int16_t[]", part), len(part), ducked)
            assert said.tolist() == wanted

    def test_music_makes_way_for_a_prompt_and_comes_back(self) -> None:
        player, music = Player(duck_ms=150), np.full(1000, 10000, np.int16)
        player.background(music, -6.0, -20.0)
        coming = player.render(1600).astype(int)
        assert coming[1200:].tolist() == [5012] * 400
        assert np.diff(coming[:1200]).max() <= 6
        player.play(np.full(1600, 1000, np.int16))
        under = player.render(1600).astype(int)
        assert under[1200:].tolist() == [2000] * 400
        assert under[1000] == 2000  # from -6 dB it is less far than from silence
        assert np.abs(np.diff(under)).max() <= 6
        back = player.render(1600).astype(int)
        assert back[-400:].tolist() == [5012] * 400

    def test_a_loop_goes_round(self) -> None:
        player, music = Player(duck_ms=20), noise(7, peak=20000)
        player.background(music)
        assert np.array_equal(player.render(700)[161:], np.tile(music, 100)[161:])

    def test_neither_a_pause_nor_a_stop_of_the_prompt_ends_it(self) -> None:
        for command in ("pause", "stop"):
            player = Player(duck_ms=20)
            player.background(np.full(1000, 10000, np.int16), 0.0, -20.0)
            player.play(np.full(8000, 1000, np.int16))
            player.render(800)
            getattr(player, command)()
            player.render(480)
            assert (player.render(160) == 10000).all()

    def test_nothing_fades_it_out_and_gives_its_memory_back(self) -> None:
        player, music = Player(duck_ms=100), np.full(1000, 10000, np.int16)
        assert player.background(music) == 1
        player.render(1600)
        assert player.background(None) == 2
        assert lib.ve_player_background_done(player.native) == 0
        fading = player.render(960).astype(int)
        assert (np.diff(fading[:800]) < 0).all()
        assert not fading[800:].any()
        assert lib.ve_player_background_done(player.native) == 1

    def test_a_loud_sum_is_bent_not_clipped(self) -> None:
        player, loud = Player(duck_ms=20), tone(8000, peak=30000)
        player.background(loud)
        player.play(loud)
        heard = player.render(8000).astype(int)
        assert np.abs(heard).max() < 32767
        assert np.unique(np.abs(heard)).size > 5


class TestPosition:
    def test_at_a_barge_in_it_says_what_was_being_said(self) -> None:
        player = Player()
        player.play(noise(1000))
        player.play(noise(1000))
        assert player.place == (0, 0)
        player.render(1480)
        assert player.place == (2, 480)
        lib.ve_player_arm(player.native, True)
        assert player.barge_in()
        player.render(320)
        assert player.place == (2, 480)
        player.stop()
        player.render(320)
        assert player.place == (0, 0)

    def test_a_barge_in_pauses_only_what_sounds_and_is_still_wanted(self) -> None:
        player = Player()
        player.play(noise(1000))
        assert not player.barge_in()
        lib.ve_player_arm(player.native, True)
        assert not player.barge_in()
        player.render(160)
        player.stop()
        assert not player.barge_in()
        following = noise(160, 9)
        player.play(following)
        player.render(160)
        assert np.array_equal(player.render(160), following)
