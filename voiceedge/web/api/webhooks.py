"""Webhooks: who is told of events by HTTP, and how that went."""

import json
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from voiceedge.context.events.catalogue import EVENTS
from voiceedge.web.api import models
from voiceedge.web.api.documents import ALWAYS, CHANGING, refusals
from voiceedge.web.api.door import ApiRoute, Caller, needs
from voiceedge.web.api.once import id_for
from voiceedge.web.keys import Scope
from voiceedge.web.problems import Problem
from voiceedge.web.services import Services, Wanted
from voiceedge.web.webhooks import store
from voiceedge.web.webhooks.store import Delivery, Webhook

router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=ApiRoute, responses=refusals(*ALWAYS))

Webhooks = Annotated[Caller, needs(Scope.WEBHOOKS)]
WebhookId = Annotated[models.Identifier, Path()]
TYPES = {event.type for event in EVENTS}


@router.post("", status_code=HTTPStatus.CREATED, responses=refusals(*CHANGING))
async def subscribe(request: Request, wish: models.WebhookWish, caller: Webhooks, at: Wanted) -> models.NewWebhookView:
    """Have events sent to a URL from now on. The secret is shown this once."""
    url = str(wish.url)
    if not at.webhooks.allows(url):
        told = "url: this site sends to nobody there; its administrator lists who may be told in web.webhook_targets"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "target_not_allowed", told)
    if unknown := sorted(set(wish.types) - TYPES):
        told = f"types: there are no events {', '.join(unknown)}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_event_type", told)
    webhook = Webhook(
        id_for(request, "webhook", at.clock), caller.tenant, url, tuple(dict.fromkeys(wish.types)), at.clock.now()
    )
    async with at.context.database.begin() as connection:
        if not await store.add(connection, webhook):
            told = f"a tenant has at most {store.MOST_WEBHOOKS} webhooks: delete one first"
            raise Problem(HTTPStatus.CONFLICT, "too_many_webhooks", told)
    secret = at.webhooks.secret_of(webhook.id)
    return models.NewWebhookView(**_view(webhook).model_dump(), secret=secret)


@router.get("")
async def list_webhooks(caller: Webhooks, at: Wanted) -> models.WebhookList:
    """All webhooks of this tenant."""
    async with at.context.database.begin() as connection:
        return models.WebhookList(webhooks=[_view(one) for one in await store.listed(connection, caller.tenant)])


@router.get("/{webhook_id}", responses=refusals(HTTPStatus.NOT_FOUND))
async def show_webhook(webhook_id: WebhookId, caller: Webhooks, at: Wanted) -> models.WebhookView:
    """One webhook: whether it is enabled, and if not, why."""
    return _view(await _known(webhook_id, caller, at))


@router.delete("/{webhook_id}", status_code=HTTPStatus.NO_CONTENT, responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING))
async def unsubscribe(webhook_id: WebhookId, caller: Webhooks, at: Wanted) -> None:
    """Send nothing more there; what was still to be sent is dropped."""
    await _known(webhook_id, caller, at)
    async with at.context.database.begin() as connection:
        await store.remove(connection, webhook_id)


@router.post("/{webhook_id}/test", responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING))
async def try_webhook(request: Request, webhook_id: WebhookId, caller: Webhooks, at: Wanted) -> models.TestView:
    """Send an event of type `voiceedge.test` at once, and tell what came of it."""
    webhook = await _known(webhook_id, caller, at)
    event_id = id_for(request, "test", at.clock)
    event = {
        "specversion": "1.0", "id": event_id, "source": f"/voiceedge/{at.config.site.name}", "type": "voiceedge.test",
        "subject": "test", "time": at.clock.now().isoformat(), "data": {},
    }  # fmt: skip
    answered = await at.webhooks.send(webhook, event_id, json.dumps(event))
    return models.TestView(delivered=answered.taken, status=answered.status, problem=answered.problem)


@router.get("/{webhook_id}/deliveries", responses=refusals(HTTPStatus.NOT_FOUND))
async def list_deliveries(
    webhook_id: WebhookId, caller: Webhooks, at: Wanted, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> models.DeliveryList:
    """What was sent lately, and what waits to be sent again."""
    await _known(webhook_id, caller, at)
    async with at.context.database.begin() as connection:
        found = await store.latest(connection, webhook_id, limit)
    return models.DeliveryList(deliveries=[_delivery(one) for one in found])


async def _known(webhook_id: str, caller: Caller, at: Services) -> Webhook:
    async with at.context.database.begin() as connection:
        webhook = await store.one(connection, caller.tenant, webhook_id)
    if webhook is None:
        raise Problem(HTTPStatus.NOT_FOUND, "no_such_webhook", "there is no such webhook")
    return webhook


def _view(webhook: Webhook) -> models.WebhookView:
    return models.WebhookView(
        id=webhook.id, url=webhook.url, types=webhook.types, created_at=webhook.created_at,
        state="disabled" if webhook.disabled_at else "enabled", why=webhook.why,
    )  # fmt: skip


def _delivery(one: Delivery) -> models.DeliveryView:
    return models.DeliveryView.model_validate(
        {
            "event_id": one.event_id, "type": one.type, "conversation_id": one.conversation, "state": one.state,
            "tries": one.tries, "status": one.answered, "problem": one.problem, "again_at": one.due_at,
        }
    )  # fmt: skip
