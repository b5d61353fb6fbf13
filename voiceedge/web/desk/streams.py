"""What open desks are told at once: that something has changed, which they then ask for."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

MOST_WAITING = 200  # messages for a desk that does not read: it begins anew then


class Stream:
    """One open desk. `agent` is whose, `conversations` those it shows."""

    def __init__(self, agent: str, *, supervises: bool) -> None:
        self.agent, self.supervises = agent, supervises
        self.conversations: set[str] = set()
        self._messages: dict[str, dict[str, Any]] = {}  # by what makes an earlier one needless
        self._some = asyncio.Event()
        self._count = 0

    def tell(self, kind: str, **more: Any) -> None:
        """Of several that say the same the desk gets one; whispers are all told."""
        self._count += 1
        key = f"whisper {self._count}" if kind == "whisper" else f"{kind} {json.dumps(more, sort_keys=True)}"
        if len(self._messages) < MOST_WAITING:
            self._messages[key] = {"type": kind, **more}
        self._some.set()

    async def next(self) -> list[dict[str, Any]]:
        """All that there is, waiting for the first."""
        await self._some.wait()
        self._some.clear()
        messages, self._messages = list(self._messages.values()), {}
        return messages


class Streams:
    """`came` and `went` hear of each desk that opens and closes."""

    def __init__(self, came: Callable[[str], None], went: Callable[[str], None]) -> None:
        self._came, self._went = came, went
        self._open: set[Stream] = set()

    @asynccontextmanager
    async def opened(self, agent: str, *, supervises: bool) -> AsyncIterator[Stream]:
        stream = Stream(agent, supervises=supervises)
        self._open.add(stream)
        self._came(agent)
        try:
            yield stream
        finally:
            self._open.discard(stream)
            self._went(agent)

    def desk_changed(self, *agents: str) -> None:
        """What these agents' desks show, and so what supervisors see."""
        for stream in self._open:
            if stream.agent in agents:
                stream.tell("desk")
            if stream.supervises:
                stream.tell("floor")

    def conversation_changed(self, conversation: str) -> None:
        for stream in self._open:
            if conversation in stream.conversations:
                stream.tell("conversation", conversation=conversation)

    def shows(self, agent: str, conversation: str) -> None:
        """From now on the agent's desks are told of what happens in it."""
        for stream in self._open:
            if stream.agent == agent:
                stream.conversations.add(conversation)

    def whisper(self, agent: str, conversation: str, text: str, by: str) -> bool:
        """False where the agent has no desk open."""
        desks = [stream for stream in self._open if stream.agent == agent]
        for stream in desks:
            stream.tell("whisper", conversation=conversation, text=text, by=by)
        return bool(desks)
