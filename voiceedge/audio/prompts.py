"""Prompts as audio: recorded where a recording exists, else synthesised sentence by sentence and cached by content."""

import contextlib
import hashlib
import json
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import structlog

from voiceedge.audio import reading, wav
from voiceedge.audio.line import RATE, Pcm
from voiceedge.audio.synthesis import Synthesis, Synthesiser
from voiceedge.errors import ModelMissingError, PromptError

_FORMAT = 1  # part of every key: raise it when level, rate or trimming change
_BETWEEN_SENTENCES_MS = 250
_TRIM_EVERY = 100  # entries stored between two looks at the cache's size

log = structlog.get_logger()


class Spoken(Protocol):
    """What a flow says; `voiceedge.flow.call.Utterance` is one."""

    @property
    def text(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def recording(self) -> str | None: ...
    @property
    def personal(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """What is played in one go: a recording, or one sentence as it is read out. `pause_ms` of silence follow it.

    The audio of a `personal` one is kept nowhere, neither on disk nor in memory.
    """

    text: str
    language: str
    recording: str | None = None
    pause_ms: int = 0
    personal: bool = False


class PromptLibrary:
    """One in every process. They share `cache_dir`: the speech process renders into it, workers look pieces up.

    A worker plays `lookup(piece)`, asks the speech process to `render` what is not there, and takes `last_resort`
    when that process is gone.
    """

    def __init__(
        self, cache_dir: Path, renderer: Synthesis, *, memory_bytes: int = 32 << 20, disk_bytes: int = 512 << 20
    ) -> None:
        self._dir, self.renderer = cache_dir, renderer
        self._memory = _Memory(memory_bytes)
        self._disk_bytes, self._stored = disk_bytes, 0
        self._warned: set[str] = set()

    def pieces(self, utterance: Spoken) -> list[Piece]:
        """The utterance as it is played: its recording, or sentence by sentence so that the first can start early."""
        if utterance.recording and self._recording(utterance.recording) is not None:
            return [Piece("", utterance.language, utterance.recording)]
        spoken = reading.read(utterance.text, utterance.language)
        for note in spoken.notes:
            self._warn_once("prompt_reading_reduced", note.kind)  # its text may be personal
        sentences = reading.sentences(spoken.text)
        pauses = [_BETWEEN_SENTENCES_MS] * (len(sentences) - 1) + [0]
        return [
            Piece(sentence, utterance.language, pause_ms=pause, personal=utterance.personal)
            for sentence, pause in zip(sentences, pauses, strict=False)
        ]

    def in_memory(self, piece: Piece) -> Pcm | None:
        """The audio if it is there without a look at the disk, but for whether a recording has changed."""
        if piece.recording:
            try:
                return self._memory.get(_version(piece.recording))
            except OSError:  # `lookup` says so
                return None
        engine = None if piece.personal else self._best(piece.language)
        audio = self._memory.get(self._key(engine, piece)) if engine else None
        return None if audio is None else _paused(audio, piece)

    def lookup(self, piece: Piece) -> Pcm | None:
        """The audio if memory or disk has it; renders nothing."""
        if piece.recording:
            return self._recording(piece.recording)
        if piece.personal:
            return None
        engine = self._best(piece.language)
        audio = self._cached(self._key(engine, piece)) if engine else None
        return None if audio is None else _paused(audio, piece)

    def render(self, piece: Piece) -> Pcm:
        """The audio by the best engine that works, cached unless personal. Blocks meanwhile. Raises PromptError."""
        ready = self.lookup(piece)
        if ready is not None:
            return ready
        return self._render_by(self.renderer.for_language(piece.language), piece, keep=True)

    def last_resort(self, piece: Piece) -> Pcm:
        """The audio by the cheapest engine, some 30 ms, never written to disk. Raises PromptError."""
        return self._render_by(self.renderer.for_language(piece.language)[-1:], piece, keep=False)

    def remember(self, piece: Piece, audio: Pcm) -> None:
        """Keep in memory what another process's `render` returned and could not store."""
        engine = self._best(piece.language)
        if engine and not piece.recording and not piece.personal:
            self._memory.put(self._key(engine, piece), audio[: len(audio) - _pause_samples(piece)].copy())

    def render_ahead(self, utterances: Iterable[Spoken], progress: Callable[[int, int], None] | None = None) -> int:
        """Render what is not cached yet, `progress(done, all)` after each piece; returns how many failed."""
        wanted = list(dict.fromkeys(piece for utterance in utterances for piece in self.pieces(utterance)))
        failed = 0
        for done, piece in enumerate(wanted, 1):
            try:
                self.render(piece)
            except PromptError as error:
                failed += 1
                self._warn_once("prompt_not_rendered", str(error))
            if progress:
                progress(done, len(wanted))
        return failed

    def trim(self) -> None:
        """Delete the oldest entries until the cache fits `disk_bytes`."""
        found = []
        for path in self._dir.glob("*/*.wav"):
            with contextlib.suppress(FileNotFoundError):  # another process trims too
                facts = path.stat()
                found.append((facts.st_mtime, facts.st_size, path))
        excess = sum(size for _, size, _ in found) - self._disk_bytes
        for _, size, path in sorted(found):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= size

    def _best(self, language: str) -> Synthesiser | None:
        return next(iter(self.renderer.for_language(language)), None)

    def _render_by(self, engines: Iterable[Synthesiser], piece: Piece, *, keep: bool) -> Pcm:
        problem: Exception | None = None
        for engine in engines:
            try:
                audio = engine.render(piece.text, piece.language, self.renderer.voice, self.renderer.speed)
            except (PromptError, ModelMissingError) as error:
                self._warn_once("synthesis_failed", str(error))
                problem = error
                continue
            if not piece.personal:
                key = self._key(engine, piece)
                self._memory.put(key, audio)
                if keep:
                    self._store(key, audio)
            return _paused(audio, piece)
        nobody = f"No synthesiser speaks {piece.language!r} here: apt-get install espeak-ng."
        raise PromptError(str(problem or nobody)) from problem

    def _key(self, engine: Synthesiser, piece: Piece) -> str:
        facts = [_FORMAT, engine.name, self.renderer.voice, self.renderer.speed, piece.language, piece.text]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _path(self, key: str) -> Path:
        return self._dir / key[:2] / f"{key}.wav"

    def _cached(self, key: str) -> Pcm | None:
        audio = self._memory.get(key)
        if audio is not None:
            return audio
        path = self._path(key)
        if not path.exists():
            return None
        try:
            audio = wav.load(path, RATE)
        except PromptError as error:  # cut short by a power failure: render it again
            self._warn_once("prompt_cache_damaged", str(error))
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        self._memory.put(key, audio)
        return audio

    def _recording(self, name: str) -> Pcm | None:
        """A recording's audio, read again when the file changes; None, with a warning, where it cannot be used."""
        try:
            key = _version(name)
            audio = self._memory.get(key)
            if audio is None:
                audio = wav.load(Path(name), RATE)
                self._memory.put(key, audio)
        except FileNotFoundError:
            return None  # not recorded yet: the text is said instead
        except (PromptError, OSError) as error:
            self._warn_once("recording_unusable", f"{error} The text is said instead.")
            return None
        return audio

    def _store(self, key: str, audio: Pcm) -> None:
        """Write an entry whole or not at all; without disk the call goes on with what is in memory."""
        path = self._path(key)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._dir, prefix=".new-") as folder:
                unfinished = Path(folder) / path.name
                wav.save(unfinished, audio, RATE)
                unfinished.replace(path)
        except OSError as error:
            reason = f"{self._dir}: prompts cannot be cached ({error.strerror}); free space or move site.data_dir."
            self._warn_once("prompt_not_cached", reason)
            return
        self._stored += 1
        if self._stored % _TRIM_EVERY == 0:
            self.trim()

    def _warn_once(self, event: str, reason: str) -> None:
        if reason not in self._warned:
            self._warned.add(reason)
            log.warning(event, reason=reason)


class _Memory:
    """The pieces used last, as many as fit."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._size = most_bytes, 0
        self._audio: OrderedDict[str, Pcm] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Pcm | None:
        with self._lock:
            audio = self._audio.get(key)
            if audio is not None:
                self._audio.move_to_end(key)
            return audio

    def put(self, key: str, audio: Pcm) -> None:
        audio.setflags(write=False)
        with self._lock:
            replaced = self._audio.pop(key, None)
            self._size += audio.nbytes - (0 if replaced is None else replaced.nbytes)
            self._audio[key] = audio
            while self._size > self._most and len(self._audio) > 1:
                self._size -= self._audio.popitem(last=False)[1].nbytes


def _version(name: str) -> str:
    """Of a recording's file. Raises OSError."""
    facts = Path(name).stat()
    return f"{name}:{facts.st_mtime_ns}:{facts.st_size}"


def _paused(audio: Pcm, piece: Piece) -> Pcm:
    if not piece.pause_ms:
        return audio
    return np.concatenate([audio, np.zeros(_pause_samples(piece), np.int16)])


def _pause_samples(piece: Piece) -> int:
    return RATE * piece.pause_ms // 1000
