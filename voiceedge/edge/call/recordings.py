"""What is recorded of a call: files that its flow begins, pauses and ends. A disk's trouble never reaches the call."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

import structlog

from voiceedge.audio.channel import Channel
from voiceedge.audio.recording import Recorder, Recording
from voiceedge.audio.sealed import SUFFIX
from voiceedge.clock import Clock, timeout
from voiceedge.config import Config
from voiceedge.context.events.call import Journal, RecordingEnded, RecordingStarted
from voiceedge.edge.between import paths
from voiceedge.errors import NativeError
from voiceedge.flow.call import CallFacts, RecordAction
from voiceedge.sip.leg import Leg

DISK_S = 2.0  # to open or to end a file; a disk that takes longer is not waited for
REMEDY = 'Give the disk of site.data_dir room and health; for opus install libopus, or set recording.format = "wav"'

log = structlog.get_logger()


@dataclass(slots=True)
class _File:
    """`path` begins below the directory of all recordings."""

    path: str
    recording: Recording
    pauses: int = 0
    paused_s: float = 0.0
    paused_since: float | None = None

    def pause(self, now: float) -> None:
        self.recording.pause()
        self.pauses += 1
        self.paused_since = now

    def resume(self, now: float) -> None:
        self.recording.resume()
        if self.paused_since is not None:
            self.paused_s += now - self.paused_since
            self.paused_since = None


class CallRecordings:
    def __init__(
        self, recorder: Recorder, config: Config, *, leg: Leg, facts: CallFacts, journal: Journal, clock: Clock
    ) -> None:
        self._recorder, self._settings, self._directory = recorder, config.recording, paths.recordings(config)
        self._leg, self._facts, self._journal, self._clock = leg, facts, journal, clock
        self._begun = 0
        self._file: _File | None = None
        self._overheard: list[Channel] = []

    @property
    def running(self) -> bool:
        return self._file is not None

    def overhear(self, other: Channel | None) -> None:
        """Whoever speaks on `other` is heard by the caller, and so recorded with what we say; None: nobody any more."""
        if other in self._overheard:
            return
        self._overheard = [*self._overheard, other] if other else []
        if self._file:
            self._listen_along(self._file)

    async def take(self, action: RecordAction) -> None:
        match action:
            case RecordAction.START if not self._settings.enabled:
                log.info("call_not_recorded", reason="recording.enabled = false")
            case RecordAction.START:
                await self._start()
            case RecordAction.PAUSE if self._file:
                self._file.pause(self._clock.monotonic())
            case RecordAction.RESUME if self._file:
                self._file.resume(self._clock.monotonic())
            case RecordAction.STOP:
                await self.close()

    async def close(self) -> None:
        """Harmless where nothing is recorded."""
        if not (file := self._file):
            return
        file.recording.close()
        await finished(file.recording, self._clock)
        self._note_end(file)

    async def _start(self) -> None:
        path, format_ = self._next_path(), self._settings.format
        try:
            recording = await opened(self._recorder, self._leg.channel, self._directory, path, self._clock)
        except (NativeError, OSError) as error:
            if not self._leg.ended:  # else it is the caller who was quicker
                self._tell_end(path, str(error).replace(f"{self._directory}/", ""))
            return
        file = self._file = _File(path, recording)
        self._listen_along(file)
        self._journal.record(RecordingStarted(call_id=self._facts.call_id, path=path, format=format_))
        loop = asyncio.get_running_loop()
        recording.ended.add_done_callback(lambda _: loop.call_soon_threadsafe(self._note_end, file))

    def _listen_along(self, file: _File) -> None:
        with contextlib.suppress(NativeError):  # one of them has hung up, and says nothing more
            file.recording.overhear(self._overheard)

    def _next_path(self) -> str:
        self._begun += 1
        number = f"-{self._begun}" if self._begun > 1 else ""
        sealed = SUFFIX if self._recorder.vault else ""
        name = f"{self._facts.conversation_id}{number}.{self._settings.format}{sealed}"
        return f"{self._clock.now():%Y-%m-%d}/{name}"

    def _note_end(self, file: _File) -> None:
        """Once, whoever is first: the flow, the call's end, or the writer that can go on no more."""
        if file is not self._file:
            return
        self._file = None
        recording = file.recording
        file.resume(self._clock.monotonic())
        recording.close()
        error = recording.error or (None if recording.ended.done() else f"not on disk within {DISK_S:.0f} s")
        self._tell_end(file.path, error, round(recording.seconds, 1), file.pauses, round(file.paused_s, 1))
        if recording.lost_ms:
            log.warning("recording_has_gaps", path=file.path, lost_ms=recording.lost_ms, remedy=REMEDY)

    def _tell_end(
        self, path: str, error: str | None, seconds: float = 0.0, pauses: int = 0, paused_s: float = 0.0
    ) -> None:
        if error:
            log.error("recording_failed", path=path, problem=error, remedy=REMEDY)
        self._journal.record(
            RecordingEnded(
                call_id=self._facts.call_id,
                path=path,
                format=self._settings.format,
                seconds=seconds,
                pauses=pauses,
                paused_s=paused_s,
                error=error,
            )
        )


async def opened(recorder: Recorder, channel: Channel, directory: Path, path: str, clock: Clock) -> Recording:
    """A recording of `channel` to `path` below `directory`. Raises NativeError or OSError."""

    def create() -> Recording:
        directory.mkdir(mode=0o700, exist_ok=True)
        (directory / path).parent.mkdir(mode=0o700, exist_ok=True)
        return recorder.record(channel, directory / path)

    opening = asyncio.ensure_future(asyncio.to_thread(create))
    try:
        async with timeout(clock, DISK_S):
            return await asyncio.shield(opening)
    except TimeoutError:
        opening.add_done_callback(_close_late)
        raise OSError(f"{path} was not open within {DISK_S:.0f} s.") from None


async def finished(recording: Recording, clock: Clock) -> None:
    """Once closed: wait until all of it is on disk, or for as long as a disk is waited for."""
    with contextlib.suppress(NativeError, TimeoutError):  # what became of it, its owner asks it
        async with timeout(clock, DISK_S):
            await asyncio.wrap_future(recording.ended)


def _close_late(opening: asyncio.Future[Recording]) -> None:
    if not opening.exception():
        opening.result().close()
