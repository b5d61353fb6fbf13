"""Resume tokens: signed, for one channel, for a limited time, and good for one use."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from voiceedge.clock import Clock
from voiceedge.context.keys import load_key
from voiceedge.context.store import Store
from voiceedge.errors import VoiceEdgeError


class Refusal(StrEnum):
    UNKNOWN = "unknown"  # altered, made up, or of another installation
    FOREIGN_CHANNEL = "foreign_channel"
    USED = "used"
    EXPIRED = "expired"


class TokenRefusedError(VoiceEdgeError):
    """A token gives no access. An ordinary thing to happen: `reason` chooses the way on."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(f"the token is refused ({reason}): let the customer ask for a new one.")
        self.reason = reason


class Tokens:
    """A token is `{key id}.{128 random bits}.{signature}`: short enough for a text message; the store has the rest."""

    def __init__(self, store: Store, data_dir: Path, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._key = load_key(data_dir, "token")
        self.key_id = hashlib.sha256(self._key).hexdigest()[:8]

    async def issue(self, conversation_id: str, channel: str, expires_s: float) -> str:
        token_id = secrets.token_urlsafe(16)
        expires_at = self._clock.now() + timedelta(seconds=expires_s)
        await self._store.add_token(token_id, conversation_id, channel, expires_at)
        return f"{self.key_id}.{token_id}.{self._signature(token_id)}"

    async def redeem(self, token: str, channel: str) -> str:
        """Burn the token and return its conversation's id. A refusal burns nothing. Raises TokenRefusedError."""
        token_id = self._verified(token)
        now = self._clock.now()
        burnt, known = await self._store.burn_token(token_id, channel, now)
        if known is None:
            raise TokenRefusedError(Refusal.UNKNOWN)
        if burnt:
            return known.conversation
        if known.channel != channel:
            raise TokenRefusedError(Refusal.FOREIGN_CHANNEL)
        raise TokenRefusedError(Refusal.USED if known.redeemed_at_ms is not None else Refusal.EXPIRED)

    def _verified(self, token: str) -> str:
        if not token.isascii():
            raise TokenRefusedError(Refusal.UNKNOWN)
        key_id, _, rest = token.partition(".")
        token_id, _, signature = rest.partition(".")
        expected = f"{self.key_id}.{self._signature(token_id)}"
        if not hmac.compare_digest(f"{key_id}.{signature}".encode(), expected.encode()):
            raise TokenRefusedError(Refusal.UNKNOWN)
        return token_id

    def _signature(self, token_id: str) -> str:
        digest = hmac.new(self._key, f"{self.key_id}.{token_id}".encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(digest[:18]).decode()  # 144 bits, and no padding
