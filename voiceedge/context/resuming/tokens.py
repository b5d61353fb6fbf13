"""Resume tokens: signed, for one channel, for a limited time, and good for one use."""

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import insert, select, update

from voiceedge.clock import Clock
from voiceedge.context.privacy.keys import Key, KeyRing
from voiceedge.context.record import MAIN
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.tables import tokens
from voiceedge.errors import VoiceEdgeError

LONGEST_S = 30 * 86400.0  # so long after it was replaced a key verifies
_TOKEN = re.compile(r"([0-9a-f]{8})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{24})")
_IN_TEXT = re.compile(rf"(?<![\w.-])(?:{_TOKEN.pattern})(?![\w.-])", re.ASCII)


class Refusal(StrEnum):
    UNKNOWN = "unknown"  # altered, made up, or of another installation
    FOREIGN_CHANNEL = "foreign_channel"
    USED = "used"
    EXPIRED = "expired"
    LOCKED = "locked"  # too many wrong codes
    UNCONFIRMED = "unconfirmed"  # there is a conversation, if the customer says so: ask, and redeem again


class TokenRefusedError(VoiceEdgeError):
    """A token gives no access. An ordinary thing to happen: `reason` chooses the way on."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(f"the token is refused ({reason}): let the customer ask for a new one.")
        self.reason = reason


class Tokens:
    """A token is `{key id}.{128 random bits}.{signature}`: short enough for a text message; the store has the rest."""

    def __init__(self, database: Database, ring: KeyRing, clock: Clock) -> None:
        self._database, self._ring, self._clock = database, ring, clock

    async def issue(self, conversation_id: str, channel: str, expires_s: float, tenant: str = MAIN) -> str:
        """Lives LONGEST_S at most. Raises StoreError."""
        token_id, key = secrets.token_urlsafe(16), self._ring.signing()
        expires_at = self._clock.now() + timedelta(seconds=min(expires_s, LONGEST_S))
        row = {
            "id": token_id,
            "conversation_id": conversation_id,
            "channel": channel,
            "expires_at_ms": int(expires_at.timestamp() * 1000),
            "tenant": tenant,
        }
        async with self._database.begin() as connection:
            await connection.execute(insert(tokens).values(row))
        return f"{key.id}.{token_id}.{_signature(key, token_id)}"

    async def redeem(self, token: str, channel: str, who: str | None = None, tenant: str = MAIN) -> str:
        """Burn the token and return its conversation's id. The same `who` may ask again.

        A refusal burns nothing. Raises TokenRefusedError.
        """
        token_id = self._verified(token)
        now_ms = int(self._clock.now().timestamp() * 1000)
        unused = tokens.c.redeemed_at_ms.is_(None)
        usable = unused & (tokens.c.expires_at_ms > now_ms)
        if who:
            usable |= tokens.c.redeemed_by == who
        its = tokens.c.id == token_id, tokens.c.tenant == tenant
        burning = update(tokens).where(*its, tokens.c.channel == channel, usable)
        async with self._database.begin() as connection:
            burnt = await connection.execute(burning.values(redeemed_at_ms=now_ms, redeemed_by=who))
            known = (await connection.execute(select(tokens).where(*its))).one_or_none()
        if known is None:
            raise TokenRefusedError(Refusal.UNKNOWN)
        if burnt.rowcount == 1:
            return str(known.conversation_id)
        if known.channel != channel:
            raise TokenRefusedError(Refusal.FOREIGN_CHANNEL)
        raise TokenRefusedError(Refusal.USED if known.redeemed_at_ms is not None else Refusal.EXPIRED)

    def _verified(self, token: str) -> str:
        """The token's id. Raises TokenRefusedError, StoreError."""
        parts = _TOKEN.fullmatch(token)
        key = self._ring.verifying(parts[1]) if parts else None
        if not (parts and key and hmac.compare_digest(parts[3], _signature(key, parts[2]))):
            raise TokenRefusedError(Refusal.UNKNOWN)
        return parts[2]


def tokens_in(text: str) -> list[str]:
    """What reads as tokens in a text from anywhere; none of them is verified."""
    return [match.group() for match in _IN_TEXT.finditer(text)]


def _signature(key: Key, token_id: str) -> str:
    digest = hmac.new(key.secret, f"{key.id}.{token_id}".encode(), hashlib.sha256).digest()
    return urlsafe_b64encode(digest[:18]).decode()  # 144 bits, and no padding
