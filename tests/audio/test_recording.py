"""Recordings: both directions in time, pauses that keep nothing, disks that are full, processes that die."""

import os
import signal
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blocks import load
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.recorder import Put, recording

from tests.disk import small_disk
from voiceedge.audio import native, wav
from voiceedge.audio import recording as face
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.recording import Recorder, Recording, RecordingSettings
from voiceedge.audio.sealed import SiteKey, Vault, sweep, unseal
from voiceedge.errors import NativeError

ffi, lib = load("file", "wav", "opus", "recorder")
RATE = 8000
BLOCK = 160
PATIENCE_S = 60
Frames = np.ndarray


class Leg:
    """The part of a channel that a recorder sees."""

    def __init__(self, rate: int = RATE) -> None:
        self.rate, self.slot = rate, ffi.new("struct ve_recorder_slot *")
        self.overheard_by = ffi.new("struct ve_recorder_slot *")

    def attach_recorder(self, recorder: Any) -> None:
        if lib.ve_recorder_attach(self.slot, recorder):
            raise NativeError("It is being recorded already.")

    def detach_recorder(self, recorder: Any) -> None:
        lib.ve_recorder_detach(self.slot, recorder)

    def let_overhear(self, recorder: Any) -> None:
        assert lib.ve_recorder_attach(self.overheard_by, recorder) == 0

    def stop_overhearing(self, recorder: Any) -> None:
        lib.ve_recorder_detach(self.overheard_by, recorder)

    def says(self, said: Frames) -> None:
        lib.ve_recorder_slot_overhear(self.overheard_by, ffi.from_buffer("int16_t[]", said), len(said))

    def tick(self, frames: Frames) -> None:
        caller, heard = (ffi.from_buffer("int16_t[]", np.ascontiguousarray(side)) for side in frames)
        lib.ve_recorder_slot_put(self.slot, caller, heard, frames.shape[1])


