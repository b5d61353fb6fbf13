"""Which nodes are at work: each says so in the database now and then, and hears the others there."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock
from voiceedge.switch.queues import store

SAY_S = 5.0
SILENT_S = 15.0  # nobody is rung any more for the callers of a node that has said nothing so long …
GONE_S = 40.0  # … and then they lose their places, and its chats become others'


class Nodes:
    """How long others are silent is told by this machine's clock alone: theirs may be wrong, or set anew."""

    def __init__(self, node: str, clock: Clock) -> None:
        self._node, self._clock = node, clock
        self._heard: dict[str, tuple[int, float]] = {}  # what each said last, and when that was new to us
        self._listened_at = self._due = clock.monotonic()

    async def listen(self, connection: AsyncConnection, expected: Iterable[str]) -> None:
        """Say that this one is at work, and hear the others; `expected` are some that may never have said anything."""
        now = self._clock.monotonic()
        if now < self._due:
            return
        self._listened_at, self._due = now, now + SAY_S
        said = await store.note_seen(connection, self._node, int(self._clock.now().timestamp() * 1000))
        for name in {*said, *expected}:
            last = said.get(name, 0)
            if name not in self._heard or self._heard[name][0] != last:
                self._heard[name] = last, now

    def forget(self) -> None:
        """It may be us who were away: all have their time anew."""
        self._heard.clear()

    def silent(self, for_s: float) -> frozenset[str]:
        """When we last listened; whoever stands still itself hears nothing, and takes nobody for silent."""
        since = self._listened_at - for_s
        return frozenset(name for name, (_, at) in self._heard.items() if at <= since and name != self._node)
