"""Orders, their pace and the do-not-call list in the database."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.context.storage.tables import do_not_call, outbound_orders, outbound_pace
from voiceedge.switch.outbound.model import LIVE, Order, OrderState, Result
from voiceedge.switch.plan import Retry

ALL = ""  # the pace of all campaigns together
PORTION = 200  # few enough for a statement's parameters


@dataclass(frozen=True, slots=True)
class PaceRow:
    paused: bool = False
    next_ms: int = 0


# --- orders ---


async def add(connection: AsyncConnection, orders: Sequence[Order]) -> None:
    for start in range(0, len(orders), PORTION // 4):
        await connection.execute(insert(outbound_orders), [_row(one) for one in orders[start : start + PORTION // 4]])


async def by_ids(connection: AsyncConnection, ids: Sequence[str], *, lock: bool = False) -> dict[str, Order]:
    found: dict[str, Order] = {}
    for start in range(0, len(ids), PORTION):
        query = select(outbound_orders).where(outbound_orders.c.id.in_(ids[start : start + PORTION]))
        rows = await connection.execute(query.order_by("id").with_for_update() if lock else query)
        found |= {row.id: _order(row._mapping) for row in rows}  # noqa: SLF001 - public, in spite of its name
    return found


async def listed(
    connection: AsyncConnection, campaign: str | None, state: OrderState | None, limit: int
) -> list[Order]:
    """The latest first."""
    query = select(outbound_orders).order_by(outbound_orders.c.added_ms.desc(), outbound_orders.c.id).limit(limit)
    if campaign is not None:
        query = query.where(outbound_orders.c.campaign == campaign)
    if state is not None:
        query = query.where(outbound_orders.c.state == state.value)
    return [_order(row._mapping) for row in await connection.execute(query)]  # noqa: SLF001


async def due(connection: AsyncConnection, campaign: str, now_ms: int, limit: int) -> list[Order]:
    """Those whose turn it is, locked; what another node has locked is left out."""
    query = select(outbound_orders).where(
        outbound_orders.c.state == OrderState.WAITING.value,
        outbound_orders.c.campaign == campaign,
        outbound_orders.c.due_ms <= now_ms,
    )
    in_turn = query.order_by(outbound_orders.c.priority, outbound_orders.c.due_ms, outbound_orders.c.id).limit(limit)
    rows = await connection.execute(in_turn.with_for_update(skip_locked=True))
    return [_order(row._mapping) for row in rows]  # noqa: SLF001


async def next_due_ms(connection: AsyncConnection, campaigns: Sequence[str]) -> dict[str, int]:
    """When the next order of each of these is due; those where none waits are left out."""
    waiting = outbound_orders.c.state == OrderState.WAITING.value, outbound_orders.c.campaign.in_(campaigns)
    query = select(outbound_orders.c.campaign, func.min(outbound_orders.c.due_ms)).where(*waiting)
    return {campaign: due_ms for campaign, due_ms in await connection.execute(query.group_by("campaign"))}  # noqa: C416 - a Row is no pair


async def past(connection: AsyncConnection, now_ms: int) -> list[Order]:
    """Waiting orders whose time is over, locked."""
    query = select(outbound_orders).where(
        outbound_orders.c.state == OrderState.WAITING.value, outbound_orders.c.until_ms <= now_ms
    )
    rows = await connection.execute(query.limit(PORTION).with_for_update(skip_locked=True))
    return [_order(row._mapping) for row in rows]  # noqa: SLF001


async def lost(connection: AsyncConnection, node: str, own_before_ms: int, others_before_ms: int) -> list[Order]:
    """Orders whose worker has not been heard of since, locked."""
    lease = outbound_orders.c.lease_ms
    ours = outbound_orders.c.node == node
    query = select(outbound_orders).where(
        outbound_orders.c.state == OrderState.CALLING.value,
        or_(ours & (lease < own_before_ms), ~ours & (lease < others_before_ms)),
    )
    rows = await connection.execute(query.limit(PORTION).with_for_update(skip_locked=True))
    return [_order(row._mapping) for row in rows]  # noqa: SLF001


async def calling(connection: AsyncConnection) -> dict[str, int]:
    """How many calls are up, by campaign."""
    query = select(outbound_orders.c.campaign, func.count()).where(outbound_orders.c.state == OrderState.CALLING.value)
    rows = await connection.execute(query.group_by(outbound_orders.c.campaign))
    return {campaign: count for campaign, count in rows}  # noqa: C416 - a Row is no pair


async def save(connection: AsyncConnection, orders: Iterable[Order]) -> None:
    """Of one that is over what is personal is left out."""
    for order in orders:
        row = _row(order)
        await connection.execute(update(outbound_orders).where(outbound_orders.c.id == row.pop("id")).values(row))


async def renew(connection: AsyncConnection, calls: Sequence[str], until_ms: int) -> None:
    """An order that was taken for lost, and not called again since, is being called after all."""
    up = outbound_orders.c.call.in_(list(calls)), outbound_orders.c.state.in_([state.value for state in LIVE])
    values = {"lease_ms": until_ms, "state": OrderState.CALLING.value}
    await connection.execute(update(outbound_orders).where(*up).values(values))


async def prune(connection: AsyncConnection, before_ms: int) -> None:
    await connection.execute(delete(outbound_orders).where(outbound_orders.c.over_ms < before_ms))


# --- pace ---


async def take_turn(connection: AsyncConnection) -> bool:
    """Whether placing calls is ours until the transaction ends: one node at a time counts what is up."""
    claim = select(outbound_pace.c.campaign).where(outbound_pace.c.campaign == ALL)
    return (await connection.execute(claim.with_for_update(skip_locked=True))).first() is not None


async def paces(connection: AsyncConnection) -> dict[str, PaceRow]:
    rows = await connection.execute(select(outbound_pace))
    return {row.campaign: PaceRow(row.paused, row.next_ms) for row in rows}


async def set_pace(connection: AsyncConnection, campaign: str, **values: Any) -> None:
    done = await connection.execute(update(outbound_pace).where(outbound_pace.c.campaign == campaign).values(**values))
    if not done.rowcount:
        row = {"paused": False, "next_ms": 0, **values}
        await connection.execute(insert(outbound_pace).values(campaign=campaign, **row))


# --- do not call ---


async def forbidden(connection: AsyncConnection, customers: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(customers), PORTION):
        some = do_not_call.c.customer.in_(customers[start : start + PORTION])
        found |= set((await connection.scalars(select(do_not_call.c.customer).where(some))).all())
    return found


async def forbid(connection: AsyncConnection, customers: Mapping[str, str], reason: str, now_ms: int) -> list[str]:
    """`customers` by hash, as they are shown. Those of whom it was not known; orders for them are the caller's."""
    fresh = sorted(customers.keys() - await forbidden(connection, list(customers)))
    rows = [{"customer": one, "shown": customers[one], "reason": reason, "added_ms": now_ms} for one in fresh]
    for start in range(0, len(rows), PORTION):
        await connection.execute(insert(do_not_call), rows[start : start + PORTION])
    return fresh


