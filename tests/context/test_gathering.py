"""What several bring at one time is kept together; whoever's events cannot be kept is the only one to hear of it."""

import asyncio
from collections.abc import Sequence

from making import step

from voiceedge.clock import VirtualClock
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.storage.gathering import MOST, Gathering
from voiceedge.errors import StoreError


class Disk:
    def __init__(self, refuses: str = "") -> None:
        self.kept: list[list[str]] = []
        self._refuses = refuses

    async def keep(self, batch: Sequence[StampedEvent]) -> None:
        await asyncio.sleep(0)
        if any(event.conversation == self._refuses for event in batch):
            raise StoreError("refused")
        self.kept.append([event.conversation for event in batch])


async def bring(disk: Disk, *names: str, cancelled: str = "") -> dict[str, BaseException | None]:
    """Each brings an event of its own at once, and waits for `gather_s` to pass."""
    clock = VirtualClock()
    gathering = Gathering(disk.keep, clock, gather_s=0.1)
    tasks = {name: asyncio.create_task(gathering.ingest([step(1, name)])) for name in names}
    await asyncio.sleep(0)
    if cancelled:
        tasks[cancelled].cancel()
    for _ in range(5):
        for _ in range(5):
            await asyncio.sleep(0)
        await clock.advance(0.1)
    return dict(zip(names, await asyncio.gather(*tasks.values(), return_exceptions=True), strict=True))


async def test_what_comes_at_one_time_is_kept_by_one_transaction() -> None:
    disk = Disk()
    assert set((await bring(disk, "a", "b", "c")).values()) == {None}
    assert disk.kept == [["a", "b", "c"]]


async def test_one_whose_events_are_refused_stops_no_other() -> None:
    disk = Disk(refuses="b")
    results = await bring(disk, "a", "b", "c")
    assert isinstance(results["b"], StoreError)
    assert (results["a"], results["c"]) == (None, None)
    assert sorted(disk.kept) == [["a"], ["c"]]


async def test_a_single_one_hears_why() -> None:
    disk = Disk(refuses="a")
    assert isinstance((await bring(disk, "a"))["a"], StoreError)
    assert disk.kept == []


async def test_when_the_first_goes_away_the_others_keep_their_own() -> None:
    disk = Disk()
    results = await bring(disk, "a", "b", "c", cancelled="a")
    assert isinstance(results["a"], asyncio.CancelledError)
    assert (results["b"], results["c"]) == (None, None)
    assert sorted(name for batch in disk.kept for name in batch) == ["b", "c"]


async def test_who_has_waited_for_the_turn_before_does_not_wait_for_others_too() -> None:
    clock, kept, disk_is_free = VirtualClock(), [], asyncio.Event()

    async def keep(batch: Sequence[StampedEvent]) -> None:
        await disk_is_free.wait()
        kept.append([event.conversation for event in batch])

    gathering = Gathering(keep, clock, gather_s=0.1)
    first = asyncio.create_task(gathering.ingest([step(1, "a")]))
    await asyncio.sleep(0)
    await clock.advance(0.1)
    second = asyncio.create_task(gathering.ingest([step(1, "b")]))
    await asyncio.sleep(0)
    await clock.advance(0.1)  # and the disk is still busy with the first
    disk_is_free.set()
    await asyncio.wait_for(asyncio.gather(first, second), 5)
    assert kept == [["a"], ["b"]]


async def test_no_transaction_grows_with_how_many_wait() -> None:
    clock, kept = VirtualClock(), []

    async def keep(batch: Sequence[int]) -> None:
        await asyncio.sleep(0)
        kept.append(list(batch))

    gathering: Gathering[int] = Gathering(keep, clock, gather_s=0.1)
    batches = [range(first, first + 200) for first in range(0, 2_000, 200)]
    bringing = asyncio.gather(*(gathering.ingest(batch) for batch in batches))
    while not bringing.done():
        await clock.advance(0.1)
    assert [number for batch in kept for number in batch] == list(range(2_000))
    assert max(map(len, kept)) <= MOST