@pytest.fixture(autouse=True)
def _native(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block by itself, which also lets tests play the media thread."""
    monkeypatch.setattr(face, "ffi", ffi)
    monkeypatch.setattr(face, "lib", lib)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder(RecordingSettings(settle_ms=0))
    yield recorder
    recorder.stop()


def noise(count: int, seed: int = 1) -> Frames:
    return np.random.default_rng(seed).integers(-32768, 32768, (2, count), np.int16)


def finish(recording: Recording) -> Frames:
    recording.close()
    recording.ended.result(PATIENCE_S)
    return wav.load_channels(recording.path)[0]


def until(true: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert true()


def test_what_the_caller_says_is_left_and_what_they_hear_is_right(recorder: Recorder, tmp_path: Path) -> None:
    leg, said = Leg(16000), noise(16000 * 2)
    file = recorder.record(leg, tmp_path / "call.wav")
    for start in range(0, said.shape[1], 320):
        leg.tick(said[:, start : start + 320])
    assert file.seconds == 2
    assert np.array_equal(finish(file), said)
    with wave.open(str(file.path)) as standard:
        assert (standard.getnchannels(), standard.getsampwidth(), standard.getframerate()) == (2, 2, 16000)
        assert standard.readframes(100_000) == said.T.tobytes()
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert (file.seconds, file.lost_ms, file.error) == (2, 0, None)


OPERATIONS = st.lists(
    st.one_of(st.integers(0, 700), st.sampled_from(["pause", "resume", "flush"])), min_size=1, max_size=40
)


@settings(max_examples=150, deadline=None)
@given(operations=OPERATIONS, rate=st.sampled_from([8000, 16000]), settle_ms=st.sampled_from([0, 1, 7, 40]))
def test_the_file_is_the_reference_whatever_the_frames_and_pauses(
    tmp_path_factory: pytest.TempPathFactory, operations: list[int | str], rate: int, settle_ms: int
) -> None:
    path = tmp_path_factory.mktemp("calls") / "call.wav"
    made = ffi.new("struct ve_recorder **")
    assert (
        lib.ve_recorder_open(made, os.fsencode(path), ffi.new("struct ve_recorder_settings *", [rate, settle_ms])) == 0
    )
    puts: list[Put] = []
    paused = False
    for operation in operations:
        match operation:
            case "pause":
                lib.ve_recorder_pause(made[0])
                paused = True
            case "resume":
                lib.ve_recorder_resume(made[0])
                paused = False
            case "flush":
                assert lib.ve_recorder_flush(made[0]) == 0
            case int():
                puts.append(Put(noise(operation, len(puts)), paused))
                caller, heard = (ffi.from_buffer("int16_t[]", side) for side in puts[-1].frames)
                lib.ve_recorder_put(made[0], caller, heard, operation)
    assert lib.ve_recorder_close(made[0]) == 0
    wanted = recording(puts, rate, settle_ms)
    with wave.open(str(path)) as file:
        assert file.readframes(1 << 20) == wanted.T.tobytes()


@settings(max_examples=40, deadline=None)
@given(chops=st.lists(st.integers(5, 900), min_size=1, max_size=10))
def test_any_chopping_gives_the_same_file(tmp_path_factory: pytest.TempPathFactory, chops: list[int]) -> None:
    leg, said = Leg(), noise(8000)
    recorder = Recorder(RecordingSettings(settle_ms=25))
    file = recorder.record(leg, tmp_path_factory.mktemp("calls") / "call.wav")
    puts = [Put(said[:, :3001], False), Put(said[:, 3001:4321], True), Put(said[:, 4321:], False)]
    for put in puts:
        file.pause() if put.paused else file.resume()
        at = 0
        while at < put.frames.shape[1]:
            chop = chops[at % len(chops)]
            leg.tick(put.frames[:, at : at + chop])
            at += chop
    assert np.array_equal(finish(file), recording(puts, RATE, 25))
    recorder.stop()


def test_a_channel_records_what_it_hears_and_what_it_says_in_the_same_tick(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(face, "ffi", native.ffi)
    monkeypatch.setattr(face, "lib", native.lib)
    said, prompt = noise(4000)
    recorder = Recorder()
    with Pipeline() as pipeline:
        channel = pipeline.channel(RATE)
        file = recorder.record(channel, tmp_path / "call.wav")
        channel.play(prompt)
        heard = []
        for at in range(0, 4000, 160):
            heard.append(channel.fetch(160))
            channel.feed(said[at : at + 160])
        kept = finish(file)
        recorder.stop()
        channel.release()
    assert np.array_equal(kept, [said, np.concatenate(heard)])
    assert np.abs(kept[1]).max() > 20000


def test_of_a_card_number_nothing_reaches_the_disk_nor_the_memory(recorder: Recorder, tmp_path: Path) -> None:
    leg, secret = Leg(), np.full((2, 1600), 0x5EC, np.int16)
    file = recorder.record(leg, tmp_path / "call.wav")
    leg.tick(noise(800))
    file.pause()
    leg.tick(secret)  # while what came before may still wait for the writer
    memory = bytes(ffi.buffer(file._native, 256 * 160 * 4))
    file.resume()
    leg.tick(noise(800))
    assert secret[:, :1].tobytes() * 4 not in memory
    kept = finish(file)
    assert kept.shape[1] == 3200
    assert not kept[:, 840:2400].any()
    assert secret[:, :1].tobytes() * 4 not in file.path.read_bytes()


def test_a_pause_does_not_click(recorder: Recorder, tmp_path: Path) -> None:
    leg = Leg()
    hum = (20000 * np.sin(2 * np.pi * 100 * np.arange(4000) / RATE)).astype(np.int16)
    file = recorder.record(leg, tmp_path / "call.wav")
    for number, start in enumerate(range(0, 4000, 500)):
        file.pause() if number % 2 else file.resume()
        leg.tick(np.stack([hum, hum])[:, start : start + 500])
    steps = np.abs(np.diff(finish(file).astype(int)))
    assert steps.max() <= np.abs(np.diff(hum.astype(int))).max() + 20000 // 40


def test_what_was_said_before_the_end_of_a_pause_and_arrives_after_it_is_not_kept(tmp_path: Path) -> None:
    recorder = Recorder(RecordingSettings(settle_ms=500))
    leg = Leg()
    file = recorder.record(leg, tmp_path / "call.wav")
    file.pause()
    leg.tick(noise(1600))
    file.resume()
    leg.tick(noise(8000))
    kept = finish(file)
    assert not kept[:, : 1600 + 4000].any()
    assert np.array_equal(kept[:, 1600 + 4040 :], noise(8000)[:, 4040:])
    recorder.stop()


def test_while_it_is_written_it_can_be_listened_to(recorder: Recorder, tmp_path: Path) -> None:
    leg, said = Leg(), noise(4000)
    file = recorder.record(leg, tmp_path / "call.wav")
    leg.tick(said)
    until(lambda: file._now().written == 4000)
    assert np.array_equal(wav.load_channels(file.path)[0], said)


def test_a_disk_that_does_not_answer_costs_sound_but_not_time(tmp_path: Path) -> None:
    made = ffi.new("struct ve_recorder **")
    path = tmp_path / "call.wav"
    assert lib.ve_recorder_open(made, os.fsencode(path), ffi.new("struct ve_recorder_settings *", [RATE])) == 0
    said, stats = noise(8 * RATE), ffi.new("struct ve_recorder_stats *")
    caller, heard = (ffi.from_buffer("int16_t[]", side) for side in said)
    lib.ve_recorder_put(made[0], caller, heard, 8 * RATE)
    assert lib.ve_recorder_flush(made[0]) == 0
    lib.ve_recorder_put(made[0], caller, heard, RATE)
    lib.ve_recorder_stats(made[0], stats)
    assert lib.ve_recorder_close(made[0]) == 0
    ring = 256 * 160
    assert stats.lost == 8 * RATE - ring
    pcm, _ = wav.load_channels(path)
    assert pcm.shape[1] == 9 * RATE
    assert np.array_equal(pcm[:, :ring], said[:, :ring])
    assert not pcm[:, ring : 8 * RATE].any()
    assert np.array_equal(pcm[:, 8 * RATE + 40 :], said[:, 40:RATE])


def test_while_a_file_is_slow_to_open_the_others_are_written_and_can_be_closed(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leg, said, opening, go_on = Leg(), noise(4000), threading.Event(), threading.Event()
    first = recorder.record(leg, tmp_path / "first.wav")

    class SlowDisk:
        def __getattr__(self, name: str) -> Any:
            return getattr(lib, name)

        def ve_recorder_open(self, *arguments: Any) -> int:
            opening.set()
            go_on.wait(PATIENCE_S)
            return int(lib.ve_recorder_open(*arguments))

    monkeypatch.setattr(face, "lib", SlowDisk())
    with ThreadPoolExecutor() as threads:
        second = threads.submit(recorder.record, Leg(), tmp_path / "second.wav")
        assert opening.wait(PATIENCE_S)
        leg.tick(said)
        assert np.array_equal(finish(first), said)
        stopping = threads.submit(recorder.stop)
        time.sleep(0.05)
        assert not stopping.done()
        go_on.set()
        second.result(PATIENCE_S).ended.result(PATIENCE_S)  # it came too late to stay open
        stopping.result(PATIENCE_S)
    assert (tmp_path / "second.wav").stat().st_size == 44


def test_a_file_that_cannot_be_opened_takes_nobodys_place(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face, "MOST", 2)
    for _ in range(3):
        with pytest.raises(NativeError, match="No such file"):
            recorder.record(Leg(), tmp_path / "nowhere" / "call.wav")
    for number in range(2):
        recorder.record(Leg(), tmp_path / f"{number}.wav")
    with pytest.raises(NativeError, match="2 recordings"):
        recorder.record(Leg(), tmp_path / "third.wav")


def test_a_name_that_is_taken_is_refused_and_left_alone(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "call.wav").write_bytes(b"mine")
    with pytest.raises(NativeError, match="exists"):
        recorder.record(Leg(), tmp_path / "call.wav")
    assert (tmp_path / "call.wav").read_bytes() == b"mine"


def test_a_call_is_recorded_once_at_a_time(recorder: Recorder, tmp_path: Path) -> None:
    leg = Leg()
    first = recorder.record(leg, tmp_path / "first.wav")
    with pytest.raises(NativeError, match="already"):
        recorder.record(leg, tmp_path / "second.wav")
    assert not (tmp_path / "second.wav").exists()
    first.close()
    first.close()
    recorder.record(leg, tmp_path / "second.wav")


def test_a_full_disk_ends_the_recording_validly_and_the_call_goes_on(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as full:
        leg, said = Leg(), noise(RATE)
        file = recorder.record(leg, tmp_path / "disk" / "call.wav")
        leg.tick(said)
        until(lambda: file.path.stat().st_size == 44 + 4 * RATE)
        with full():
            leg.tick(said)
            with pytest.raises(NativeError, match="No space left"):
                file.ended.result(PATIENCE_S)
        leg.tick(said)
        file.close()
        recorder.stop()
        assert file.error == "No space left on device"
        kept, _ = wav.load_channels(file.path)
        assert file.path.stat().st_size == 44 + 4 * kept.shape[1]
        assert RATE <= kept.shape[1] == file.seconds * RATE < 2 * RATE
        assert np.array_equal(kept, np.hstack([said, said])[:, : kept.shape[1]])


def test_a_sealed_recording_is_the_same_once_it_is_opened(tmp_path: Path) -> None:
    vault = Vault(SiteKey(bytes(32)), tmp_path / "drafts")
    recorder = Recorder(RecordingSettings(settle_ms=0), vault)
    leg, said = Leg(), noise(40 * RATE)
    file = recorder.record(leg, tmp_path / "call.wav.sealed")
    for second in range(40):
        leg.tick(said[:, second * RATE : (second + 1) * RATE])
        recorder._wake.set()
        until(lambda: file._now().written == file._now().frames)
    assert (tmp_path / "call.wav.sealed").stat().st_size > 30 * RATE * 4  # sealed while it grew
    file.close()
    file.ended.result(PATIENCE_S)
    (tmp_path / "opened.wav").write_bytes(b"".join(unseal(vault.key, file.path)))
    kept, _ = wav.load_channels(tmp_path / "opened.wav")
    assert file.lost_ms or np.array_equal(kept, said)
    assert not list(vault.drafts.iterdir())
    recorder.stop()


def test_a_full_disk_ends_a_sealed_recording_and_leaves_no_draft(tmp_path: Path) -> None:
    vault = Vault(SiteKey(bytes(32)), tmp_path / "drafts")
    recorder = Recorder(RecordingSettings(settle_ms=0), vault)
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as full:
        leg = Leg()
        file = recorder.record(leg, tmp_path / "disk" / "call.wav.sealed")
        with full():
            leg.tick(noise(5 * RATE))
            with pytest.raises(NativeError, match="No space left"):
                file.ended.result(PATIENCE_S)
        recorder.stop()
    assert file.error == "No space left on device"
    assert not list(vault.drafts.iterdir())


def test_drafts_of_processes_that_are_gone_are_swept(tmp_path: Path) -> None:
    vault = Vault(SiteKey(bytes(32)), tmp_path / "drafts")
    ours = vault.begin(tmp_path / "call.wav.sealed")
    gone = subprocess.Popen(["true"])
    gone.wait()
    theirs = vault.drafts / f"{gone.pid}-call.wav"
    ours.touch()
    theirs.touch()
    sweep(vault.drafts)
    assert list(vault.drafts.iterdir()) == [ours]


def test_a_stopped_recorder_has_completed_everything_and_takes_nothing_new(tmp_path: Path) -> None:
    recorder = Recorder()
    legs = [Leg() for _ in range(20)]
    files = [recorder.record(leg, tmp_path / f"{number}.wav") for number, leg in enumerate(legs)]
    for number, leg in enumerate(legs):
        leg.tick(noise(1000, number))
    begin = time.monotonic()
    recorder.stop(2 * PATIENCE_S)
    assert time.monotonic() - begin < PATIENCE_S
    for number, file in enumerate(files):
        assert file.ended.done()
        assert np.array_equal(wav.load_channels(file.path)[0], noise(1000, number))
        file.pause()
        file.close()
    with pytest.raises(NativeError, match="stops"):
        recorder.record(Leg(), tmp_path / "late.wav")
    recorder.stop()


CRASHING = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tests.audio.test_recording import *
face.ffi, face.lib = ffi, lib
leg, said = Leg(), noise(10 * RATE)
recorder = Recorder()
file = recorder.record(leg, Path(sys.argv[2]))
begin = time.monotonic()
print("recording", flush=True)
for tick in range(500):
    leg.tick(said[:, tick * 160 : tick * 160 + 160])
    print(file._now().written, flush=True)
    time.sleep(max(0, begin + (tick + 1) * 0.02 - time.monotonic()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_of_a_process_that_is_killed_all_that_was_flushed_is_kept(tmp_path: Path, seed: int) -> None:
    root, path = Path(__file__).parents[2], tmp_path / "call.wav"
    program = [sys.executable, "-c", CRASHING, str(root / "native"), str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root, root / "tests" / "audio")))}
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        written = 0
        while not written:
            written = int(process.stdout.readline())
        time.sleep(float(np.random.default_rng(seed).uniform(0, 1.2)))
        process.send_signal(signal.SIGKILL)
        written = max([written, *map(int, process.stdout.read().split())])
    kept, rate = wav.load_channels(path)
    assert rate == RATE
    assert kept.shape[1] >= written > 0
    assert np.array_equal(kept, noise(10 * RATE)[:, : kept.shape[1]])


def test_whom_the_caller_talks_with_is_recorded_with_what_they_hear(recorder: Recorder, tmp_path: Path) -> None:
    leg, kim, lee = Leg(), Leg(), Leg()
    recording = recorder.record(leg, tmp_path / "call.wav")
    quiet = noise(5 * BLOCK) // 4
    one, two = noise(5 * BLOCK, 2)[0] // 4, noise(5 * BLOCK, 3)[0] // 4
    for number, others in enumerate(([], [kim], [kim, lee], [lee], [])):
        recording.overhear(others)
        block = slice(number * BLOCK, (number + 1) * BLOCK)
        kim.says(one[block])
        lee.says(two[block])
        leg.tick(quiet[:, block])
    caller, heard = finish(recording)
    kim.says(one[:BLOCK])  # nobody listens any more
    expected = quiet[1].copy()
    expected[BLOCK : 3 * BLOCK] += one[BLOCK : 3 * BLOCK]
    expected[2 * BLOCK : 4 * BLOCK] += two[2 * BLOCK : 4 * BLOCK]
    edge = RATE // 200  # it begins softly
    assert np.array_equal(caller[edge:], quiet[0][edge:])
    assert np.array_equal(heard[edge:], expected[edge:])


def test_what_is_louder_than_full_scale_together_is_full_scale(recorder: Recorder, tmp_path: Path) -> None:
    leg, kim = Leg(), Leg()
    recording = recorder.record(leg, tmp_path / "call.wav")
    recording.overhear([kim])
    loud = np.full(BLOCK, 30000, np.int16)
    kim.says(loud)
    leg.tick(np.stack([loud, loud]))
    kim.says(-loud)
    leg.tick(np.stack([loud, -loud]))
    _, heard = finish(recording)
    assert set(heard[RATE // 200 : BLOCK]) == {32767}
    assert set(heard[BLOCK:]) == {-32768}


def test_what_is_overheard_is_said_once(recorder: Recorder, tmp_path: Path) -> None:
    leg, kim = Leg(), Leg()
    recording = recorder.record(leg, tmp_path / "call.wav")
    recording.overhear([kim])
    silence, said = np.zeros((2, BLOCK), np.int16), np.full(BLOCK, 1000, np.int16)
    leg.tick(silence)
    kim.says(said)
    leg.tick(silence)
    leg.tick(silence)
    _, heard = finish(recording)
    assert [int(heard[i * BLOCK + 80]) for i in range(3)] == [0, 1000, 0]
