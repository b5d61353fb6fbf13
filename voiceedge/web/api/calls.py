"""Calls to customers that know what was said before: each is an order to the switch (docs/outbound.md)."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import ValidationError

from voiceedge.context.record import Changes, Conversation
from voiceedge.switch.outbound.intake import OutboundError
from voiceedge.switch.outbound.messages import OrderRequest
from voiceedge.switch.outbound.model import Order
from voiceedge.switch.outbound.service import shown as shown_number
from voiceedge.web.api import models
from voiceedge.web.api.documents import ALWAYS, CHANGING, refusals
from voiceedge.web.api.door import ApiRoute, Caller, needs
from voiceedge.web.api.knowing import phone_of
from voiceedge.web.api.once import id_for
from voiceedge.web.api.reading import seen
from voiceedge.web.api.telling import Told, changed, tell
from voiceedge.web.keys import Scope
from voiceedge.web.problems import Problem
from voiceedge.web.services import Services, Wanted

router = APIRouter(tags=["calls"], route_class=ApiRoute, responses=refusals(*ALWAYS))

Calls = Annotated[Caller, needs(Scope.CALLS)]


@router.post("/calls", status_code=HTTPStatus.ACCEPTED, responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING))
async def order_call(request: Request, wish: models.CallWish, caller: Calls, at: Wanted) -> models.CallView:
    """Have a customer called. Hours, pace, attempts and whom never to call are the campaign's and the site's."""
    found = await seen(at, caller, wish.conversation_id, "call") if wish.conversation_id else None
    return await _ordered(request, wish, found, caller, at)


@router.post(
    "/conversations/{conversation_id}/call-back",
    status_code=HTTPStatus.ACCEPTED,
    responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING),
)
async def call_back(
    request: Request,
    conversation_id: Annotated[models.Identifier, Path()],
    wish: models.CallBackWish,
    caller: Calls,
    at: Wanted,
) -> models.CallView:
    """The customer wishes to go on by phone: call them, with all that this conversation knows."""
    found = await seen(at, caller, conversation_id, "call")
    whole = models.CallWish(campaign=wish.campaign, number=wish.number, not_before=wish.not_before)
    return await _ordered(request, whole, found, caller, at)


@router.get("/calls/{call_id}", responses=refusals(HTTPStatus.NOT_FOUND))
async def read_call(call_id: Annotated[models.Identifier, Path()], caller: Calls, at: Wanted) -> models.CallView:
    """How far an order is."""
    try:
        order = await at.outbound.show(call_id)
    except OutboundError:
        order = None
    about = await at.context.conversation(order.conversation) if order else None
    if order is None or about is None or about.tenant != caller.tenant:
        raise Problem(HTTPStatus.NOT_FOUND, "no_such_call", "there is no such call")
    await at.context.access.note(caller.actor, "read call", conversation=order.conversation)
    return _view(order)


async def _ordered(
    request: Request, wish: models.CallWish, found: Conversation | None, caller: Caller, at: Services
) -> models.CallView:
    customer = wish.customer_id or (found.customer_id if found else None)
    phone = await phone_of(at, caller, customer) if customer else None
    number = wish.number or phone
    if number is None:
        told = "number: give one, or a customer or conversation of which a phone number is known"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "no_number", told)
    conversation = found.id if found else id_for(request, "conversation", at.clock)
    known = {name: slot.value for name, slot in found.slots.items()} if found else {}
    wanted = at.outbound.slots_of(wish.campaign, wish.flow)
    order = _order(
        id=id_for(request, "call", at.clock), number=number, campaign=wish.campaign, flow=wish.flow,
        values={name: value for name, value in known.items() if name in wanted} | wish.values,
        not_before=wish.not_before, until=wish.until, priority=wish.priority, conversation=conversation,
    )  # fmt: skip
    if found is None:  # an order's events say not whose it is
        begun = Told(changed(caller.key.name, None, {}), Changes(tenant=caller.tenant, customer_id=customer))
        await tell(at, request, conversation, [begun])
    (answer,) = await at.outbound.add([order], "api")
    if answer.state == "refused":
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "call_refused", answer.why)
    return _view(await at.outbound.show(answer.id))


def _order(**wish: Any) -> OrderRequest:
    try:
        return OrderRequest(**wish)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))} {one['msg']}".strip() for one in error.errors())
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "call_refused", told) from None


def _view(order: Order) -> models.CallView:
    return models.CallView(
        id=order.id, conversation_id=order.conversation, campaign=order.campaign, number=shown_number(order),
        state=order.state.value, tries=order.tries, due_at=datetime.fromtimestamp(order.due_ms / 1000, UTC),
        result=order.result.value if order.result else None, outcome=order.outcome,
    )  # fmt: skip
