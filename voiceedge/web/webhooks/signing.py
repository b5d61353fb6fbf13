"""How a receiver knows that a webhook came from us, and that it is not an old one sent again.

    Webhook-Id: <the event's id>
    Webhook-Signature: t=<seconds since 1970>,v1=<HMAC-SHA256 of "t.id.body" by the webhook's secret, in hex>

No secret is stored: it is derived from the installation's own key by the webhook's id.
"""

import hmac
from collections.abc import Mapping

ID, SIGNATURE = "Webhook-Id", "Webhook-Signature"


def secret_of(webhook: str, key: bytes) -> str:
    return "whsec_" + hmac.digest(key, f"webhook {webhook}".encode(), "sha512").hex()[:64]


def signed(secret: str, event_id: str, at_s: int, body: bytes) -> Mapping[str, str]:
    """The headers of one delivery."""
    text = f"{at_s}.{event_id}.".encode() + body
    return {ID: event_id, SIGNATURE: f"t={at_s},v1={hmac.digest(secret.encode(), text, 'sha256').hex()}"}
