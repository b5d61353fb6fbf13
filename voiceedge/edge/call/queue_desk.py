"""What a worker asks of the queues in control, again and again where control is away: a place is never lost by that."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import structlog
from pydantic import ValidationError

from voiceedge.audio import comfort, wav
from voiceedge.bus.backoff import backoff
from voiceedge.clock import Clock, sleep
from voiceedge.edge.between.link import LinkClient
from voiceedge.edge.call.inbox import Spawn
from voiceedge.errors import LinkError, PromptError
from voiceedge.switch.queues.messages import (
    AgentDialled,
    AgentView,
    CallBack,
    CustomerResult,
    Join,
    Joined,
    Leave,
    Message,
    OfferResult,
    Said,
    TalkOver,
    TicketState,
    View,
    Wait,
)

ASK_S = 5.0
ANSWERED_S = 1.0
POLL_S = 40.0  # control answers after 25
INSIST_S = 30.0  # control is back by then, or has taken the place for lost
REPORT_S = 120.0  # nobody waits while a report is on its way, and a database may be away for a minute

Answer = TypeVar("Answer", bound=Message)
Result = Literal["answered", "busy", "no_answer", "failed", "no_line"]

log = structlog.get_logger()


class QueueDesk:
    """One in every worker."""

    def __init__(self, control: LinkClient, clock: Clock) -> None:
        self._control, self._clock = control, clock
        self._music: dict[Path, comfort.Pcm] = {}

    async def join(self, wish: Join) -> Joined:
        """Raises LinkError."""
        return _read(Joined, await self._insist("queue_join", wish))

    async def wait(self, ticket: str, seen: str) -> View:
        """Raises LinkError, which is no reason to give up where trying again can help."""
        asked = Wait(ticket=ticket, seen=seen).model_dump(mode="json")
        return _read(View, await self._control.request("queue_wait", asked, timeout_s=POLL_S))

    async def answered(self, ticket: str, agent: str) -> Said | None:
        """How the ticket of an agent stands who waits to be joined with the caller: asked once, None soon."""
        said = OfferResult(ticket=ticket, agent=agent, result="answered").model_dump(mode="json")
        try:
            return _read(Said, await self._control.request("queue_offer_result", said, timeout_s=ANSWERED_S))
        except LinkError as error:
            log.warning("queue_not_told", request="queue_offer_result", problem=str(error))
            return None

    def report(self, ticket: str, spawn: Spawn) -> "Report":
        return Report(ticket, self._say, spawn)

    async def call_back(self, ticket: str, number: str) -> bool:
        """Whether the place is kept for a call to this number."""
        said = await self._say("queue_call_back", CallBack(ticket=ticket, number=number))
        return said is not None and said.state in {TicketState.WAITING, TicketState.OFFERED}

    async def customer_failed(self, ticket: str, result: Literal["busy", "no_answer", "failed", "machine"]) -> None:
        await self._say("queue_customer", CustomerResult(ticket=ticket, result=result))

    async def agent_dialled(self, wish: AgentDialled) -> AgentView:
        """Raises LinkError."""
        asked = wish.model_dump(mode="json")
        return _read(AgentView, await self._control.request("agent_dialled", asked, timeout_s=ASK_S))

    def music(self, path: Path | None) -> comfort.Pcm:
        """Reads the file when it is first asked for; ours where it cannot be used."""
        if path is None:
            return comfort.music()
        if path not in self._music:
            try:
                self._music[path] = wav.load(path, comfort.RATE)
            except (PromptError, OSError) as error:
                log.warning("music_unusable", problem=str(error))
                self._music[path] = comfort.music()
        return self._music[path]

    async def _say(self, request: str, message: Message, for_s: float = INSIST_S) -> Said | None:
        try:
            return _read(Said, await self._insist(request, message, for_s))
        except LinkError as error:
            log.warning("queue_not_told", request=request, problem=str(error))
            return None

    async def _insist(self, request: str, message: Message, for_s: float = INSIST_S) -> dict[str, object]:
        """Raises LinkError."""
        body, delays = message.model_dump(mode="json"), backoff()
        until = self._clock.monotonic() + for_s
        while True:
            try:
                return await self._control.request(request, body, timeout_s=ASK_S)
            except LinkError as error:
                if not error.can_retry or self._clock.monotonic() >= until:
                    raise
            await sleep(self._clock, next(delays))


class Report:
    """What becomes of one ticket, told to control in the background.

    One thing after the other, however long control or its database is away: a talk whose end is told before its
    beginning would not end.
    """

    def __init__(self, ticket: str, say: Callable[[str, Message, float], Awaitable[object]], spawn: Spawn) -> None:
        self._ticket, self._say, self._spawn = ticket, say, spawn
        self._last: asyncio.Task[None] | None = None

    def offer_result(self, agent: str, result: Result) -> None:
        self._tell("queue_offer_result", OfferResult(ticket=self._ticket, agent=agent, result=result))

    def talk_over(self, agent: str, *, back_to_queue: bool) -> None:
        self._tell("queue_talk_over", TalkOver(ticket=self._ticket, agent=agent, back_to_queue=back_to_queue))

    def leave(self, why: Literal["abandoned", "left"]) -> None:
        self._tell("queue_leave", Leave(ticket=self._ticket, why=why))

    async def then(self, stop: Callable[[], object]) -> None:
        """Call `stop` when all is told, or given up: a ticket that nobody asks about any more is taken for lost."""
        await self.told()
        stop()

    async def told(self) -> None:
        if self._last:
            await asyncio.wait((self._last,))

    def _tell(self, request: str, message: Message) -> None:
        self._last = self._spawn(self._after(self._last, request, message))

    async def _after(self, before: asyncio.Task[None] | None, request: str, message: Message) -> None:
        if before:
            await asyncio.wait((before,))
        await self._say(request, message, REPORT_S)


def _read(kind: type[Answer], answer: Mapping[str, Any]) -> Answer:
    """Raises LinkError, after which trying again may help: control may be of another version for a moment."""
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, found["loc"])) for found in error.errors())  # without the values
        raise LinkError(f"control answered something else than {kind.__name__} ({fields}): restart both") from None
