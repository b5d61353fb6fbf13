"""Somebody we called: whatever becomes of their leg, it is heard of, and nobody is left on a line for nothing."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from voiceedge.audio.pipeline import Pipeline
from voiceedge.clock import VirtualClock
from voiceedge.edge.call.inbox import Inbox
from voiceedge.edge.call.party import Party
from voiceedge.edge.call.ringing import Ringing
from voiceedge.flow.call import CallEnded
from voiceedge.sip.events import Ended, Event, Replaced


class Leg:
    """Its other side never answers a BYE."""

    ended = None

    def __init__(self, pipeline: Pipeline) -> None:
        self.channel = pipeline.channel()
        self.told: asyncio.Queue[Event] = asyncio.Queue()
        self.is_hung_up = False

    async def hang_up(self) -> None:
        self.is_hung_up = True

    async def events(self) -> AsyncIterator[Event]:
        while True:
            yield (event := await self.told.get())
            if isinstance(event, Ended):
                return


class Line:
    """One party, and who hears of it."""

    def __init__(self) -> None:
        self.pipeline = Pipeline()
        self.leg, self.over = Leg(self.pipeline), []
        self.tasks: list[asyncio.Task[None]] = []
        ears = SimpleNamespace(listen=lambda *_: None, forget=lambda _: None)
        self.party = Party(
            self.leg, "kim", ears=ears, voice=None, clock=VirtualClock(), spawn=self.spawn, over=self.over.append
        )  # fmt: skip

    def spawn(self, work: Any) -> "asyncio.Task[None]":
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    async def rest(self) -> None:
        for task in self.tasks:
            await asyncio.wait_for(task, 5)
        self.pipeline.close()


async def test_a_leg_whose_bye_nobody_answers_is_written_down_too() -> None:
    line = Line()
    await line.party.close()
    await line.leg.told.put(Ended("us", 408, "timeout"))
    await line.rest()
    assert line.over == [line.leg]


async def test_a_phone_that_takes_a_call_over_which_is_just_let_go_is_let_go_too() -> None:
    line = Line()
    heir = Leg(line.pipeline)
    await line.party.close()
    await line.leg.told.put(Replaced(heir))
    await line.leg.told.put(Ended("transfer", 200, ""))
    await heir.told.put(Ended("us", 200, ""))
    await line.rest()
    assert heir.is_hung_up
    assert line.over == [line.leg, heir]


async def test_whoever_answers_in_the_moment_in_which_the_caller_goes_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line()
    inbox = Inbox(VirtualClock())
    ringing = Ringing(SimpleNamespace(spawn=line.spawn), SimpleNamespace(clock=VirtualClock()))

    async def answered(_: object) -> Party:
        inbox.end()
        return line.party

    monkeypatch.setattr(ringing, "ring", answered)
    with pytest.raises(CallEnded):
        await ringing.ring_for(inbox, ())
    await line.leg.told.put(Ended("us", 200, ""))
    await line.rest()
    assert line.leg.is_hung_up
