"""A flow's `voicemail` on a live call: a beep, then what the caller says, into a file of the mailbox."""

import asyncio
from dataclasses import dataclass

import structlog

from voiceedge.audio import comfort
from voiceedge.audio.events import Offset, Onset, Played
from voiceedge.audio.recording import Recorder, Recording
from voiceedge.audio.sealed import SUFFIX
from voiceedge.config import Config
from voiceedge.context.events.call import VoicemailLeft
from voiceedge.edge.between import paths
from voiceedge.edge.call.customer import Caller
from voiceedge.edge.call.recordings import REMEDY, finished, opened
from voiceedge.errors import NativeError
from voiceedge.flow.call import RecordAction, Voicemail, VoicemailResult
from voiceedge.sip.events import Key

SILENCE_S = 6.0  # nobody says anything more
BEEP_S = 2.0

log = structlog.get_logger()


class Mailboxes:
    def __init__(self, caller: Caller, recorder: Recorder, config: Config) -> None:
        self._caller, self._recorder, self._config = caller, recorder, config

    async def take(self, wish: Voicemail) -> VoicemailResult:
        """Raises CallEnded; what was said until then is kept."""
        mailbox = self._caller.lines.plan.mailboxes.get(wish.mailbox)
        if mailbox is None:
            log.warning("voicemail_failed", mailbox=wish.mailbox, remedy="add it under [mailboxes] of the switch plan")
            return VoicemailResult.FAILED
        recordings = self._caller.recordings
        was_recorded = recordings.running
        if was_recorded:  # a message is on file once, where messages are
            await recordings.take(RecordAction.STOP)
        try:
            await self._beep()
            return await self._record(wish.mailbox, wish.longest_s or mailbox.longest_s)
        finally:
            if was_recorded and not self._caller.leg.ended:
                await recordings.take(RecordAction.START)

    async def _beep(self) -> None:
        item = self._caller.leg.channel.play(comfort.beep())
        deadline = self._caller.clock.monotonic() + BEEP_S
        while (left_s := deadline - self._caller.clock.monotonic()) > 0:
            match await self._caller.inbox.next(left_s):
                case Played(item=played) if played == item:
                    return

    async def _record(self, mailbox: str, longest_s: float) -> VoicemailResult:
        path = self._next_path(mailbox)
        directory = paths.voicemail(self._config)
        try:
            recording = await opened(self._recorder, self._caller.leg.channel, directory, path, self._caller.clock)
        except (NativeError, OSError) as error:
            if not self._caller.leg.ended:
                log.error("voicemail_failed", path=path, problem=str(error), remedy=REMEDY)  # noqa: TRY400
            return VoicemailResult.FAILED
        message = _Message(mailbox, path, recording)
        try:
            await self._listen(message, longest_s)
        finally:
            result = await self._keep(message)
        return result

    async def _listen(self, message: "_Message", longest_s: float) -> None:
        clock = self._caller.clock
        is_speaking = False
        end = clock.monotonic() + longest_s
        quiet_until = clock.monotonic() + SILENCE_S
        while (left_s := min(end, end if is_speaking else quiet_until) - clock.monotonic()) > 0:
            match await self._caller.inbox.next(left_s):
                case Key():
                    return
                case Onset():
                    is_speaking = message.has_voice = True
                case Offset():
                    is_speaking, quiet_until = False, clock.monotonic() + SILENCE_S

    async def _keep(self, message: "_Message") -> VoicemailResult:
        """However the message ended. What nobody said anything into is deleted."""
        recording = message.recording
        recording.close()
        await finished(recording, self._caller.clock)
        if not message.has_voice:
            await asyncio.to_thread(recording.path.unlink, missing_ok=True)
            return VoicemailResult.EMPTY
        if recording.error or not recording.ended.done():
            problem = recording.error or "the disk is too slow"
            log.error("voicemail_failed", path=message.path, problem=problem, remedy=REMEDY)
            return VoicemailResult.FAILED
        self._caller.journal.record(
            VoicemailLeft(
                call_id=self._caller.facts.call_id,
                mailbox=message.mailbox,
                path=message.path,
                seconds=round(recording.seconds, 1),
            )
        )
        return VoicemailResult.KEPT

    def _next_path(self, mailbox: str) -> str:
        """Below the directory of all mailboxes; a caller may leave several messages."""
        sealed = SUFFIX if self._recorder.vault else ""
        now = self._caller.clock.now()
        name = (
            f"{now:%Y-%m-%d}-{now:%H%M%S}-{self._caller.facts.conversation_id}.{self._config.recording.format}{sealed}"
        )
        return f"{mailbox}/{name}"


@dataclass(slots=True)
class _Message:
    mailbox: str
    path: str
    recording: Recording
    has_voice: bool = False
