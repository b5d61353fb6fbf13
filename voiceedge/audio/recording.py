"""Recordings of calls, the caller left and what they hear right, all written by one thread (native/src/recorder.c)."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from voiceedge.audio.native import check, ffi, lib, raise_problem
from voiceedge.audio.sealed import SUFFIX, Sealer, Vault
from voiceedge.errors import NativeError

FLUSH_S = 0.2  # a crash of this process loses no more than this
MOST = 500  # recordings at a time


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    settle_ms: int = 500  # after `resume`, what was said before is still under way in network and jitter buffer
    sync_ms: int = 5000  # a loss of power loses no more than this; 0: whatever the system had not written yet
    bits_per_s: int = 24000  # of Opus; WAV has 256000 at 8 kHz


class Recordable(Protocol):
    """What has a caller and lets itself be recorded: a Channel."""

    @property
    def rate(self) -> int: ...
    def attach_recorder(self, recorder: Any) -> None: ...
    def detach_recorder(self, recorder: Any) -> None: ...


class Overhearable(Protocol):
    """Somebody the caller talks with: another Channel of the same rate."""

    def let_overhear(self, recorder: Any) -> None: ...
    def stop_overhearing(self, recorder: Any) -> None: ...


class Recording:
    """One file that grows. All methods return at once and may be called by any thread."""

    def __init__(
        self, path: Path, channel: Recordable, native: Any, wake: threading.Event, sealer: Sealer | None
    ) -> None:
        self.path = path
        self._sealer, self._unsealed = sealer, ""  # why sealing ended before its time
        self.ended: Future[None] = Future()  # the file is complete, or why it ends before the call
        self.ended.set_running_or_notify_cancel()  # who stops waiting for it does not stop the recording
        self._channel, self._native, self._wake = channel, native, wake
        self._lock = threading.Lock()  # `_native` stays while it is held; writing goes on meanwhile
        self._stats = ffi.new("struct ve_recorder_stats *")
        self._others: list[Overhearable] = []
        self._closing = False

    def pause(self) -> None:
        """Keep nothing of what is said from now on: the file has silence there, so its times stay those of the call."""
        with self._lock:
            if self._native != ffi.NULL:
                lib.ve_recorder_pause(self._native)

    def resume(self) -> None:
        """Go on recording, `settle_ms` from now."""
        with self._lock:
            if self._native != ffi.NULL:
                lib.ve_recorder_resume(self._native)

    def overhear(self, others: Sequence[Overhearable]) -> None:
        """Whoever talks with the caller, on these channels and no others, belongs to what the caller hears.

        Raises NativeError where one is released, or is being overheard for another recording.
        """
        with self._lock:
            if self._native == ffi.NULL or self._closing:
                return
            self._forget_others()
            for other in others:
                other.let_overhear(self._native)
                self._others.append(other)

    def close(self) -> None:
        """Take nothing more; `ended` tells when the file is complete."""
        with self._lock:
            if self._closing:
                return
            self._forget_others()
            self._channel.detach_recorder(self._native)
            self._closing = True
        self._wake.set()

    def _forget_others(self) -> None:
        while self._others:
            self._others.pop().stop_overhearing(self._native)

    @property
    def seconds(self) -> float:
        """How long it is, pauses included."""
        stats = self._now()
        return float(stats.written if stats.error else stats.frames) / self._channel.rate

    @property
    def lost_ms(self) -> int:
        """How much became silence because the disk was too slow."""
        return int(self._now().lost) * 1000 // self._channel.rate

    @property
    def error(self) -> str | None:
        """Why it ends before the call."""
        if self._unsealed:
            return self._unsealed
        return os.strerror(error) if (error := int(self._now().error)) else None

    def write(self) -> bool:
        """Bring what there is to disk. False once this was the last time. The writing thread only, as it also frees."""
        last = self._closing
        if last:
            with self._lock:
                lib.ve_recorder_stats(self._native, self._stats)
                native, self._native = self._native, ffi.NULL
            status = lib.ve_recorder_close(native)
            self._stats.error = self._stats.error or -status
        else:
            status = lib.ve_recorder_flush(self._native)
        try:
            check(status, f"to go on recording to {self.path}")
            self._seal(last=last)
        except NativeError as error:
            self.ended.set_exception(error)
        if last and not self.ended.done():
            self.ended.set_result(None)
        return not last

    def _seal(self, *, last: bool) -> None:
        if not self._sealer or self._unsealed:
            return
        try:
            if last:
                self._sealer.finish()
            else:
                self._sealer.advance()
        except OSError as error:
            self._unsealed = error.strerror or str(error)
            self._sealer.abandon()
            self.close()
            raise NativeError(f"{self.path} cannot be sealed: {self._unsealed}") from error

    def _now(self) -> Any:
        with self._lock:
            if self._native != ffi.NULL:
                lib.ve_recorder_stats(self._native, self._stats)
            return self._stats


def load_opus() -> Any:
    """The encoder's functions. Raises NativeError without libopus."""
    api = ffi.new("struct ve_opus_api *")
    raise_problem(lib.ve_opus_load(api))
    return api


