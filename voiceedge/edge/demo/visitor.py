"""The demo's customer in the web chat: asks what the page asks, as docs/channels.md has it."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from voiceedge.clock import Clock, sleep, timeout
from voiceedge.errors import VoiceEdgeError

ANSWER_S, LOOK_S = 60.0, 0.2
_LINK = re.compile(r"https?://\S+/c#\S+")


class DemoFailedError(VoiceEdgeError):
    """The demo did not show what it promises; the message says what was missing."""


class Visitor:
    """Raises DemoFailedError where the chat refuses."""

    def __init__(self, client: httpx.AsyncClient, clock: Clock) -> None:
        self._client, self._clock = client, clock

    async def open(self, token: str) -> Mapping[str, Any]:
        """What there is to see at once."""
        return await self._ask("/chat/sessions", {"language": "ko", "token": token})

    async def refused(self, token: str) -> bool:
        """Whether the link opens nothing."""
        answer = await self._client.post("/chat/sessions", json={"language": "ko", "token": token})
        return answer.status_code == httpx.codes.GONE

    async def until_told(self, words: str) -> None:
        async with timeout(self._clock, ANSWER_S):
            while True:
                told = (await self._client.get("/chat/messages")).json()
                if any(words in message["text"] for message in told["messages"]):
                    return
                await sleep(self._clock, LOOK_S)

    async def code(self) -> str:
        """The PIN with which the phone is told who calls."""
        return str((await self._ask("/chat/phone", {"way": "code"}))["pin"])

    async def write(self, text: str) -> None:
        await self._ask("/chat/messages", {"text": text})

    async def _ask(self, path: str, wish: Mapping[str, str]) -> Mapping[str, Any]:
        answer = await self._client.post(path, json=wish)
        if answer.is_error:
            raise DemoFailedError(f"the web chat refused {path}: {answer.text}")
        return dict(answer.json())


def link_in(text: str) -> tuple[str, str]:
    """The site and the token of the link in a text message."""
    found = _LINK.search(text)
    if found is None:
        raise DemoFailedError(f"there is no link in the text message: {text}")
    parts = urlsplit(found[0])
    return f"{parts.scheme}://{parts.netloc}", parts.fragment


@asynccontextmanager
async def visiting(site: str, clock: Clock) -> AsyncIterator[Visitor]:
    async with httpx.AsyncClient(base_url=site, timeout=ANSWER_S, trust_env=False) as client:
        yield Visitor(client, clock)
