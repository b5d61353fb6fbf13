"""Recordings in Ogg Opus: what a player of RFC 7845 finds in them, at every moment of their growth."""

import ctypes.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blocks import load
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ogg

pytestmark = pytest.mark.skipif(not ctypes.util.find_library("opus"), reason="libopus is not installed")

ffi, lib = load("file", "wav", "opus", "recorder")
API = ffi.new("struct ve_opus_api *")


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    assert lib.ve_opus_load(API) == ffi.NULL


def opened(path: Path, rate: int, bits_per_s: int = 24000, api: Any = API) -> Any:
    recorder = ffi.new("struct ve_recorder **")
    wanted = ffi.new("struct ve_recorder_settings *", [rate, 0, 0, bits_per_s, api])
    status = lib.ve_recorder_open(recorder, os.fsencode(path), wanted)
    return recorder[0] if status == 0 else status


def put(recorder: Any, frames: np.ndarray) -> None:
    caller, heard = (ffi.from_buffer("int16_t[]", np.ascontiguousarray(side)) for side in frames)
    lib.ve_recorder_put(recorder, caller, heard, frames.shape[1])


def two_voices(rate: int, seconds: float) -> np.ndarray:
    """A gliding tone each, in turns."""
    t = np.arange(int(rate * seconds)) / rate
    turn = np.floor(t) % 2
    low, high = (8000 * np.sin(2 * np.pi * (base + 60 * np.sin(2 * t)) * t) for base in (300, 900))
    return np.stack([low * turn, high * (1 - turn)]).astype(np.int16)


