"""Customers and the access log as commands ask for them; `actor` is who does, `tenant` whose customers.

customer_import  {"rows": {line: {column: value}}} → {"created", "changed", "same", "problems": {line: why}}
customer_show    {"who"}                 → {"customers": […], "trail": […]}; by id, number or address
customer_merge   {"one", "other", "why"} → {"customer"}: who stays
customer_split   {"customer", "why"}     → {"customer"}: from whom
customer_export  {"who"}                 → payload: the document (JSON), compressed by zlib
customer_erase   {"who"}                 → {"conversations"}: how many
access_list      {"limit", "by", "subject"} → {"entries": […]}, the latest first
access_verify    {}                      → {"entries", "problem"}
"""

import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from voiceedge.config_digital import Tenant
from voiceedge.context.people.access import AccessLog
from voiceedge.context.people.customers import Customer
from voiceedge.context.privacy.pii import mask_text
from voiceedge.context.service import ContextService
from voiceedge.edge.between.asked import takes
from voiceedge.edge.between.link import Handler, Head
from voiceedge.errors import CustomerError

Text = Annotated[str, Field(min_length=1, max_length=256)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="ignore")  # a link's request carries its own name and number too

    actor: Text
    tenant: Tenant = "main"


class _Import(_Asked):
    rows: dict[int, dict[str, str]]


class _Who(_Asked):
    who: Text


class _Merge(_Asked):
    one: Text
    other: Text
    why: Text


class _Split(_Asked):
    customer: Text
    why: Text


class _Listing(_Asked):
    limit: int = Field(50, ge=1, le=1000)
    by: str | None = None
    subject: str | None = None


Request = TypeVar("Request", bound=_Asked)


def handlers(service: ContextService) -> Mapping[str, Handler]:
    return {**_of_customers(service), **_of_person(service), **_of_access(service.access)}


def _of_customers(service: ContextService) -> Mapping[str, Handler]:
    customers, access = service.customers, service.access

    async def imported(asked: _Import) -> Head:
        await access.note(asked.actor, "import", f"{len(asked.rows)} customers of {asked.tenant}")
        result = await customers.take(asked.tenant, asked.rows, who=asked.actor)
        return {"created": result.created, "changed": result.changed, "same": result.same, "problems": result.problems}

    async def show(asked: _Who) -> Head:
        found = await customers.known_as(asked.tenant, asked.who)
        for one in found:
            await access.note(asked.actor, "read", customer=one.id)
        trail = [entry for one in found for entry in await customers.trail(asked.tenant, one.id)]
        return {
            "customers": [_shown(one) for one in found],
            "trail": [
                {
                    "time": entry.time.isoformat(), "customer": entry.customer, "action": entry.action,
                    "other": entry.other, "who": entry.who, "why": entry.why,
                }
                for entry in trail
            ],
        }  # fmt: skip

    async def merge(asked: _Merge) -> Head:
        stays = await customers.merge(asked.tenant, asked.one, asked.other, who=asked.actor, why=asked.why)
        await access.note(asked.actor, "merge", customer=stays)
        return {"customer": stays}

    async def split(asked: _Split) -> Head:
        other = await customers.split(asked.tenant, asked.customer, who=asked.actor, why=asked.why)
        await access.note(asked.actor, "split", customer=asked.customer)
        return {"customer": other}

    return {
        "customer_import": _takes(_Import, imported),
        "customer_show": _takes(_Who, show),
        "customer_merge": _takes(_Merge, merge),
        "customer_split": _takes(_Split, split),
    }


def _of_person(service: ContextService) -> Mapping[str, Handler]:
    access = service.access

    async def export(asked: _Who) -> Head:
        await access.note(asked.actor, "export", customer=mask_text(asked.who))
        document = await service.retention.export(asked.tenant, asked.who)
        if not document["customers"] and not document["conversations"]:
            raise CustomerError(f"nothing is kept of {mask_text(asked.who)}")
        return {"payload": zlib.compress(json.dumps(document, ensure_ascii=False).encode())}

    async def erase(asked: _Who) -> Head:
        await access.note(asked.actor, "erase", customer=mask_text(asked.who))
        return {"conversations": await service.retention.erase(asked.tenant, asked.who)}

    return {"customer_export": _takes(_Who, export), "customer_erase": _takes(_Who, erase)}


def _of_access(access: AccessLog) -> Mapping[str, Handler]:
    async def listed(asked: _Listing) -> Head:
        entries = await access.listed(asked.limit, actor=asked.by, subject=asked.subject)
        return {
            "entries": [
                {"time": one.time.isoformat(), "actor": one.actor, "action": one.action, "subject": one.subject}
                for one in entries
            ]
        }

    async def verify(_: _Asked) -> Head:
        verdict = await access.verify()
        return {"entries": verdict.entries, "problem": verdict.problem}

    return {"access_list": _takes(_Listing, listed), "access_verify": _takes(_Asked, verify)}


def _takes(model: type[Request], work: Callable[[Request], Awaitable[Head]]) -> Handler:
    return takes(model, work, CustomerError)


def _shown(one: Customer) -> Head:
    return {
        "id": one.id,
        "tenant": one.tenant,
        "created_at": one.created_at.isoformat(),
        "attributes": {name: slot.value for name, slot in one.attributes.items()},
        "identities": [
            {
                "kind": identity.kind, "value": identity.value, "verified": identity.verified,
                "source": identity.source, "added_at": identity.added_at.isoformat(),
            }
            for identity in one.identities
        ],
        "merged": list(one.merged),
    }  # fmt: skip
