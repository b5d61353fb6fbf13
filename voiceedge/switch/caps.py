"""How many calls out: caps a caller, a trunk and a day, counted in the store, so that they outlive restarts.

Each call out has a row, and is up while its worker moves the row's end on: what a dead worker or node leaves behind
frees its trunk by itself. The day's own row is written first, so that no two processes count at the same time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock
from voiceedge.context.privacy.pii import pseudonym
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.tables import calls_out, days_out
from voiceedge.switch.guard import Reason, Refusal
from voiceedge.switch.plan import Plan

LEASE_S = 90.0  # a call counts as up so long after its worker's last word
RENEW_S = 30.0


@dataclass(frozen=True, slots=True)
class CallOut:
    """`id` stays the same while one trunk after the other is tried; `caller` is a number, an agent or "" for our own.

    The caps (None: none) come along, so that they are those of the plan by which the call was routed.
    """

    id: str
    caller: str
    trunk: str
    day: str
    caller_day: int | None
    trunk_day: int | None
    trunk_up: int | None
    site_day: int | None


class Caps(Protocol):
    async def admit(self, call: CallOut) -> Refusal | None:
        """Count the call, or with the first cap that is reached nothing of it."""

    async def go_on(self, ids: Sequence[str]) -> None:
        """These calls are still up; to be told every RENEW_S."""

    async def over(self, call_id: str, trunk: str) -> None:
        """The call holds this trunk no longer; it stays counted for its day. It may be trying the next one already."""


def call_out(call_id: str, caller: str, trunk: str, plan: Plan, clock: Clock) -> CallOut:
    guard, line = plan.guard, plan.trunks[trunk]
    return CallOut(
        id=call_id,
        caller=caller,
        trunk=trunk,
        day=clock.now().astimezone(ZoneInfo(guard.timezone)).date().isoformat(),
        caller_day=guard.calls_per_caller_per_day if caller else None,
        trunk_day=line.calls_per_day,
        trunk_up=line.max_calls,
        site_day=guard.calls_per_day,
    )


class StoreCaps:
    """In the database, for all processes and nodes that share it. Callers are kept as keyed hashes, for two days."""

    def __init__(self, database: Database, key: bytes, clock: Clock) -> None:
        self._database, self._key, self._clock = database, key, clock

    async def admit(self, call: CallOut) -> Refusal | None:
        """Raises StoreError."""
        try:
            await self._database.attempt(lambda connection: self._count(connection, call))
        except _ReachedError as reached:
            return reached.refusal
        return None

    async def _count(self, connection: AsyncConnection, call: CallOut) -> None:
        """Raises _ReachedError, which undoes what was written."""
        fresh = await self._count_day(connection, call)
        caller = pseudonym(call.caller, self._key)
        rows = select(func.count()).select_from(calls_out).where(calls_out.c.id != call.id)
        of_trunk = rows.where(calls_out.c.trunk == call.trunk)
        for limit, query, refusal in (
            (call.caller_day, rows.where(calls_out.c.day == call.day, calls_out.c.caller == caller), CALLER),
            (call.trunk_day, of_trunk.where(calls_out.c.day == call.day), TRUNK_DAY),
            (call.trunk_up, of_trunk.where(calls_out.c.until_ms > self._now_ms()), TRUNK_UP),
        ):
            if limit is not None and (await connection.execute(query)).scalar_one() >= limit:
                raise _ReachedError(refusal)
        values: dict[str, Any] = {"day": call.day, "caller": caller, "trunk": call.trunk, "until_ms": self._lease_ms()}
        if fresh:
            await connection.execute(insert(calls_out).values(id=call.id, **values))
        else:
            await connection.execute(update(calls_out).where(calls_out.c.id == call.id).values(values))

    async def _count_day(self, connection: AsyncConnection, call: CallOut) -> bool:
        """Lock the day and count the call where it is not known yet; whether it was."""
        today = days_out.c.day == call.day
        if (await connection.execute(update(days_out).where(today).values(calls=days_out.c.calls))).rowcount == 0:
            await connection.execute(insert(days_out).values(day=call.day, calls=0))  # two at once: a ConflictError
            await self._forget(connection, call.day)
        known = await connection.execute(select(calls_out.c.id).where(calls_out.c.id == call.id))
        if known.first():
            return False
        made = (await connection.execute(select(days_out.c.calls).where(today))).scalar_one()
        if call.site_day is not None and made >= call.site_day:
            raise _ReachedError(SITE)
        await connection.execute(update(days_out).where(today).values(calls=made + 1))
        return True

    async def _forget(self, connection: AsyncConnection, today: str) -> None:
        """Once a day: the days before, and their calls but those that are still up."""
        await connection.execute(delete(days_out).where(days_out.c.day < today))
        over = calls_out.c.until_ms <= self._now_ms()
        await connection.execute(delete(calls_out).where(calls_out.c.day < today, over))

    async def go_on(self, ids: Sequence[str]) -> None:
        async with self._database.begin() as connection:
            still_up = calls_out.c.id.in_(ids)
            await connection.execute(update(calls_out).where(still_up).values(until_ms=self._lease_ms()))

    async def over(self, call_id: str, trunk: str) -> None:
        async with self._database.begin() as connection:
            it = (calls_out.c.id == call_id, calls_out.c.trunk == trunk)
            await connection.execute(update(calls_out).where(*it).values(until_ms=0))

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    def _lease_ms(self) -> int:
        return self._now_ms() + int(LEASE_S * 1000)


class LocalCaps:
    """In this process alone, for as long as it lives: what is left while the store cannot be asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: dict[str, tuple[CallOut, float]] = {}  # with the end of its lease, on the monotonic clock

    async def admit(self, call: CallOut) -> Refusal | None:
        now = self._clock.monotonic()
        self._calls = {name: known for name, known in self._calls.items() if known[0].day == call.day or known[1] > now}
        others = [known for known in self._calls.values() if known[0].id != call.id]
        of_day = [other for other, _ in others if other.day == call.day]
        of_trunk = [other for other in of_day if other.trunk == call.trunk]
        up = sum(other.trunk == call.trunk and until > now for other, until in others)
        for limit, count, refusal in (
            (call.site_day, len(of_day), SITE),
            (call.caller_day, sum(other.caller == call.caller for other in of_day), CALLER),
            (call.trunk_day, len(of_trunk), TRUNK_DAY),
            (call.trunk_up, up, TRUNK_UP),
        ):
            if limit is not None and count >= limit:
                return refusal
        self._calls[call.id] = call, now + LEASE_S
        return None

    async def go_on(self, ids: Sequence[str]) -> None:
        until = self._clock.monotonic() + LEASE_S
        for name in ids:
            if known := self._calls.get(name):
                self._calls[name] = known[0], until

    async def over(self, call_id: str, trunk: str) -> None:
        known = self._calls.get(call_id)
        if known and known[0].trunk == trunk:
            self._calls[call_id] = known[0], 0.0


SITE = Refusal(Reason.CAPPED, "guard.calls_per_day is reached")
CALLER = Refusal(Reason.CAPPED, "guard.calls_per_caller_per_day is reached")
TRUNK_DAY = Refusal(Reason.CAPPED, "calls_per_day of the trunk is reached")
TRUNK_UP = Refusal(Reason.CAPPED, "max_calls of the trunk is reached")


class _ReachedError(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.why)
        self.refusal = refusal
