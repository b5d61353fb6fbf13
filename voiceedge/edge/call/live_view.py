"""The calls that are up, for whoever looks: what a worker answers about its own, and how all workers are asked."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

import structlog

from voiceedge.config import Config
from voiceedge.connectors.service import Connectors
from voiceedge.context.privacy.pii import mask_text
from voiceedge.context.publishing.journal import Outgoing
from voiceedge.edge.between.link import Handler, Head, LinkClient
from voiceedge.edge.call.tally import Tally
from voiceedge.errors import LinkError

ANSWER_S = 3.0

log = structlog.get_logger()


class Visible(Protocol):
    """A call that is up."""

    @property
    def conversation(self) -> str: ...

    @property
    def number(self) -> str:
        """The customer's, in the clear; empty where they withhold it."""

    def picture(self) -> Head:
        """What `voiceedge calls` shows of it; numbers are masked."""

    async def end(self) -> None:
        """Hang up, as the telecom engineer wishes."""


class LiveView:
    """A worker's handlers: calls, number, hang_up, figures."""

    def __init__(
        self, calls: Callable[[], Iterable[Visible]], tally: Tally, outgoing: Outgoing, connectors: Connectors
    ) -> None:
        self._calls, self._tally, self._outgoing, self._connectors = calls, tally, outgoing, connectors

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"calls": self.calls, "number": self.number, "hang_up": self.hang_up, "figures": self.figures}

    async def calls(self, _head: Head, _payload: bytes) -> Head:
        return {"calls": [call.picture() for call in self._calls()]}

    async def number(self, head: Head, _payload: bytes) -> Head:
        """The customer's number of the call with this Call-ID, as events tell it; empty where it is not ours."""
        call = str(head["call"])
        found = (one.number for one in self._calls() if mask_text(one.picture()["call_id"] or "") == call)
        return {"number": next(found, "")}

    async def hang_up(self, head: Head, _payload: bytes) -> Head:
        """`conversation`, or its beginning or end; answers {"ended": [conversation …]}."""
        wanted = str(head["conversation"])
        meant = [call for call in self._calls() if is_meant(call.conversation, wanted)]
        for call in meant:
            log.info("call_ended_by_command", conversation=call.conversation)
            await call.end()
        return {"ended": [call.conversation for call in meant]}

    async def figures(self, _head: Head, _payload: bytes) -> Head:
        return {
            **vars(self._tally),  # asdict would count a Counter's pairs
            "calls": sum(1 for _ in self._calls()),
            "events_waiting": len(self._outgoing),
            "events_lost": self._outgoing.lost,
            "connectors": [asdict(state) for state in self._connectors.state()],
        }


def is_meant(conversation: str, wanted: str) -> bool:
    """Whoever types an id leaves out what all of today's have in common."""
    return len(wanted) >= 6 and (conversation.startswith(wanted) or conversation.endswith(wanted))  # noqa: PLR2004


async def ask_workers(
    config: Config, request: str, body: Mapping[str, Any] | None = None, *, timeout_s: float = ANSWER_S
) -> dict[str, Head]:
    """What each worker answers, by its name: those that retire are asked too, one that is away has no answer."""

    async def ask(name: str) -> Head | None:
        link = LinkClient(config.site.run_dir / f"{name}.sock")
        try:
            return await link.request(request, body or {}, timeout_s=timeout_s)
        except LinkError as error:
            log.debug("worker_not_asked", worker=name, problem=str(error))
            return None
        finally:
            await link.close()

    names = sorted((socket.stem for socket in config.site.run_dir.glob("worker-*.sock")), key=_number)
    answers = await asyncio.gather(*map(ask, names))
    return {name: answer for name, answer in zip(names, answers, strict=True) if answer is not None}


def _number(name: str) -> tuple[int, str]:
    number = name.partition("-")[2]
    return (int(number) if number.isdigit() else 0), name
