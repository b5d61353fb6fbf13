"""What is told of a caller's talk with one party after the other."""

from collections.abc import Callable
from typing import Literal

from voiceedge.clock import Clock
from voiceedge.context.events.call import BridgeEnded, BridgeStarted, CallTransferred, Journal
from voiceedge.edge.call.party import Party
from voiceedge.flow.call import DialResult


class TalkRecord:
    def __init__(self, journal: Journal, call_id: str, clock: Clock, queue: str | None) -> None:
        self._journal, self._call_id, self._clock, self._queue = journal, call_id, clock, queue
        self._end: Callable[[Literal["caller", "other", "transfer", "failed"]], None] | None = None

    def begin(self, party: Party, by: Literal["dial", "queue", "transfer", "consultation"], wait_ms: int) -> None:
        leg_id, since = party.leg.id, self._clock.monotonic()

        def end(ended_by: Literal["caller", "other", "transfer", "failed"]) -> None:
            self._journal.record(
                BridgeEnded(
                    call_id=self._call_id,
                    with_leg=leg_id,
                    agent=party.agent,
                    queue=self._queue,
                    ended_by=ended_by,
                    talk_ms=round((self._clock.monotonic() - since) * 1000),
                )
            )

        self._end = end
        self._journal.record(
            BridgeStarted(
                call_id=self._call_id,
                with_leg=leg_id,
                agent=party.agent,
                queue=self._queue,
                by=by,
                wait_ms=wait_ms,
            )
        )

    def end(self, ended_by: Literal["caller", "other", "transfer", "failed"]) -> None:
        """Harmless where none is going on."""
        if end := self._end:
            self._end = None
            end(ended_by)

    def transferred(self, target: str, failed: DialResult | None = None) -> None:
        result = failed.value if failed else "done"
        event = CallTransferred.model_validate({"call_id": self._call_id, "target": target, "result": result})
        self._journal.record(event)