async def allow(connection: AsyncConnection, customer: str) -> bool:
    return (await connection.execute(delete(do_not_call).where(do_not_call.c.customer == customer))).rowcount > 0


async def all_forbidden(connection: AsyncConnection, limit: int) -> tuple[int, list[Mapping[str, Any]]]:
    """How many there are, and the latest."""
    count = (await connection.execute(select(func.count()).select_from(do_not_call))).scalar_one()
    rows = await connection.execute(select(do_not_call).order_by(do_not_call.c.added_ms.desc()).limit(limit))
    return count, [dict(row._mapping) for row in rows]  # noqa: SLF001


# --- rows ---


def _order(row: Mapping[Any, Any]) -> Order:
    values = dict(row)
    retry = {kind: Retry.model_validate(rule) for kind, rule in json.loads(values["retry"]).items()}
    result = values["result"]
    return Order(
        **{
            **values,
            "slots": json.loads(values["slots"]),
            "counts": json.loads(values["counts"]),
            "retry": retry,
            "state": OrderState(values["state"]),
            "result": Result(result) if result else None,
        }
    )


def _row(order: Order) -> dict[str, Any]:
    over = order.state not in LIVE
    row = asdict(order)
    return {
        **row,
        "number": mask(order.number, PersonalDataClass.PERSONAL) if over else order.number,
        "slots": json.dumps({} if over else order.slots),
        "counts": json.dumps(dict(order.counts)),
        "retry": json.dumps({kind: rule.model_dump() for kind, rule in order.retry.items()}),
        "state": order.state.value,
        "result": order.result.value if order.result else None,
    }
