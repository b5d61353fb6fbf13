"""Keys of the API: `ve_<id>_<secret>`, each of one tenant and with scopes; only a hash of a secret is kept."""

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Row, func, insert, select, update

from voiceedge.clock import Clock
from voiceedge.context.storage.api_tables import api_keys
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.rows import ms, time_of
from voiceedge.errors import VoiceEdgeError

SECRET_BYTES = 24
REMEMBERED = 1_000  # keys whose last reading is still good
FRESH_S = 5.0  # so long a revoked key may still open

_FORM = re.compile(r"ve_([0-9a-f]{12})_([0-9a-f]{48})")


class Scope(StrEnum):
    CONVERSATIONS_READ = "conversations:read"
    CONVERSATIONS_WRITE = "conversations:write"
    SLOTS_CLEAR = "slots:clear"  # values of slots, customers' addresses: unmasked
    TOKENS = "tokens"
    CALLS = "calls"
    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    EVENTS = "events"
    WEBHOOKS = "webhooks"


class KeyRefusedError(VoiceEdgeError):
    """There is no such key, or what was asked of it cannot be."""


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    name: str
    tenant: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def actor(self) -> str:
        """As the access log knows it."""
        return f"key:{self.id}:{self.name}"


@dataclass(frozen=True, slots=True)
class Opened:
    """A key that was shown, with what only its owner has: answers kept for it are encrypted by `secret`."""

    key: Key
    secret: bytes


class Keys:
    """Its methods raise StoreError while the store is away."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._read: OrderedDict[str, tuple[Key, float]] = OrderedDict()  # by digest, with when it was

    async def add(self, name: str, tenant: str, scopes: Sequence[Scope], expires_days: float | None) -> tuple[Key, str]:
        """The key, and how it is written: that is told only now."""
        key_id, secret = secrets.token_hex(6), secrets.token_hex(SECRET_BYTES)
        now = self._clock.now()
        expires = now + timedelta(days=expires_days) if expires_days else None
        row = {
            "id": key_id, "digest": _digest(secret), "name": name, "tenant": tenant,
            "scopes": " ".join(sorted(scopes)), "created_ms": ms(now), "expires_ms": ms(expires) if expires else None,
        }  # fmt: skip
        async with self._database.begin() as connection:
            await connection.execute(insert(api_keys).values(row))
        return Key(key_id, name, tenant, frozenset(scopes), now, expires), f"ve_{key_id}_{secret}"

    async def listed(self) -> list[Key]:
        async with self._database.begin() as connection:
            rows = (await connection.execute(select(api_keys).order_by(api_keys.c.created_ms, api_keys.c.id))).all()
        return [_key(row) for row in rows]

    async def revoke(self, name_or_id: str) -> int:
        """All keys of this name or id, at once and for good; how many there were. Raises KeyRefusedError."""
        self._read.clear()
        which = (api_keys.c.id == name_or_id) | (api_keys.c.name == name_or_id)
        query = update(api_keys).where(which, api_keys.c.revoked_ms.is_(None))
        async with self._database.begin() as connection:
            count = (await connection.execute(query.values(revoked_ms=ms(self._clock.now())))).rowcount
            known = (await connection.execute(select(func.count()).select_from(api_keys).where(which))).scalar_one()
        if not known:
            raise KeyRefusedError(f"There is no key {name_or_id}: see `voiceedge key list`.")
        return count

    def remembers(self, text: str) -> bool:
        """Whether this key was good when it was last shown: its owner is nobody who guesses."""
        return _digest(text[-2 * SECRET_BYTES :]) in self._read

    async def opened(self, text: str) -> Opened | None:
        """The key as it was sent, or None where it is none, revoked or past its time."""
        form = _FORM.fullmatch(text)
        if not form:
            return None
        key_id, secret = form.groups()
        digest = _digest(secret)
        found, read_at = self._read.get(digest, (None, 0.0))
        if not found or found.id != key_id or self._clock.monotonic() - read_at > FRESH_S:
            found = await self._found(key_id, digest)
        if found is None or not self._is_good(found):
            self._read.pop(digest, None)
            return None
        return Opened(found, bytes.fromhex(secret))

    async def goes_on(self, key: Key) -> bool:
        """Whether one that was shown opens still, for whoever has something open by it."""
        async with self._database.begin() as connection:
            row = (await connection.execute(select(api_keys).where(api_keys.c.id == key.id))).one_or_none()
        return row is not None and self._is_good(_key(row))

    def _is_good(self, key: Key) -> bool:
        return not key.revoked_at and (key.expires_at is None or key.expires_at > self._clock.now())

    async def _found(self, key_id: str, digest: str) -> Key | None:
        async with self._database.begin() as connection:
            row = (await connection.execute(select(api_keys).where(api_keys.c.id == key_id))).one_or_none()
        if row is None or not hmac.compare_digest(row.digest, digest):
            return None
        self._read[digest] = _key(row), self._clock.monotonic()
        self._read.move_to_end(digest)
        if len(self._read) > REMEMBERED:
            self._read.popitem(last=False)
        return self._read[digest][0]


def _digest(secret: str) -> str:
    """Enough for 192 bits of chance, which nobody guesses, however quick the hash is."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: Row[tuple[object, ...]]) -> Key:
    scopes = frozenset(Scope(scope) for scope in row.scopes.split() if scope in set(Scope))
    return Key(
        row.id, row.name, row.tenant, scopes, time_of(row.created_ms),
        time_of(row.expires_ms) if row.expires_ms else None, time_of(row.revoked_ms) if row.revoked_ms else None,
    )  # fmt: skip
