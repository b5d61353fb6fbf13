"""What a flow was told in one run: walked again with it after a restart, the flow comes to where it was."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from voiceedge.channels.chat_store import Input, InputKind
from voiceedge.clock import Clock, Timer
from voiceedge.connectors.answers import Answer, Failed, Found, NotFound
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.call import EventData
from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.context.publishing.journal import Outgoing, QueueJournal
from voiceedge.flow.look_up import LookUps, Query, Request

# The store knows events again by their ids for longer than this; what is older was told then, and is not told again.
KNOWN_AGAIN = timedelta(hours=1)


class Tape:
    """Inputs of one kind are taken in their order, whatever those of other kinds do.

    As a clock it stands still at the last input taken, so that a flow which asks for the time decides again as it did.
    """

    def __init__(self, inputs: Sequence[Input], began_ms: int, clock: Clock) -> None:
        self._waiting: dict[InputKind, deque[Input]] = {kind: deque() for kind in get_args(InputKind)}
        self._clock = clock
        self._at_ms = began_ms
        self._last = 0
        for one in inputs:
            self.add(one)

    def add(self, one: Input) -> None:
        self._waiting[one.kind].append(one)
        self._last = max(self._last, one.number)

    def take(self, kind: InputKind) -> Input | None:
        if not self._waiting[kind]:
            return None
        one = self._waiting[kind].popleft()
        self._at_ms = max(self._at_ms, one.at_ms)
        return one

    def forget(self) -> None:
        for waiting in self._waiting.values():
            waiting.clear()

    def waiting(self, kind: InputKind) -> int:
        return len(self._waiting[kind])

    @property
    def next_number(self) -> int:
        return self._last + 1

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._at_ms / 1000, UTC)

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        return self._clock.call_later(delay_s, callback)


class RunJournal:
    """The journal of a run. Its events are counted, and named by it: told twice, each is kept once."""

    def __init__(self, outgoing: Outgoing, conversation: str, run: str, tape: Tape, clock: Clock) -> None:
        self._outgoing, self._tape, self._run = outgoing, tape, run
        self._count = 0
        self._since = clock.now() - KNOWN_AGAIN
        self._journal = QueueJournal(self, conversation, clock)

    def record(self, event: EventData, conversation: Mapping[str, object] | None = None) -> None:
        self._journal.record(event, conversation)

    def put(self, event: StampedEvent) -> None:
        self._count += 1
        if self._tape.now() >= self._since:
            self._outgoing.put(event.model_copy(update={"id": f"{self._run}.{self._count}"}))


class TapedLookUps:
    """Answers from the tape while there are any; then other systems are asked, and what they say is kept."""

    def __init__(self, look_ups: LookUps, tape: Tape, keep: Callable[[InputKind, Any], Awaitable[None]]) -> None:
        self._look_ups, self._tape, self._keep = look_ups, tape, keep

    async def ask(self, wish: Request | Query) -> Answer:
        known = self._tape.take("look_up")
        if known is not None:
            return _read(known.value)
        answer = await self._look_ups.ask(wish)
        await self._keep("look_up", _written(answer))
        self._tape.take("look_up")
        return answer


def _written(answer: Answer) -> dict[str, Any]:
    match answer:
        case Found(values=values, classes=classes):
            return {"found": dict(values), "classes": {name: str(class_) for name, class_ in classes.items()}}
        case NotFound(many=many):
            return {"many": many}
        case Failed(reason=reason):
            return {"failed": reason}


def _read(value: Mapping[str, Any]) -> Answer:
    if "found" in value:
        return Found(value["found"], {name: PersonalDataClass(it) for name, it in value["classes"].items()})
    return NotFound(many=value["many"]) if "many" in value else Failed(value["failed"])
