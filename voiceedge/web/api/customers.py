"""Customers: who they are known to be, over all channels; one person's data given out, and deleted."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path

from voiceedge.context.people.customers import Customer, Identity, Kind
from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.errors import CustomerError
from voiceedge.web.api import models
from voiceedge.web.api.documents import ALWAYS, CHANGING, refusals
from voiceedge.web.api.door import ApiRoute, Caller, needs
from voiceedge.web.api.reading import slot_view
from voiceedge.web.keys import Scope
from voiceedge.web.problems import Problem
from voiceedge.web.services import Services, Wanted

router = APIRouter(prefix="/customers", tags=["customers"], route_class=ApiRoute, responses=refusals(*ALWAYS))

Reads = Annotated[Caller, needs(Scope.CUSTOMERS_READ)]
ReadsAll = Annotated[Caller, needs(Scope.CUSTOMERS_READ, Scope.SLOTS_CLEAR)]
Writes = Annotated[Caller, needs(Scope.CUSTOMERS_WRITE)]
CustomerId = Annotated[models.Identifier, Path()]


@router.post("/search", responses=refusals(HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
async def find_customers(wish: models.FindWish, caller: Reads, at: Wanted) -> models.CustomerList:
    """All who may be known by one of these, whoever has shown that it is theirs first."""
    wanted: dict[Kind, str | None] = {
        "phone": wish.phone, "email": wish.email, "chat": wish.chat, "external": wish.external
    }  # fmt: skip
    given = {kind: value for kind, value in wanted.items() if value}
    if not given:
        told = "give one of phone, email, chat and external"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "nothing_to_find", told)
    found: dict[str, Customer] = {}
    for kind, value in given.items():
        for one in await at.context.customers.find(caller.tenant, kind, value):
            found[one.id] = one
    for name in found:
        await at.context.access.note(caller.actor, "find", customer=name)
    return models.CustomerList(customers=[_view(one, caller) for one in found.values()])


@router.get("/{customer_id}", responses=refusals(HTTPStatus.NOT_FOUND))
async def read_customer(customer_id: CustomerId, caller: Reads, at: Wanted) -> models.CustomerView:
    """One person; also by the id of somebody who turned out to be the same."""
    return _view(await _seen(at, caller, customer_id, "read"), caller)


@router.get("/{customer_id}/export", responses=refusals(HTTPStatus.NOT_FOUND))
async def export_customer(customer_id: CustomerId, caller: ReadsAll, at: Wanted) -> dict[str, Any]:
    """Everything that is kept of this person, in the clear: for the person."""
    found = await _seen(at, caller, customer_id, "export")
    return await at.context.retention.export(caller.tenant, found.id)


@router.delete("/{customer_id}", status_code=HTTPStatus.NO_CONTENT, responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING))
async def forget_customer(customer_id: CustomerId, caller: Writes, at: Wanted) -> None:
    """Delete everything that is kept of this person, as they have asked."""
    found = await _seen(at, caller, customer_id, "erase")
    await at.context.retention.erase(caller.tenant, found.id)


@router.get("/{customer_id}/trail", responses=refusals(HTTPStatus.NOT_FOUND))
async def read_trail(customer_id: CustomerId, caller: Reads, at: Wanted) -> models.Trail:
    """How this customer came to be: who identified, merged and split whom, and why."""
    found = await _seen(at, caller, customer_id, "trail")
    entries = await at.context.customers.trail(caller.tenant, found.id)
    return models.Trail(entries=[models.TrailLine.model_validate(one, from_attributes=True) for one in entries])


@router.post("/{customer_id}/merge", responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING))
async def merge_customers(
    customer_id: CustomerId, wish: models.MergeWish, caller: Writes, at: Wanted
) -> models.CustomerView:
    """Both are the same person: the older one stays, and has what both had."""
    await _seen(at, caller, customer_id, "merge")
    await _seen(at, caller, wish.other, "merge")
    try:
        stays = await at.context.customers.merge(caller.tenant, customer_id, wish.other, who=caller.actor, why=wish.why)
    except CustomerError as error:
        raise Problem(HTTPStatus.CONFLICT, "not_merged", str(error)) from None
    return _view(await _seen(at, caller, stays, "read"), caller)


@router.post("/{customer_id}/split", responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING))
async def split_customer(
    customer_id: CustomerId, wish: models.SplitWish, caller: Writes, at: Wanted
) -> models.CustomerView:
    """Who was merged into somebody is somebody else after all; no rule merges the two any more."""
    await _seen(at, caller, customer_id, "split")
    try:
        await at.context.customers.split(caller.tenant, customer_id, who=caller.actor, why=wish.why)
    except CustomerError as error:
        raise Problem(HTTPStatus.CONFLICT, "not_split", str(error)) from None
    return _view(await _seen(at, caller, customer_id, "read"), caller)


async def _seen(at: Services, caller: Caller, customer_id: str, action: str) -> Customer:
    found = await at.context.customers.read(caller.tenant, customer_id)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "no_such_customer", "there is no such customer")
    await at.context.access.note(caller.actor, action, customer=found.id)
    return found


def _view(one: Customer, caller: Caller) -> models.CustomerView:
    clear = caller.may(Scope.SLOTS_CLEAR)
    return models.CustomerView(
        id=one.id, created_at=one.created_at, identities=[_identity(own, clear=clear) for own in one.identities],
        attributes={name: slot_view(slot, clear=clear) for name, slot in one.attributes.items()}, merged=one.merged,
    )  # fmt: skip


def _identity(one: Identity, *, clear: bool) -> models.IdentityView:
    value = one.value if clear else mask(one.value, PersonalDataClass.PERSONAL)
    return models.IdentityView(
        kind=one.kind, value=value, verified=one.verified, source=one.source, added_at=one.added_at
    )
