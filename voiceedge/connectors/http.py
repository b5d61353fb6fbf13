"""A system asked over HTTP: the address and body filled in, the mapped places of its JSON answer taken out."""

import ssl
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from voiceedge.connectors.answers import NotThereError
from voiceedge.connectors.exchange import fetch
from voiceedge.connectors.paths import JsonPath
from voiceedge.connectors.profile import PLACEHOLDER, HttpProfile
from voiceedge.connectors.source import secret


class HttpSource:
    def __init__(self, profile: HttpProfile) -> None:
        """Raises OSError where ca_file holds no certificates."""
        self._profile = profile
        self._paths = {name: JsonPath.parse(place) for name, place in profile.columns.items()}
        https = profile.url.startswith("https:")
        self._client = httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=profile.ca_file) if https else False,
            trust_env=False,  # no proxy and no login but those of the profile
            limits=httpx.Limits(max_connections=profile.at_once, max_keepalive_connections=profile.at_once),
        )

    async def ask(self, values: Mapping[str, str]) -> Mapping[str, Any]:
        profile = self._profile
        answer = await fetch(
            self._client,
            PLACEHOLDER.sub(lambda match: encoded(values[match[1]]), profile.url),
            headers={**profile.headers, **self._secrets()},
            body=None if profile.body is None else _filled(profile.body, values),
            not_found=profile.not_found,
        )
        found = {name: path.find(answer) for name, path in self._paths.items()}
        if all(value is None for value in found.values()):
            raise NotThereError  # such as {"customers": []}
        return found

    async def close(self) -> None:
        await self._client.aclose()

    def _secrets(self) -> dict[str, str]:
        profile = self._profile
        headers = {name: secret(f"secret_headers.{name}", file) for name, file in profile.secret_headers.items()}
        if profile.bearer_file:
            headers["Authorization"] = f"Bearer {secret('bearer_file', profile.bearer_file)}"
        if profile.username and profile.password_file:
            login = f"{profile.username}:{secret('password_file', profile.password_file)}"
            headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        return headers


def encoded(text: str) -> str:
    """One segment of a path, or one value of a query (RFC 3986): neither / nor .. leads elsewhere."""
    out = quote(text, safe="")
    return out.replace(".", "%2E") if not text.strip(".") else out


def _filled(body: Any, values: Mapping[str, str]) -> Any:
    if isinstance(body, str):
        return PLACEHOLDER.sub(lambda match: values[match[1]], body)
    if isinstance(body, dict):
        return {key: _filled(value, values) for key, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, values) for value in body]
    return body
