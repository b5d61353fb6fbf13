"""PINs: six digits that stand for a conversation for some minutes, and what keeps anybody from guessing them.

```
 wrong PINs of one asker       5 within 15 minutes → that asker is locked for 30 minutes
 wrong PINs in one channel   100 within 10 minutes → that channel is, for 10 minutes
```
Whoever asks from a number that is surely theirs is not counted with the others, nor locked with them: numbers are not
to be had by the hundred, and nobody must be able to shut them out by guessing elsewhere.
With n PINs alive, n of a million guesses are right: a hundred guesses find one of 10 with a chance of 1 in 1000.
Right or wrong, locked or not, a PIN is looked up by the same statements.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import delete, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock
from voiceedge.context.record import MAIN
from voiceedge.context.resuming.tokens import Refusal, TokenRefusedError
from voiceedge.context.storage.continuing_tables import pin_askers, pins
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.rows import ms
from voiceedge.errors import StoreError

LENGTH = 6
EVERYBODY = "*"  # and the channel
CANDIDATES = 20  # with 1,000 PINs alive, all of them are taken once in 10^60
KEPT_MS = 3_600_000
LONGEST_ASKER = 64
_LOCK = "pins"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limit:
    """So many failures within `window_s`, and nothing is tried for `lock_s`."""

    failures: int
    window_s: float
    lock_s: float


EACH = Limit(5, 15 * 60.0, 30 * 60.0)
TOGETHER = Limit(100, 10 * 60.0, 10 * 60.0)


@dataclass(frozen=True, slots=True)
class _Count:
    failures: int = 0
    since_ms: int = 0
    locked_until_ms: int = 0

    def after(self, limit: Limit, now_ms: int, *, failed: bool) -> "_Count":
        if self.locked_until_ms > now_ms:
            return self
        fresh = self.since_ms <= now_ms - limit.window_s * 1000
        failures = (0 if fresh else self.failures) + failed
        locked_ms = now_ms + int(limit.lock_s * 1000) if failures >= limit.failures else 0
        return _Count(0 if locked_ms else failures, now_ms if fresh else self.since_ms, locked_ms)


class Pins:
    """`key` is the site's, so that a PIN of one node is known at the others."""

    def __init__(self, database: Database, key: bytes, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._key = hmac.digest(key, b"pin", "sha256")

    async def issue(self, conversation_id: str, channel: str, expires_s: float, tenant: str = MAIN) -> str:
        """A PIN that nobody else has now. Raises StoreError."""
        expires_at = self._clock.now() + timedelta(seconds=expires_s)
        its = {
            "conversation_id": conversation_id,
            "channel": channel,
            "expires_at_ms": ms(expires_at),
            "tenant": tenant,
        }
        return await self._database.attempt(lambda connection: self._issue(connection, its))

    async def _issue(self, connection: AsyncConnection, its: dict[str, Any]) -> str:
        candidates = {
            self._hash(pin): pin for pin in (f"{secrets.randbelow(10**LENGTH):06}" for _ in range(CANDIDATES))
        }
        await self._database.lock(connection, [_LOCK])
        await self._forget(connection)
        alive = select(pins.c.id).where(pins.c.id.in_(candidates), pins.c.expires_at_ms > ms(self._clock.now()))
        taken = set(await connection.scalars(alive))
        name = next((name for name in candidates if name not in taken), None)
        if name is None:
            raise StoreError("all PINs are given out: let them live for a shorter time (context.pin_s).")
        await connection.execute(delete(pins).where(pins.c.id == name))
        await connection.execute(insert(pins).values(id=name, **its))
        return candidates[name]

    async def redeem(
        self, pin: str, channel: str, asker: str, tenant: str, who: str | None = None, *, sure: bool = False
    ) -> str:
        """Burn the PIN and return its conversation's id. The same `who` may ask again.

        `sure`: `asker` stands for a number that is theirs. Raises TokenRefusedError and StoreError.
        """
        limits = {asker: EACH} if sure else {asker: EACH, f"{EVERYBODY} {channel}"[:LONGEST_ASKER]: TOGETHER}
        conversation, refusal, locks = await self._database.attempt(
            lambda connection: self._redeem(connection, pin, channel, limits, tenant, who)
        )
        if locks:
            log.warning("pins_locked", asker=locks[-1], channel=channel, reason="too many wrong PINs")
        if refusal:
            raise TokenRefusedError(refusal)
        return conversation

    async def _redeem(  # noqa: PLR0917 - all of them are always given
        self,
        connection: AsyncConnection,
        pin: str,
        channel: str,
        limits: Mapping[str, Limit],
        tenant: str,
        who: str | None,
    ) -> tuple[str, Refusal | None, list[str]]:
        now_ms, name = ms(self._clock.now()), self._hash(pin)
        await self._database.lock(connection, [_LOCK])
        counts = await self._counts(connection, limits)
        locked = any(count.locked_until_ms > now_ms for count in counts.values())
        its = pins.c.id == name, pins.c.tenant == tenant
        known = (await connection.execute(select(pins).where(*its))).one_or_none()
        usable = pins.c.redeemed_at_ms.is_(None) & (pins.c.expires_at_ms > now_ms)
        burning = update(pins).where(
            *its,
            pins.c.channel == channel,
            or_(usable, pins.c.redeemed_by == (who or "")),
            literal(not locked),
        )
        burnt = (await connection.execute(burning.values(redeemed_at_ms=now_ms, redeemed_by=who))).rowcount == 1
        failed = not burnt and not locked
        after = {one: count.after(limits[one], now_ms, failed=failed) for one, count in counts.items()}
        await self._count(connection, after)
        locks = [one for one in after if after[one].locked_until_ms > now_ms >= counts[one].locked_until_ms]
        if locked:
            return "", Refusal.LOCKED, []
        if burnt and known:
            return known.conversation_id, None, locks
        return "", _refusal(known, channel), locks

    async def _counts(self, connection: AsyncConnection, askers: Collection[str]) -> dict[str, _Count]:
        query = select(pin_askers).where(pin_askers.c.asker.in_(askers))
        known = {
            row.asker: _Count(row.failures, row.since_ms, row.locked_until_ms)
            for row in await connection.execute(query)
        }
        return {who: known.get(who, _Count()) for who in askers}

    async def _count(self, connection: AsyncConnection, counts: dict[str, _Count]) -> None:
        await connection.execute(delete(pin_askers).where(pin_askers.c.asker.in_(list(counts))))
        rows = [
            {"asker": who, "failures": it.failures, "since_ms": it.since_ms, "locked_until_ms": it.locked_until_ms}
            for who, it in counts.items()
        ]
        await connection.execute(insert(pin_askers), rows)

    async def _forget(self, connection: AsyncConnection) -> None:
        """What is over for an hour: until then a customer is told why."""
        before = ms(self._clock.now()) - KEPT_MS
        await connection.execute(delete(pins).where(pins.c.expires_at_ms < before))
        over = (pin_askers.c.since_ms < before) & (pin_askers.c.locked_until_ms < before)
        await connection.execute(delete(pin_askers).where(over))

    def _hash(self, pin: str) -> str:
        return hmac.new(self._key, pin.encode(errors="replace"), hashlib.sha256).hexdigest()


def _refusal(known: Any, channel: str) -> Refusal:
    if known is None:
        return Refusal.UNKNOWN
    if known.channel != channel:
        return Refusal.FOREIGN_CHANNEL
    return Refusal.USED if known.redeemed_at_ms is not None else Refusal.EXPIRED
