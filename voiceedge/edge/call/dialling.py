"""A flow's `dial` on a live call: who is meant, ringing for the caller to hear, the talk, and what came of it."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import structlog

from voiceedge.edge.call.customer import Caller
from voiceedge.edge.call.lines import Candidate
from voiceedge.edge.call.party import Party
from voiceedge.edge.call.queueing import Queueing, sent_on
from voiceedge.edge.call.ringing import Ringing
from voiceedge.edge.call.talk import Parted, Talk
from voiceedge.errors import LegEndedError, SipError
from voiceedge.flow.call import Dial, DialResult, QueueResult, RecordAction
from voiceedge.sip.events import Progress
from voiceedge.switch.guard import Refusal

log = structlog.get_logger()


class EarlyAudio:
    """Lets the caller hear what the other side sends before it answers: an announcement, its own ringing."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def progressed(self, party: Party, progress: Progress) -> None:
        if progress.early_media:
            self._caller.lines.spawn(self._join(party))
        elif not self._caller.sound.sounds:  # a trunk before this one had something to say
            self._caller.sound.ringing()

    async def _join(self, party: Party) -> None:
        self._caller.sound.quiet()
        with contextlib.suppress(LegEndedError, SipError):
            await self._caller.leg.bridge(party.leg)


class Dialling:
    def __init__(self, caller: Caller, queueing: Queueing) -> None:
        self._caller, self._queueing = caller, queueing

    async def dial(self, wish: Dial) -> DialResult:
        """Raises CallEnded."""
        caller = self._caller
        found = [
            caller.lines.find(target, caller=caller.facts.caller, caller_id=wish.caller_id, hops=caller.hops)
            for target in wish.targets
        ]
        for nobody in found:
            if not isinstance(nobody, Candidate):
                why = nobody.why if isinstance(nobody, Refusal) else "the switch plan has nobody of that name"
                log.warning("dial_refused", why=why)
        candidates = [
            replace(one, ring_s=wish.ring_s or one.ring_s).showing(caller.shown)
            for one in found
            if isinstance(one, Candidate)
        ]
        if not candidates:
            return DialResult.REFUSED if any(isinstance(one, Refusal) for one in found) else DialResult.FAILED
        began = self._caller.clock.monotonic()
        party = await self._ring(candidates, wish)
        if isinstance(party, DialResult):
            return party
        wait_ms = round((self._caller.clock.monotonic() - began) * 1000)
        recorded = wish.recorded and not self._caller.recordings.running
        if recorded:
            await self._caller.recordings.take(RecordAction.START)
        talk = Talk(self._caller, wish.language)
        parted = await talk.run(party, "dial", wait_ms)
        if recorded:
            await self._caller.recordings.take(RecordAction.STOP)
        if parted is Parted.SENT_ON:
            waited = await self._queueing.wait(sent_on(talk.sent_to, wish.language))
            return DialResult.TALKED if waited is QueueResult.TALKED else DialResult.FAILED
        return DialResult.TALKED if parted is Parted.HUNG_UP else DialResult.FAILED

    async def _ring(self, candidates: Sequence[Candidate], wish: Dial) -> Party | DialResult:
        quiet = len(candidates) > 1 or wish.whisper or wish.accept
        early = None if quiet else EarlyAudio(self._caller)
        ringing = Ringing(
            self._caller.lines,
            self._caller.legs,
            whisper=wish.whisper,
            accept=wish.accept,
            progressed=early.progressed if early else None,
        )
        self._caller.sound.ringing()
        try:
            return await ringing.ring_for(self._caller.inbox, candidates)
        finally:
            self._caller.sound.quiet()
