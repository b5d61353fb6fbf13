"""One question over HTTP and its answer in JSON: bounded in size, and never led anywhere by a redirect."""

import json
import ssl
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import httpx

from voiceedge.connectors.answers import NotThereError, SystemFailedError

LARGEST_ANSWER = 64 * 1024  # bytes
_OK, _CREATED, _NOT_FOUND = 200, 201, 404
_OF_THESE_VALUES = frozenset({400, 409, 410, 414, 422})  # RFC 9110: the request itself is refused


async def fetch(
    client: httpx.AsyncClient,
    url: str,
    *,
    headers: Mapping[str, str],
    body: Any = None,
    not_found: Collection[int] = (_NOT_FOUND,),
) -> Any:
    """What the answer's JSON says; with `body` it is a POST, else a GET. Deadlines are the caller's affair.

    Raises NotThereError for a status of `not_found`, SystemFailedError for everything else that is no answer.
    """
    try:
        raw = await _body(client, url, headers, body, not_found)
        return _parsed(raw)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        raise SystemFailedError(_unreached(error)) from None
    except (ValueError, RecursionError):
        raise SystemFailedError("the answer is not JSON") from None


async def _body(
    client: httpx.AsyncClient, url: str, headers: Mapping[str, str], body: Any, not_found: Collection[int]
) -> bytes:
    async with client.stream(
        "GET" if body is None else "POST",
        url,
        headers={**headers, "Accept": "application/json", "Accept-Encoding": "identity"},
        json=body,
        follow_redirects=False,  # they could lead into the inner network
        timeout=None,
    ) as response:
        status = response.status_code
        if status in not_found:
            raise NotThereError
        if response.is_redirect:
            raise SystemFailedError(f"status {status}, a redirect, which is not followed")
        if status not in {_OK, _CREATED}:
            raise SystemFailedError(f"status {status}", rest_helps=status not in _OF_THESE_VALUES)
        raw = b""  # never unpacked: a small answer could grow without bound
        async for chunk in response.aiter_raw():
            raw += chunk
            if len(raw) > LARGEST_ANSWER:
                raise SystemFailedError(f"the answer is larger than {LARGEST_ANSWER // 1024} kB")
    return raw


def _parsed(raw: bytes) -> Any:
    """Raises ValueError too for what JSON (RFC 8259) cannot say, or says and no text or number of ours can hold."""
    value = json.loads(raw, parse_constant=_no_number)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # half a surrogate pair, 1e999
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _unreached(error: Exception) -> str:
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ssl.SSLCertVerificationError):
            return "its certificate is not trusted"
        link = link.__cause__ or link.__context__
    return _REASONS.get(type(error), type(error).__name__)


_REASONS: Mapping[type[Exception], str] = {
    httpx.ConnectError: "it cannot be reached",
    httpx.RemoteProtocolError: "the answer is not HTTP, or breaks off",
    httpx.ReadError: "the answer breaks off",
}
