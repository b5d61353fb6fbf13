"""A subscriber's side of the events: each once by id, over broken connections, from one site or all."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable

from pydantic import ValidationError

from voiceedge.bus.backoff import backoff
from voiceedge.bus.client import Broker, connect
from voiceedge.clock import Clock, sleep
from voiceedge.context.cloudevents import CloudEvent, events_topic
from voiceedge.errors import BusError

REMEMBERED = 50_000  # ids by which a repeated event is known
LONGEST_DELAY_S = 1.0  # well within the moment that the outbox waits for subscribers of a broker without memory


class Seen:
    """Remembers the latest events by `source` and `id`."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._keys: OrderedDict[tuple[str, str], None] = OrderedDict()

    def add(self, event: CloudEvent) -> bool:
        """Whether the event is new."""
        key = event.source, event.id
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)
        return True


async def follow(
    broker: Broker, clock: Clock, report: Callable[[str], None], *, site: str = "+", seen: Seen | None = None
) -> AsyncIterator[CloudEvent]:
    """Yield events for ever, without those `seen`. Troubles go to `report`; what waiting does not cure is raised."""
    seen, delays = seen or Seen(), backoff(longest_s=LONGEST_DELAY_S)
    while True:
        try:
            async with connect(broker) as connection:
                await connection.subscribe(events_topic(site, "+"))
                report(f"connected to {broker}")
                delays = backoff(longest_s=LONGEST_DELAY_S)
                async for message in connection.messages():
                    try:
                        event = CloudEvent.model_validate_json(message.payload)
                    except ValidationError:
                        report(f"a message on {message.topic} is no VoiceEdge event: left out")
                        continue
                    if seen.add(event):
                        yield event
        except BusError as error:
            if not error.can_retry:
                raise
            report(str(error))
        await sleep(clock, next(delays))
