"""Whether a webhook is from VoiceEdge, unaltered and new."""

import hmac
import time
from collections.abc import Mapping

TOLERANCE_S = 300


def verified(secret: str, headers: Mapping[str, str], body: bytes, now_s: float | None = None) -> bool:
    """`headers` by their names in any case; a signature older than five minutes is none."""
    told = {name.lower(): value for name, value in headers.items()}
    parts = dict(part.partition("=")[::2] for part in told.get("webhook-signature", "").split(","))
    at, signature = parts.get("t", ""), parts.get("v1", "")
    if not (at.isascii() and at.isdigit() and len(at) < 16 and signature.isascii()):  # noqa: PLR2004 - of seconds
        return False
    if abs((time.time() if now_s is None else now_s) - int(at)) > TOLERANCE_S:
        return False
    text = f"{at}.{told.get('webhook-id', '')}.".encode() + body
    return hmac.compare_digest(hmac.digest(secret.encode(), text, "sha256").hex(), signature)
