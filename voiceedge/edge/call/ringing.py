"""Rings somebody, or several at once: trunk after trunk where one fails, the first to answer has the call."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from voiceedge.clock import timeout
from voiceedge.edge.call.inbox import Inbox, Rung
from voiceedge.edge.call.leg_record import LegBook
from voiceedge.edge.call.lines import Candidate, Lines, Way
from voiceedge.edge.call.party import Party
from voiceedge.errors import SipError
from voiceedge.flow.call import CallEnded, DialResult, Utterance
from voiceedge.sip.events import Progress

_BUSY, _DECLINED, _SILENT, _TIMEOUT = {486, 600}, {403, 603}, {408, 480, 487}, 408
_BEST_REASON_FIRST = (DialResult.BUSY, DialResult.NO_ANSWER, DialResult.REFUSED, DialResult.FAILED)

log = structlog.get_logger()


class Ringing:
    """`told` hears of everybody who was rung in vain, `progressed` of ringing and early audio."""

    def __init__(
        self,
        lines: Lines,
        legs: LegBook,
        *,
        whisper: Sequence[Utterance] = (),
        accept: bool = False,
        told: Callable[[Candidate, DialResult], None] | None = None,
        progressed: Callable[[Party, Progress], None] | None = None,
    ) -> None:
        self._lines, self._legs, self._clock = lines, legs, legs.clock
        self._whisper, self._accept = whisper, accept
        self._told = told or (lambda _candidate, _result: None)
        self._progressed = progressed or (lambda _party, _progress: None)
        self._rung: list[Party] = []
        self.not_placed: set[str | None] = set()  # agents for whom there was no line

    async def ring(self, candidates: Sequence[Candidate]) -> Party | DialResult:
        """Whoever answered first, whispered to; or the best reason why nobody did."""
        if self._whisper:
            self._lines.spawn(self._lines.prepare(self._whisper))
        found = await self._first(candidates)
        if isinstance(found, Party) and not self._accept:
            try:
                await found.whisper(self._whisper)
            except CallEnded:  # they have thought better of it
                return DialResult.NO_ANSWER
            except asyncio.CancelledError:
                self._lines.spawn(found.close())
                raise
        return found

    async def ring_for(self, inbox: Inbox, candidates: Sequence[Candidate]) -> Party | DialResult:
        """The same for as long as the leg lasts whose inbox this is. Raises CallEnded, and nobody rings any more."""
        found: list[Party | DialResult] = []

        async def work() -> None:
            found.append(await self.ring(candidates))

        try:
            await inbox.unless_over(work())
        except BaseException:
            for party in found:  # who answered in the very moment in which the leg ended
                if isinstance(party, Party):
                    self._lines.spawn(party.close())
            raise
        return found[0]

    async def _first(self, candidates: Sequence[Candidate]) -> Party | DialResult:
        tasks = {asyncio.create_task(self._reach(candidate)): candidate for candidate in candidates}
        kept: Party | None = None
        results: set[DialResult] = set()
        pending = set(tasks)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    result = task.result()
                    if isinstance(result, Party):
                        kept = kept or result
                    else:
                        results.add(result)
                        self._told(tasks[task], result)
                if kept:
                    return kept
            return next((result for result in _BEST_REASON_FIRST if result in results), DialResult.FAILED)
        finally:
            for task in tasks:
                task.cancel()
            for party in self._rung:
                if party is not kept:
                    self._lines.spawn(party.close())
            self._rung.clear()

    async def _reach(self, candidate: Candidate) -> Party | DialResult:
        for way in candidate.ways:
            result = await self._try(candidate, way)
            if result is not DialResult.FAILED:
                return result
        return DialResult.FAILED

    async def _try(self, candidate: Candidate, way: Way) -> Party | DialResult:
        try:
            party = await self._lines.call(way, candidate.agent, self._legs)
        except SipError as error:
            log.warning("call_not_placed", problem=str(error))
            self.not_placed.add(candidate.agent)
            return DialResult.FAILED
        self._rung.append(party)
        try:
            async with timeout(self._clock, candidate.ring_s):
                await party.answered(self._progressed)
        except TimeoutError:
            self._lines.spawn(party.close())
            return DialResult.NO_ANSWER
        except CallEnded:
            return _reason(party)
        if self._accept:
            try:
                await party.whisper(self._whisper)
                if not await party.accepts():
                    self._lines.spawn(party.close())
                    return DialResult.NO_ANSWER
            except CallEnded:
                return DialResult.NO_ANSWER
        return party


def _reason(party: Party) -> DialResult:
    """A trunk that never came to ring is worth another try by the next: FAILED."""
    code = party.ended.sip_code if party.ended else 0
    if code in _BUSY:
        return DialResult.BUSY
    if code in _DECLINED:
        return DialResult.REFUSED
    if code in _SILENT and (party.has_progressed or code != _TIMEOUT):
        return DialResult.NO_ANSWER
    return DialResult.FAILED


class Background:
    """Rings while something else goes on; what comes of it is told as Rung, and claimed by whoever gets that."""

    def __init__(self, lines: Lines, post: Callable[[Rung], None]) -> None:
        self._lines, self._post = lines, post
        self._number = 0
        self._task: asyncio.Task[None] | None = None
        self._unclaimed: Party | None = None

    @property
    def active(self) -> bool:
        return self._task is not None

    def start(self, ringing: Ringing, candidates: Sequence[Candidate]) -> None:
        self.stop()
        self._number += 1
        self._task = self._lines.spawn(self._ring(self._number, ringing, candidates))

    def claim(self, rung: Rung) -> Party | DialResult | None:
        """What it tells; None where it is of a ringing that was stopped."""
        if rung.number != self._number or self._task is None:
            return None
        self._task = self._unclaimed = None
        return rung.found

    def stop(self) -> None:
        """Nobody is rung any more, and whoever has just answered is let go. Harmless when repeated."""
        if self._task:
            self._task.cancel()
        if self._unclaimed:
            self._lines.spawn(self._unclaimed.close())
        self._task = self._unclaimed = None

    async def _ring(self, number: int, ringing: Ringing, candidates: Sequence[Candidate]) -> None:
        found: Party | DialResult = DialResult.FAILED
        try:
            found = await ringing.ring(candidates)
        except Exception:
            log.exception("ringing_failed")  # whoever waits for its end must not wait for ever
        self._unclaimed = found if isinstance(found, Party) else None
        self._post(Rung(number, found))
