"""Secrets of webhooks, by which their receivers know us: derived from the installation's own key; none is stored."""

import hmac


def secret_of(webhook: str, key: bytes) -> str:
    return "whsec_" + hmac.digest(key, f"webhook {webhook}".encode(), "sha512").hex()[:64]
