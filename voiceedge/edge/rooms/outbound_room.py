"""Calls out by order in the control process: requests over the link, the plan, and the workers that place them."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.context.privacy.pii import pseudonym_key
from voiceedge.context.service import ContextService
from voiceedge.edge.between.asked import takes
from voiceedge.edge.between.link import Handler, Head
from voiceedge.edge.between.serving import Workers
from voiceedge.errors import ConfigError, FlowError, LinkError
from voiceedge.flow.book import FlowBook
from voiceedge.switch.outbound import messages
from voiceedge.switch.outbound.intake import OutboundError
from voiceedge.switch.outbound.messages import Added, CallOrder, OrderRequest, OrderView
from voiceedge.switch.outbound.model import Order
from voiceedge.switch.outbound.service import OutboundService, Places, shown
from voiceedge.switch.plan import load_plan

Request = TypeVar("Request", bound=BaseModel)

PLACE_S = 3.0  # a worker only notes the order before it answers
MOST_AT_ONCE = 1000  # orders or numbers of one request
SHOWN = 200  # numbers of the do-not-call list

log = structlog.get_logger()


class OutboundRoom:
    """The service, and how it is asked. `reload` takes the plan and the flows as they are now."""

    def __init__(self, service: OutboundService, config: Config) -> None:
        self.service, self._config = service, config

    def reload(self) -> None:
        try:
            self.service.use(load_plan(self._config.switch.plan), _flows(self._config))
        except ConfigError as error:
            log.warning("plan_refused", problem=str(error), effect="calls out go on as they were")

    def handlers(self) -> dict[str, Handler]:
        return {
            "outbound_add": _plainly(self._add),
            "outbound_list": _takes(messages.ListRequest, self._list),
            "outbound_show": _takes(messages.OneOrder, self._show),
            "outbound_cancel": _takes(messages.OneOrder, self._cancel),
            "outbound_pause": _takes(messages.PauseRequest, self._pause),
            "outbound_said": _takes(messages.Report, self._said),
            "outbound_go_on": _takes(messages.GoOn, self._go_on),
            "do_not_call_add": _takes(messages.Forbid, self._forbid),
            "do_not_call_list": _plainly(self._forbidden),
            "do_not_call_remove": _takes(messages.OneNumber, self._allow),
        }

    async def _add(self, head: Head) -> Head:
        """Orders that are none at all are refused one by one like those that cannot be kept."""
        asked = head.get("orders")
        if not isinstance(asked, list) or len(asked) > MOST_AT_ONCE:
            raise OutboundError(f"outbound_add takes a list of up to {MOST_AT_ONCE} orders.")
        read = [read_order(one) for one in asked]
        taken = iter(await self.service.add([one for one in read if isinstance(one, OrderRequest)], "command"))
        answers = [next(taken) if isinstance(one, OrderRequest) else one for one in read]
        return {"orders": [one.model_dump(mode="json") for one in answers]}

    async def _list(self, asked: messages.ListRequest) -> Head:
        orders, paused = await self.service.listed(asked.campaign, asked.state, asked.limit)
        return {"orders": [_view(order) for order in orders], "paused": paused}

    async def _show(self, asked: messages.OneOrder) -> Head:
        return _view(await self.service.show(asked.order))

    async def _cancel(self, asked: messages.OneOrder) -> Head:
        return _view(await self.service.cancel(asked.order))

    async def _pause(self, asked: messages.PauseRequest) -> Head:
        await self.service.pause(asked.campaign, asked.paused)
        return {}

    async def _said(self, report: messages.Report) -> Head:
        await self.service.said(report)
        return {}

    async def _go_on(self, asked: messages.GoOn) -> Head:
        await self.service.go_on(asked.calls)
        return {}

    async def _forbid(self, asked: messages.Forbid) -> Head:
        return {"added": await self.service.forbid(asked.numbers, asked.reason)}

    async def _allow(self, asked: messages.OneNumber) -> Head:
        return {"removed": await self.service.allow(asked.number)}

    async def _forbidden(self, _head: Head) -> Head:
        count, rows = await self.service.forbidden(SHOWN)
        return {"count": count, "numbers": [{**row, "added_at": _moment(row["added_ms"])} for row in rows]}


@asynccontextmanager
async def opened(config: Config, context: ContextService, clock: Clock) -> AsyncIterator[OutboundRoom]:
    """Calls are placed for as long as the block lasts."""
    workers = WorkerLinks(config)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(workers.close)
        service = OutboundService(
            context.database,
            load_plan(config.switch.plan),
            _flows(config),
            workers,
            context.ingest,
            clock,
            key=pseudonym_key(config.site.data_dir),
            node=config.switch.node,
        )
        yield OutboundRoom(await stack.enter_async_context(service), config)


def read_order(asked: object) -> OrderRequest | Added:
    """The order, or why it is none; nothing of what was sent but its id is repeated."""
    try:
        return OrderRequest.model_validate(asked)
    except ValidationError as error:
        given = asked.get("id") if isinstance(asked, dict) else None
        order_id = given if isinstance(given, str) and re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", given) else ""
        why = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False))
        return Added(id=order_id, state="refused", why=why or "no order")


def _takes(kind: type[Request], method: Callable[[Request], Awaitable[Head]]) -> Handler:
    return takes(kind, method, OutboundError)


def _plainly(method: Callable[[Head], Awaitable[Head]]) -> Handler:
    async def handle(head: Head, _payload: bytes) -> Head:
        return await method(head)

    return handle


def _view(order: Order) -> Head:
    view = OrderView(
        id=order.id,
        campaign=order.campaign,
        number=shown(order),
        state=order.state,
        priority=order.priority,
        tries=order.tries,
        due_at=datetime.fromtimestamp(order.due_ms / 1000, UTC),
        result=order.result,
        outcome=order.outcome,
        conversation=order.conversation,
    )
    return view.model_dump(mode="json")


def _moment(at_ms: Any) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def _flows(config: Config) -> dict[str, frozenset[str]]:
    """Each flow with its slots. Raises ConfigError."""
    try:
        book = FlowBook(config.flows.dir)
    except FlowError as error:
        raise ConfigError(str(error)) from error
    return {name: frozenset(flow.header.slots) for name, flow in book.flows.items()}


class WorkerLinks:
    """The workers of this node, which place the calls."""

    def __init__(self, config: Config) -> None:
        self._workers = Workers(config)
        self.close = self._workers.close

    def places(self) -> Places:
        serving = self._workers.serving()
        return Places(
            sum(int(facts.get("calls_each", 0)) for facts in serving.values()),
            sum(int(facts.get("calls", 0)) for facts in serving.values()),
        )

    async def place(self, order: CallOrder) -> None:
        """To whoever has the fewest calls. One that does not answer in time may have it: its lease tells."""
        problem = "no worker has a place"
        for name, facts in self._workers.serving().items():
            if facts.get("calls", 0) >= facts.get("calls_each", 0):
                continue
            try:
                await self._workers.link(name).request("outbound", order.model_dump(mode="json"), timeout_s=PLACE_S)
            except LinkError as error:
                if isinstance(error.__cause__, TimeoutError):
                    return
                problem = str(error)
            else:
                return
        raise LinkError(problem)
