import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import structlog

from voiceedge.audio import wav
from voiceedge.audio.line import RATE
from voiceedge.audio.prompts import Piece, PromptLibrary
from voiceedge.audio.synthesis import Synthesis
from voiceedge.errors import ModelMissingError, PromptError
from voiceedge.flow.call import Utterance


@dataclass
class Beeps:
    """An engine that is quick, deterministic and counts."""

    name: str = "beeps-1"
    languages: tuple[str, ...] = ("ko", "en")
    fails: Exception | None = None
    rendered: int = 0

    def speaks(self, language):
        return language in self.languages

    def render(self, text, language, voice, speed):
        self.rendered += 1
        if self.fails:
            raise self.fails
        return (np.arange(100 * len(text)) % 200 * 50).astype(np.int16)


def library(directory, *engines, voice="a", speed=1.0, **options):
    return PromptLibrary(directory, Synthesis(engines, voice, speed), **options)


def files(directory):
    return [path for path in Path(directory).rglob("*") if path.is_file()]


PIECE = Piece("안녕하세요.", "ko")


def test_an_utterance_is_played_sentence_by_sentence(tmp_path):
    pieces = library(tmp_path, Beeps()).pieces(Utterance("네. 1번을 눌러 주세요!", "ko"))
    assert [piece.text for piece in pieces] == ["네.", "일 번을 눌러 주세요!"]
    assert [piece.pause_ms for piece in pieces] == [250, 0]


@pytest.mark.parametrize("text", ["", "...", "😀", "ㅋㅋ", "\x00\x1b"])
def test_an_utterance_without_a_word_has_no_pieces(tmp_path, text):
    assert library(tmp_path, Beeps()).pieces(Utterance(text, "ko")) == []


def test_what_one_process_renders_another_finds(tmp_path):
    speech, worker = library(tmp_path, Beeps()), library(tmp_path, silent := Beeps())
    assert worker.lookup(PIECE) is None
    audio = speech.render(PIECE)
    assert np.array_equal(worker.lookup(PIECE), audio)
    assert silent.rendered == 0


def test_the_same_sentence_is_rendered_once(tmp_path):
    engine = Beeps()
    prompts = library(tmp_path, engine)
    prompts.render(PIECE)
    prompts.render(PIECE)
    library(tmp_path, engine).render(PIECE)
    assert engine.rendered == 1
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    "change", [{"voice": "b"}, {"speed": 1.1}, {"name": "beeps-2"}, {"text": "안녕."}, {"language": "en"}]
)
def test_a_change_of_anything_that_sounds_is_another_entry(tmp_path, change):
    library(tmp_path, Beeps()).render(PIECE)
    engine = Beeps(name=change.get("name", "beeps-1"))
    other = library(tmp_path, engine, voice=change.get("voice", "a"), speed=change.get("speed", 1.0))
    piece = replace(PIECE, **{key: value for key, value in change.items() if key in {"text", "language"}})
    assert other.lookup(piece) is None


def test_a_pause_follows_but_is_not_part_of_the_entry(tmp_path):
    prompts = library(tmp_path, Beeps())
    alone = prompts.render(PIECE)
    followed = prompts.lookup(replace(PIECE, pause_ms=250))
    assert len(followed) - len(alone) == RATE // 4
    assert not followed[len(alone) :].any()


def test_a_recording_wins(tmp_path):
    recorded = np.full(RATE, 1000, np.int16)
    wav.save(tmp_path / "hello.wav", recorded, RATE)
    prompts = library(tmp_path / "cache", engine := Beeps())
    (piece,) = prompts.pieces(Utterance("안녕하세요.", "ko", str(tmp_path / "hello.wav")))
    assert np.array_equal(prompts.lookup(piece), recorded)
    assert np.array_equal(prompts.render(piece), recorded)
    assert engine.rendered == 0


