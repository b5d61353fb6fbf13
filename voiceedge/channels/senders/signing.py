"""How a receiver knows that a webhook came from us, and that it is not an old one sent again.

Webhook-Id: <the event's or message's id>
Webhook-Signature: t=<seconds since 1970>,v1=<HMAC-SHA256 of "t.id.body" by the webhook's secret, in hex>
"""

import hmac
from collections.abc import Mapping

ID, SIGNATURE = "Webhook-Id", "Webhook-Signature"


def signed(secret: str, its_id: str, at_s: int, body: bytes) -> Mapping[str, str]:
    """The headers of one delivery."""
    text = f"{at_s}.{its_id}.".encode() + body
    return {ID: its_id, SIGNATURE: f"t={at_s},v1={hmac.digest(secret.encode(), text, 'sha256').hex()}"}
