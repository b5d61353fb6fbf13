"""Several nodes on one database: each is at work as long as it says so, and of one that is silent others publish.

```
 node-1  ingest ──► outbox (node-1) ──► publishes its own, in order
         │ dies
 node-2  ├─ LEASE_S ─┤ takes over what node-1 has left pending ──► publishes it, in order
```
All pending events of a conversation belong to one node, so that their order is kept: what another node adds meanwhile
is given to that one (`Store.ingest`). A node that was stopped and goes on finds its right gone and asks for it anew.
After the database itself was away nobody is taken for dead before all had the time of a lease to say that they are not.
"""

import math
from collections.abc import Callable

import structlog
from sqlalchemy import BigInteger, ColumnElement, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock, sleep
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.tables import nodes, outbox
from voiceedge.errors import StoreError

LEASE_S = 15.0
PUBLISHING = "outbox"  # the lock: shared by who adds events, alone for who takes them over
NOW_MS = literal_column("CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)", BigInteger)

log = structlog.get_logger()


class Lease:
    """This node's right to publish. `machine` and `keys` are fingerprints: of what it alone has, of what all share."""

    def __init__(
        self, database: Database, clock: Clock, *, machine: str, keys: Callable[[], str], lease_s: float = LEASE_S
    ) -> None:
        self._database, self._clock, self._lease_s = database, clock, lease_s
        self._row = {"name": database.node, "machine": machine, "seen_at_ms": NOW_MS}
        self._keys = keys
        self._renewed_at = self._unbroken_since = -math.inf
        self._problem = "this node has not reached the database yet"

    def check(self) -> None:
        """Raises StoreError where this node may not publish."""
        if self._clock.monotonic() - self._renewed_at >= self._lease_s:
            raise StoreError(f"{self._problem}: others publish meanwhile.")

    async def silent(self, for_s: float) -> list[str]:
        """Nodes that have not been at work for so long; none as long as this one has not been, all that time."""
        if self._clock.monotonic() - self._unbroken_since < for_s:
            return []
        self.check()
        async with self._database.begin() as connection:
            return await self._silent(connection, for_s)

    async def keep(self, taken_over: Callable[[], object]) -> None:
        """Renew it for ever; `taken_over` is called when a dead node has left events to us."""
        while True:
            try:
                if await self.renew():
                    taken_over()
            except StoreError as error:
                if str(error) != self._problem:
                    log.warning("lease_not_renewed", problem=str(error))
                self._problem = str(error)
            await sleep(self._clock, self._lease_s / 3)

    async def renew(self) -> int:
        """Say that this node is at work. How many events of dead nodes it took over."""
        now = self._clock.monotonic()
        async with self._database.begin() as connection:
            if not await self._seen(connection):
                self._renewed_at = -math.inf
                raise StoreError(
                    f"switch.node: another machine calls itself {self._database.node} too: give each a name of its own"
                )
            unbroken = now - self._renewed_at < self._lease_s
            since = self._unbroken_since if unbroken else now
            events = await self._take_over(connection) if now - since >= self._lease_s else 0
        self._renewed_at, self._unbroken_since = now, since
        self._problem = "this node was stopped for longer than its lease"
        if events:
            log.warning("events_taken_over", events=events, reason="their node is dead")
        return events

    async def _seen(self, connection: AsyncConnection) -> bool:
        row = insert(nodes).values(**self._row, keys=self._keys())
        ours_or_old = (nodes.c.machine == row.excluded.machine) | _is_silent(self._lease_s)
        changes = {name: row.excluded[name] for name in ("machine", "keys", "seen_at_ms")}
        done = await connection.execute(
            row.on_conflict_do_update(index_elements=["name"], set_=changes, where=ours_or_old)
        )
        return done.rowcount == 1

    async def _take_over(self, connection: AsyncConnection) -> int:
        names = await self._silent(connection, self._lease_s)
        if not names:
            return 0
        await self._database.lock(connection, [PUBLISHING])
        theirs = update(outbox).where(outbox.c.published_at_ms.is_(None), outbox.c.node.in_(names))
        return (await connection.execute(theirs.values(node=self._database.node))).rowcount

    @staticmethod
    async def _silent(connection: AsyncConnection, for_s: float) -> list[str]:
        return list(await connection.scalars(select(nodes.c.name).where(_is_silent(for_s))))


def _is_silent(for_s: float) -> ColumnElement[bool]:
    return nodes.c.seen_at_ms < NOW_MS - int(for_s * 1000)
