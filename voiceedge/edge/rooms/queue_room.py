"""The queues in the control process: their requests over the link, their plan, and the workers who call people back."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel

from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.context.service import ContextService
from voiceedge.edge.between.asked import takes
from voiceedge.edge.between.link import Handler, Head
from voiceedge.edge.between.serving import Workers
from voiceedge.errors import ConfigError, LinkError, StoreError
from voiceedge.switch.plan import load_plan
from voiceedge.switch.queues import messages
from voiceedge.switch.queues.board import QueueError
from voiceedge.switch.queues.messages import CallBackOrder, Message
from voiceedge.switch.queues.rules import Rules
from voiceedge.switch.queues.service import QueueService
from voiceedge.switch.queues.watching import Watching

Request = TypeVar("Request", bound=Message)

ORDER_S = 3.0  # a worker only notes the order before it answers

log = structlog.get_logger()


@asynccontextmanager
async def opened(
    config: Config, context: ContextService, clock: Clock, *, reloaded: Callable[[], None]
) -> AsyncIterator[tuple[QueueService, dict[str, Handler]]]:
    """The queues, and the handlers of all requests about them and agents, for as long as the block lasts.

    `reloaded` is told after each SIGHUP, when the queues have their new plan.
    """
    database, dial = context.database, WorkerDial(config)
    async with (
        QueueService(database, _rules(config), dial, context.ingest, clock, node=config.switch.node) as queues,
        asyncio.TaskGroup() as group,
    ):
        loop = asyncio.get_running_loop()

        async def reload() -> None:
            await _reload(queues, config)
            reloaded()

        loop.add_signal_handler(signal.SIGHUP, lambda: group.create_task(reload()))
        try:
            yield queues, handlers(queues, Watching(queues, database, clock))
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            await dial.close()


def handlers(queues: QueueService, watching: Watching) -> dict[str, Handler]:
    async def agents(_head: Head, _payload: bytes) -> Head:
        return {"agents": _json(await watching.agents())}

    async def all_queues(_head: Head, _payload: bytes) -> Head:
        return {"queues": _json(await watching.queues())}

    async def show(asked: messages.QueueAsked) -> Message:
        return await watching.show(asked.queue)

    return {
        "queue_join": _takes(messages.Join, queues.join),
        "queue_wait": _takes(messages.Wait, queues.wait),
        "queue_offer_result": _takes(messages.OfferResult, queues.offer_result),
        "queue_talk_over": _takes(messages.TalkOver, queues.talk_over),
        "queue_leave": _takes(messages.Leave, queues.leave),
        "queue_call_back": _takes(messages.CallBack, queues.call_back),
        "queue_customer": _takes(messages.CustomerResult, queues.customer_failed),
        "agent_login": _takes(messages.AgentLogin, queues.login),
        "agent_state": _takes(messages.AgentChange, queues.agent_asked),
        "agent_dialled": _takes(messages.AgentDialled, queues.dialled),
        "phones_busy": _takes(messages.PhonesBusy, queues.phones_busy),
        "queue_show": _takes(messages.QueueAsked, show),
        "agents": agents,
        "queues": all_queues,
    }


def _takes(kind: type[Request], method: Callable[[Request], Awaitable[Message]]) -> Handler:
    async def answered(request: Request) -> Head:
        return (await method(request)).model_dump(mode="json")

    return takes(kind, answered, QueueError)


def _json(models: Sequence[BaseModel]) -> list[dict[str, Any]]:
    return [model.model_dump(mode="json") for model in models]


def _rules(config: Config) -> Rules:
    return Rules(load_plan(config.switch.plan), config.front.realm)


async def _reload(queues: QueueService, config: Config) -> None:
    try:
        await queues.use(_rules(config))
    except ConfigError as error:
        log.warning("plan_refused", problem=str(error), effect="queues and agents go on as they were")
    except StoreError as error:
        log.warning(
            "plan_waits", problem=str(error), effect="it holds from now on, and for who waits when that is over"
        )


class WorkerDial:
    """Gives call-backs to the worker with the fewest calls among those that serve."""

    def __init__(self, config: Config) -> None:
        self._workers = Workers(config)
        self.close = self._workers.close

    async def call_back(self, order: CallBackOrder) -> None:
        """Raises LinkError where no worker takes it."""
        problem = "no worker is ready"
        for name in self._workers.serving():
            try:
                await self._workers.link(name).request("call_back", order.model_dump(mode="json"), timeout_s=ORDER_S)
            except LinkError as error:
                problem = str(error)
            else:
                return
        raise LinkError(problem)
