"""One call of a raw peer to the running service, and all that is published about it.

async with talk(service, "1000") as call:     # answered; over, with every event in order, when the block ends
    await call.press("2")
    await call.entered("hours")
"""

import asyncio
import secrets
import string
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from peer import Peer, PeerCall
from service import Events, RunningService

T = TypeVar("T")

WAIT_S = 60.0  # machines that test are slow and shared
LOOK_S, CALL_AGAIN_S = 0.02, 0.5


async def until(look: Callable[[], T], within_s: float = WAIT_S) -> T:
    """Look again and again until there is something to see."""
    async with asyncio.timeout(within_s):
        while not (seen := look()):  # noqa: ASYNC110 - packets and other processes set no event
            await asyncio.sleep(LOOK_S)
        return seen


class Talk:
    def __init__(self, peer: Peer, call: PeerCall, events: Events) -> None:
        self.peer, self.call, self.rtp, self._events = peer, call, call.rtp, events
        self._hung_up = False

    @property
    def events(self) -> list[dict[str, Any]]:
        """The CloudEvents of this call's conversation, as they came."""
        subject = next((e["subject"] for e in self._events.all if e["data"].get("call_id") == self.call.id), None)
        return [event for event in self._events.all if subject and event["subject"] == subject]

    @property
    def conversation(self) -> str:
        return str(self.events[0]["subject"])

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Every step and question so far, with its kind."""
        return [(data["step"], data["kind"]) for data in self.of("step.entered")]

    @property
    def turns(self) -> list[tuple[str, str | None]]:
        """What was heard so far: how it was decided, and the value."""
        return [(data["decision"], data["value"]) for data in self.of("turn.heard")]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event["data"] for event in self.events if event["type"] == f"voiceedge.{kind}"]

    async def until(self, event: str, **fields: object) -> dict[str, Any]:
        """The data of the first event of this type with these fields."""

        def look() -> dict[str, Any] | None:
            return next((data for data in self.of(event) if fields.items() <= data.items()), None)

        try:
            return await until(look)
        except TimeoutError:
            raise AssertionError(f"no {event} {fields} in {[event['data'] for event in self.events]}") from None

    async def entered(self, step: str, kind: str | None = None) -> dict[str, Any]:
        return await self.until("step.entered", step=step, **({"kind": kind} if kind else {}))

    async def hang_up(self) -> None:
        """Unless the call is over already."""
        if not self._hung_up and not any(request.method == "BYE" for request in self.call.requests):
            self._hung_up = True
            await self.call.bye()

    async def press(self, keys: str) -> None:
        for key in keys:
            await self.call.press(key)

    async def spoken_to(self, since_ns: int = 0) -> int:
        """When audible sound came."""
        return await until(lambda: self.rtp.sound_ns(since_ns))

    async def silence(self, since_ns: int, for_ms: int = 800) -> int:
        """When the last sound ended that was followed by silence; longer than between two sentences."""
        return await until(lambda: self.rtp.silence_ns(since_ns, for_ms=for_ms))

    async def over(self) -> dict[str, Any]:
        """The call's last event, after every other one in order and without gaps."""
        ended = await self.until("call.ended")
        assert [int(event["sequence"]) for event in self.events] == list(range(1, len(self.events) + 1))
        own = [event["type"] for event in self.events if event["data"]["call_id"] == self.call.id]
        own = [kind for kind in own if not kind.startswith(("voiceedge.queue.", "voiceedge.leg."))]  # others tell those
        assert own[0] == "voiceedge.call.started"
        assert own[-1] == "voiceedge.call.ended"
        return ended


async def answered(peer: Peer, uri: str, headers: Mapping[str, str] | None = None) -> PeerCall:
    """Called again where that is asked for: a worker stood still, the front does not know it yet, no line is free."""
    async with asyncio.timeout(WAIT_S):
        while True:
            name = "".join(secrets.choice(string.ascii_letters) for _ in range(24))  # no digits: those may be masked
            call = await peer.invite(uri, headers=headers, call_id=name)
            response = await call.final()
            if response.status == 200:
                return call
            assert response["retry-after"], response.first
            await asyncio.sleep(CALL_AGAIN_S)


@asynccontextmanager
async def talk(
    service: RunningService,
    number: str = "1000",
    *,
    user: str = "01012345678",
    headers: Mapping[str, str] | None = None,
    events: Events | None = None,
) -> AsyncIterator[Talk]:
    """`events` where they are followed already, else those of this call alone."""
    if events is None:
        async with service.events() as own, talk(service, number, user=user, headers=headers, events=own) as made:
            yield made
        return
    async with Peer(user=user) as peer:
        call = await answered(peer, service.uri(number), headers)
        made = Talk(peer, call, events)
        try:
            yield made
        finally:
            await made.hang_up()
        await made.over()


@dataclass
class Caller:
    """A call whose conversation may turn out to be a part of an earlier one: what is told of the call alone."""

    peer: PeerCall
    events: Events

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [data for data in self.events.of(kind) if self.peer.id in {data.get("call_id"), data.get("interaction")}]

    async def until(self, event: str, **fields: object) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            return next((data for data in self.of(event) if fields.items() <= data.items()), None)

        try:
            return await until(look)
        except TimeoutError:
            raise AssertionError(f"no {event} {fields} after {self.steps}") from None

    async def asked(self, step: str, times: int = 1) -> dict[str, Any]:
        """What the question says, once it has been put so often."""
        kinds = {"ask", "retry", "confirm"}

        def look() -> list[dict[str, Any]]:
            steps = [data for data in self.of("step.entered") if data["step"] == step and data["kind"] in kinds]
            return steps[times - 1 :]

        try:
            return (await until(look))[0]
        except TimeoutError:
            raise AssertionError(f"{step} was not asked {times} times: {self.steps}") from None

    async def press(self, keys: str) -> None:
        for key in keys:
            await self.peer.press(key)

    @property
    def conversation(self) -> str:
        """Of which the call is a part, by what is known of it so far."""
        names = [event["subject"] for event in self.events.all if event["data"].get("call_id") == self.peer.id]
        return str(names[-1])

    @property
    def steps(self) -> list[str]:
        return [data["step"] for data in self.of("step.entered")]

    @property
    def said(self) -> str:
        return "\n".join(data["says"] for data in self.of("step.entered") if data["says"])


@asynccontextmanager
async def calling(
    service: RunningService,
    number: str = "1000",
    *,
    user: str,
    line: str = "127.0.0.1",
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[Caller]:
    """Over, and known to be over, when the block ends."""
    async with service.events() as events, Peer(host=line, user=user) as peer:
        placed = await answered(peer, service.uri(number), headers)
        caller = Caller(placed, events)
        try:
            yield caller
        finally:
            if not any(request.method == "BYE" for request in placed.requests):
                await placed.bye()
        await caller.until("call.ended")


def now_ns() -> int:
    return time.monotonic_ns()