def _is_opus(path: Path) -> bool:
    return path.name.removesuffix(SUFFIX).endswith(".opus")


class Recorder:
    """The recordings of this process and the thread that writes them, which begins with the first one."""

    def __init__(self, settings: RecordingSettings | None = None, vault: Vault | None = None) -> None:
        self.settings = settings or RecordingSettings()
        self.vault = vault
        self._lock = threading.Lock()
        self._recordings: list[Recording] = []
        self._opening = 0  # files: places that are taken already
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._opus: Any = None

    def record(self, channel: Recordable, path: Path) -> Recording:
        """Record into a new file that only its owner may read: Ogg Opus if it ends in .opus, else WAV.

        With a vault the file is sealed, and `path` ends in .sealed besides. Raises NativeError, also where `path`
        exists already, and for .opus without libopus; OSError where nothing can be sealed.
        """
        self._reserve(path)
        try:
            recording = self._open(channel, path)  # without the lock: a slow disk keeps no other from being written
            with self._lock:
                self._recordings.append(recording)
        finally:
            with self._lock:
                self._opening -= 1
                stopping = self._stopping
            self._wake.set()
        if stopping:  # `stop` did not know it yet
            recording.close()
        return recording

    def stop(self, timeout_s: float = 10) -> None:
        """Close all recordings and wait until they are on disk."""
        with self._lock:
            self._stopping = True
            recordings, thread = list(self._recordings), self._thread
        for recording in recordings:
            recording.close()
        self._wake.set()
        if thread:
            thread.join(timeout_s)

    def _reserve(self, path: Path) -> None:
        with self._lock:
            if self._stopping or len(self._recordings) + self._opening >= MOST:
                raise NativeError(f"{path} cannot be recorded: {MOST} recordings are running, or the service stops.")
            if _is_opus(path) and not self._opus:
                self._opus = load_opus()  # once, as recordings hold on to it
            if not self._thread:
                self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
                self._thread.start()
            self._opening += 1

    def _open(self, channel: Recordable, path: Path) -> Recording:
        opus = self._opus if _is_opus(path) else ffi.NULL
        wanted = self.settings
        settings = ffi.new(
            "struct ve_recorder_settings *",
            [channel.rate, wanted.settle_ms, wanted.sync_ms, wanted.bits_per_s, opus],
        )
        native = ffi.new("struct ve_recorder **")
        written = self.vault.begin(path) if self.vault else path
        check(lib.ve_recorder_open(native, os.fsencode(written), settings), f"to record to {path}")
        sealer = None
        try:
            sealer = Sealer(self.vault.key, written, path) if self.vault else None
            channel.attach_recorder(native[0])
        except (NativeError, OSError):
            lib.ve_recorder_close(native[0])
            if sealer:
                sealer.abandon()
                path.unlink()
            else:
                written.unlink()
            raise
        return Recording(path, channel, native[0], self._wake, sealer)

    def _write(self) -> None:
        while True:
            with self._lock:
                recordings = list(self._recordings)
                if self._stopping and not recordings and not self._opening:
                    return
            if over := [recording for recording in recordings if not recording.write()]:
                with self._lock:
                    self._recordings = [recording for recording in self._recordings if recording not in over]
                continue
            self._wake.wait(FLUSH_S if recordings else None)
            self._wake.clear()
