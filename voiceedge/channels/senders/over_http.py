"""Messages by HTTP: a gateway for texts, and webhooks that are signed as those of the API are (docs/api.md)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from voiceedge.channels.file import Sms, Webhook, filled
from voiceedge.channels.senders.message import Message, NotSentError
from voiceedge.channels.senders.signing import signed
from voiceedge.clock import Clock, timeout

RETRY = frozenset({408, 409, 425, 429})  # and all of 5xx
LARGEST_ANSWER = 64 * 1024


class SmsSender:
    def __init__(self, settings: Sms, client: httpx.AsyncClient, clock: Clock) -> None:
        self._settings, self._client, self._clock = settings, client, clock

    async def send(self, message: Message) -> None:
        its = self._settings
        values = message.envelope(message.worded(its.worded(message.language)))
        headers = {**its.headers, "Idempotency-Key": message.id}
        headers |= {name: _secret(file) for name, file in its.secret_headers.items()}
        if its.bearer_file:
            headers["Authorization"] = f"Bearer {_secret(its.bearer_file)}"
        if its.form is not None:
            content = {"data": {name: str(value) for name, value in filled(its.form, values).items()}}
        else:
            content = {"json": filled(its.json_body, values)}
        await _post(self._client, self._clock, its.timeout_s, its.url, headers, **content)


class WebhookSender:
    def __init__(self, settings: Webhook, client: httpx.AsyncClient, clock: Clock) -> None:
        self._settings, self._client, self._clock = settings, client, clock

    async def send(self, message: Message) -> None:
        its = self._settings
        values = message.envelope(message.worded(its.worded(message.language)))
        body = json.dumps(filled(its.body, values) if its.body else dict(values), ensure_ascii=False).encode()
        at_s = int(self._clock.now().timestamp())
        headers = {
            **its.headers,
            "Content-Type": "application/json",
            "Idempotency-Key": message.id,
            **signed(_secret(its.secret_file), message.id, at_s, body),
        }
        await _post(self._client, self._clock, its.timeout_s, its.url, headers, content=body)


async def _post(
    client: httpx.AsyncClient,
    clock: Clock,
    timeout_s: float,
    url: str,
    headers: Mapping[str, str],
    **content: Any,
) -> None:
    """Redirects are not followed: they could lead into the inner network."""
    try:
        async with timeout(clock, timeout_s):
            request = client.build_request("POST", url, headers=dict(headers), timeout=None, **content)
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                taken = 0
                async for chunk in response.aiter_raw():  # so that the connection can be used again
                    taken += len(chunk)
                    if taken > LARGEST_ANSWER:
                        break
            finally:
                await response.aclose()
    except TimeoutError:
        raise NotSentError("no answer in time", can_retry=True) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotSentError(type(error).__name__, can_retry=True) from None
    if not response.is_success:
        status = response.status_code
        raise NotSentError(f"status {status}", can_retry=status in RETRY or response.is_server_error)


def _secret(file: Path) -> str:
    """Read each time, so that it can be changed while we run."""
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise NotSentError(f"{file} cannot be read", can_retry=True) from None
    if not secret.isascii() or not secret.isprintable():
        raise NotSentError(f"{file} holds no secret of one line of ASCII", can_retry=True)
    return secret