def lag_of(heard: np.ndarray, said: np.ndarray, most: int) -> int:
    lags = range(-most, most + 1)
    middle = slice(most, len(said) - most)
    return max(lags, key=lambda lag: float(heard[most + lag : len(said) - most + lag] @ said[middle]))


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_player_finds_both_directions_in_time(tmp_path: Path, rate: int) -> None:
    said = two_voices(rate, 4.123)
    recorder = opened(tmp_path / "call.opus", rate)
    for at in range(0, said.shape[1], rate // 5):
        put(recorder, said[:, at : at + rate // 5])
        assert lib.ve_recorder_flush(recorder) == 0
    assert lib.ve_recorder_close(recorder) == 0
    data = (tmp_path / "call.opus").read_bytes()
    *_, last = ogg.pages(data)
    heard = ogg.decode(data)[:, :: 48000 // rate]
    assert last.kind == ogg.LAST
    assert heard.shape == said.shape
    for side in range(2):
        lag = lag_of(heard[side].astype(float), said[side].astype(float), most=rate // 50)
        assert abs(lag) <= rate // 1000
        assert np.corrcoef(heard[side], said[side])[0, 1] > 0.7  # a codec keeps spectra, not waveforms
        its_turn, the_others = (
            heard[side, int((1.2 + after) * rate) : int((1.9 + after) * rate)] for after in (side, 1 - side)
        )
        assert np.square(the_others, dtype=float).mean() < np.square(its_turn, dtype=float).mean() / 1000
    assert len(data) < 4.2 * 24000 / 8 * 1.5
    assert (tmp_path / "call.opus").stat().st_mode & 0o777 == 0o600


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.one_of(st.integers(0, 3000), st.sampled_from(["pause", "resume", "flush"])), max_size=30))
def test_its_length_is_that_of_the_call_whatever_is_paused(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | str]
) -> None:
    path = tmp_path_factory.mktemp("calls") / "call.opus"
    recorder, total = opened(path, 8000), 0
    for step in steps:
        match step:
            case "pause":
                lib.ve_recorder_pause(recorder)
            case "resume":
                lib.ve_recorder_resume(recorder)
            case "flush":
                assert lib.ve_recorder_flush(recorder) == 0
            case int():
                put(recorder, two_voices(8000, 1)[:, :1].repeat(step, axis=1))
                total += step
    assert lib.ve_recorder_close(recorder) == 0
    assert ogg.decode(path.read_bytes()).shape[1] == total * 6


def test_a_long_pause_is_silence(tmp_path: Path) -> None:
    recorder, said = opened(tmp_path / "call.opus", 8000), two_voices(8000, 2)
    put(recorder, said)
    lib.ve_recorder_pause(recorder)
    put(recorder, said)
    lib.ve_recorder_resume(recorder)
    put(recorder, said)
    assert lib.ve_recorder_close(recorder) == 0
    heard = ogg.decode((tmp_path / "call.opus").read_bytes())
    assert heard.shape[1] == 6 * 48000
    assert np.abs(heard[:, 48000 * 21 // 10 : 48000 * 39 // 10]).max() < 100


@pytest.mark.parametrize("bits_per_s", [24000, 64000])  # a codec of voices, one of music
@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_long_pause_keeps_the_writer_no_longer_than_a_short_one(tmp_path: Path, rate: int, bits_per_s: int) -> None:
    encoded = 0

    @ffi.callback("int32_t(void *, int16_t *, int, unsigned char *, int32_t)")
    def encode(*arguments: Any) -> int:
        nonlocal encoded
        encoded += 1
        return int(API.encode(*arguments))

    counting = ffi.new("struct ve_opus_api *", API[0])
    counting.encode = encode
    recorder, said = opened(tmp_path / "call.opus", rate, bits_per_s, counting), two_voices(rate, 2)
    for _ in range(2):
        put(recorder, said)
        assert lib.ve_recorder_flush(recorder) == 0
        lib.ve_recorder_pause(recorder)
        put(recorder, np.zeros((2, 100 * rate + 77), np.int16))
        lib.ve_recorder_resume(recorder)
    put(recorder, said)
    assert lib.ve_recorder_close(recorder) == 0
    assert encoded < 400  # 6 s of sound are 300, and what is in between 10000
    heard = ogg.decode((tmp_path / "call.opus").read_bytes())[:, :: 48000 // rate]
    assert heard.shape[1] == 3 * said.shape[1] + 2 * (100 * rate + 77)
    for at in (0, 102 * rate + 77, 204 * rate + 154):
        for side in range(2):
            again = heard[side, at : at + said.shape[1]].astype(float)
            lag = lag_of(again, said[side].astype(float), most=rate // 50)
            assert abs(lag) <= rate // 1000
            assert np.corrcoef(np.roll(again, -lag), said[side])[0, 1] > 0.6
    for at in (2 * rate, 104 * rate + 77):
        assert np.abs(heard[:, at + rate // 10 : at + 100 * rate - rate // 10]).max() <= 2


def test_whenever_the_writer_dies_whole_pages_are_there(tmp_path: Path) -> None:
    path, said = tmp_path / "call.opus", two_voices(8000, 2)
    recorder, stats = opened(path, 8000), ffi.new("struct ve_recorder_stats *")
    for at in range(0, 16000, 1600):
        put(recorder, said[:, at : at + 1600])
        assert lib.ve_recorder_flush(recorder) == 0
        lib.ve_recorder_stats(recorder, stats)
        assert ogg.decode(path.read_bytes()).shape[1] == stats.written * 6
        assert at + 1600 - stats.written <= 160
    data = path.read_bytes()
    assert lib.ve_recorder_close(recorder) == 0
    for end in np.random.default_rng(1).integers(200, len(data), 20):
        assert ogg.decode(data[:end]).shape[1] <= stats.written * 6


def test_strange_settings_and_taken_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "call.opus").write_bytes(b"mine")
    assert opened(tmp_path / "call.opus", 8000) < 0
    assert opened(tmp_path / "other.opus", 8000, 23999) < 0
    assert opened(tmp_path / "other.opus", 8000, 200001) < 0
    assert [path.name for path in tmp_path.iterdir()] == ["call.opus"]