def test_a_new_recording_is_heard_at_once(tmp_path):
    path = tmp_path / "hello.wav"
    prompts = library(tmp_path / "cache", Beeps())
    for samples in (RATE, RATE // 2):
        wav.save(path, np.full(samples, 1000, np.int16), RATE)
        (piece,) = prompts.pieces(Utterance("안녕하세요.", "ko", str(path)))
        assert len(prompts.lookup(piece)) == samples


def test_a_recording_that_does_not_exist_yet_is_synthesised(tmp_path):
    prompts = library(tmp_path, Beeps())
    assert prompts.pieces(Utterance("안녕하세요.", "ko", str(tmp_path / "none.wav"))) == [PIECE]


@pytest.mark.parametrize("content", [b"", b"not a wav", b"RIFF\x00\x00\x00\x00WAVE", os.urandom(4096)])
def test_a_recording_that_is_no_wav_is_named_and_its_text_is_said(tmp_path, content):
    path = tmp_path / "hello.wav"
    path.write_bytes(content)
    with pytest.raises(PromptError, match=r"hello\.wav"):
        wav.load(path, RATE)
    prompts = library(tmp_path / "cache", Beeps())
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            assert prompts.pieces(Utterance("안녕하세요.", "ko", str(path))) == [PIECE]
    (warning,) = logs
    assert warning["event"] == "recording_unusable"
    assert str(path) in warning["reason"]


def test_the_next_engine_speaks_when_the_best_fails_and_is_not_taken_for_it(tmp_path):
    best, last = Beeps("best", fails=ModelMissingError("gone")), Beeps("last")
    prompts = library(tmp_path, best, last)
    assert len(prompts.render(PIECE))
    assert library(tmp_path, Beeps("best"), last).lookup(PIECE) is None


def test_the_last_resort_leaves_nothing_on_disk_and_the_best_is_rendered_later(tmp_path):
    best, last = Beeps("best"), Beeps("last")
    prompts = library(tmp_path, best, last)
    prompts.last_resort(PIECE)
    assert (best.rendered, last.rendered, files(tmp_path)) == (0, 1, [])
    assert prompts.lookup(PIECE) is None
    prompts.render(PIECE)
    assert best.rendered == 1


def test_nobody_to_speak_is_an_error_that_helps(tmp_path):
    with pytest.raises(PromptError, match="apt-get install espeak-ng"):
        library(tmp_path).render(PIECE)
    with pytest.raises(PromptError, match="reword"):
        library(tmp_path, Beeps(fails=PromptError("silence; reword it"))).render(PIECE)


def test_a_damaged_entry_is_rendered_again(tmp_path):
    library(tmp_path, engine := Beeps()).render(PIECE)
    (entry,) = files(tmp_path)
    entry.write_bytes(entry.read_bytes()[:50])
    fresh = library(tmp_path, engine)
    assert fresh.lookup(PIECE) is None
    assert np.array_equal(fresh.render(PIECE), library(tmp_path, engine).lookup(PIECE))
    assert engine.rendered == 2


@pytest.fixture
def small_disk(tmp_path):
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield directory
    subprocess.run(["umount", directory], check=True)


def test_a_full_disk_costs_the_cache_and_nothing_else(small_disk):
    prompts = library(small_disk, Beeps())
    pieces = [Piece("가" * 50 + str(number), "ko") for number in range(20)]
    with structlog.testing.capture_logs() as logs:
        audio = [prompts.render(piece) for piece in pieces]
    assert [entry["event"] for entry in logs] == ["prompt_not_cached"]
    assert "free space" in logs[0]["reason"]
    assert all(np.array_equal(prompts.lookup(piece), each) for piece, each in zip(pieces, audio, strict=True))
    whole = [path for path in files(small_disk) if path.suffix == ".wav"]
    assert files(small_disk) == whole
    assert 0 < len(whole) < 20
    assert all(len(wav.load(path, RATE)) >= 5000 for path in whole)


def test_a_cache_that_cannot_be_made_costs_the_cache_and_nothing_else(tmp_path):
    (tmp_path / "file").write_text("in the way")
    prompts = library(tmp_path / "file" / "cache", Beeps())
    audio = prompts.render(PIECE)
    assert np.array_equal(prompts.lookup(PIECE), audio)


def test_what_the_speech_process_could_not_store_can_be_kept_in_memory(tmp_path):
    speech, worker = library(Path("/dev/full"), Beeps()), library(tmp_path, Beeps())
    piece = replace(PIECE, pause_ms=250)
    worker.remember(piece, speech.render(piece))
    assert np.array_equal(worker.lookup(piece), speech.render(piece))


def test_memory_is_bounded(tmp_path):
    prompts = library(Path("/dev/full"), engine := Beeps(), memory_bytes=100_000)
    pieces = [Piece("가" * 100 + str(number), "ko") for number in range(20)]  # 20 kB each
    for piece in pieces:
        prompts.render(piece)
    kept = [piece for piece in pieces if prompts.lookup(piece) is not None]
    assert kept == pieces[-len(kept) :]
    assert 3 <= len(kept) <= 5
    assert engine.rendered == 20


def test_the_oldest_entries_leave_a_full_cache(tmp_path):
    prompts = library(tmp_path, Beeps(), disk_bytes=45_000)
    pieces = [Piece("가" * 100 + str(number), "ko") for number in range(4)]
    for age, piece in enumerate(pieces):
        prompts.render(piece)
        newest = max(files(tmp_path), key=lambda path: path.stat().st_ctime_ns)
        os.utime(newest, (age, age))
    prompts.trim()
    fresh = library(tmp_path, Beeps())
    assert [fresh.lookup(piece) is not None for piece in pieces] == [False, False, True, True]


def test_audio_from_the_library_cannot_be_changed_by_a_player(tmp_path):
    audio = library(tmp_path, Beeps()).render(PIECE)
    with pytest.raises(ValueError, match="read-only"):
        audio[0] = 1


def test_prompts_are_rendered_ahead_once_each_with_progress(tmp_path):
    prompts = library(tmp_path, engine := Beeps())
    seen = []
    failed = prompts.render_ahead(
        [Utterance("네. 맞습니다.", "ko"), Utterance("맞습니다.", "ko"), Utterance("...", "ko")],
        lambda *at: seen.append(at),
    )
    assert (failed, engine.rendered, seen) == (0, 2, [(1, 2), (2, 2)])


def test_rendering_ahead_goes_on_after_a_failure(tmp_path):
    prompts = library(tmp_path, Beeps(languages=("ko",)))
    assert prompts.render_ahead([Utterance("One.", "en"), Utterance("네.", "ko")]) == 1


def test_nothing_a_caller_said_reaches_the_log(tmp_path):
    prompts = library(tmp_path, Beeps())
    with structlog.testing.capture_logs() as logs:
        prompts.pieces(Utterance("Kildong 고객님 😀 ㅋㅋ", "ko"))
    assert logs
    assert "Kildong" not in str(logs)


def test_the_audio_of_personal_data_is_kept_nowhere(tmp_path):
    prompts = library(tmp_path, engine := Beeps())
    (piece,) = prompts.pieces(Utterance("김철수 님", "ko", personal=True))
    prompts.remember(piece, prompts.render(piece))
    prompts.render(piece)
    assert engine.rendered == 2
    assert prompts.lookup(piece) is None
    assert files(tmp_path) == []
