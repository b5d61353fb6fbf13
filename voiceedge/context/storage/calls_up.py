"""Calls that are up, and which process has each: so that their end is told when that process or its machine is gone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.call import CallAnswered, CallEnded, CallStarted, LegEnded
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.rows import ms, portions, time_of
from voiceedge.context.storage.tables import calls_up, conversations

Key = tuple[str, str]  # conversation and call

_THIS = (calls_up.c.conversation_id == bindparam("of")) & (calls_up.c.call == bindparam("named"))
_VISIT, _WHOLE = conversations.alias("visit"), conversations.alias("whole")  # … which it may be a part of by now
_FACTS = calls_up, func.coalesce(_WHOLE.c.updated_at_ms, _VISIT.c.updated_at_ms, 0).label("told_ms")


@dataclass(frozen=True, slots=True)
class CallUp:
    """As much as a call's end and its leg's record shall tell, unless that is kept already (`leg_over`).

    `holder` is the process as `CallStarted` was stamped with it; `far_end` is masked; `told` is when the last event of
    its conversation happened.
    """

    conversation: str
    call_id: str
    holder: str
    since: datetime
    answered: datetime | None
    direction: Literal["in", "out"]
    far_end: str
    trunk: str | None
    leg_over: bool
    told: datetime


async def keep(connection: AsyncConnection, events: Sequence[StampedEvent], node: str) -> None:
    """Note what begins, is answered and ends, in the transaction that keeps the events."""
    begun = {
        (event.conversation, event.data.call_id): _row(event, event.data, node)
        for event in events
        if isinstance(event.data, CallStarted) and event.holder
    }
    over = {(event.conversation, event.data.call_id) for event in events if isinstance(event.data, CallEnded)}
    for column, values in _changes(events).items():
        for key in begun.keys() & values.keys():
            begun[key][column] = values[key]
        if later := values.keys() - begun.keys() - over:
            statement = update(calls_up).where(_THIS).values({column: bindparam("value")})
            await connection.execute(statement, [_bound(key) | {"value": values[key]} for key in later])
    if staying := [row for key, row in begun.items() if key not in over]:
        await connection.execute(insert(calls_up), staying)
    if ended := over - begun.keys():
        await connection.execute(delete(calls_up).where(_THIS), [_bound(key) for key in ended])


def _changes(events: Sequence[StampedEvent]) -> dict[str, dict[Key, object]]:
    """By column."""
    answered_ms: dict[Key, object] = {}
    leg_over: dict[Key, object] = {}
    for event in events:
        match event.data:
            case CallAnswered(call_id=call):
                answered_ms[event.conversation, call] = ms(event.time)
            case LegEnded(call_id=call, role="caller" | "other"):
                leg_over[event.conversation, call] = True
    return {"answered_ms": answered_ms, "leg_over": leg_over}


def _row(event: StampedEvent, told: CallStarted, node: str) -> dict[str, object]:
    return {
        "id": event.id,
        "conversation_id": event.conversation,
        "call": told.call_id,
        "node": node,
        "holder": event.holder,
        "started_ms": ms(event.time),
        "answered_ms": None,
        "direction": told.direction,
        "far_end": told.caller if told.direction == "in" else told.called,
        "trunk": told.trunk,
        "leg_over": False,
    }


def _bound(key: Key) -> dict[str, object]:
    return {"of": key[0], "named": key[1]}


async def of_holders(database: Database, holders: Collection[str]) -> list[CallUp]:
    """The calls of these processes of this node."""
    found: list[CallUp] = []
    for some in portions(holders):
        found += await _read(database, (calls_up.c.node == database.node) & calls_up.c.holder.in_(some))
    return found


async def of_this_node(database: Database) -> list[CallUp]:
    return await _read(database, calls_up.c.node == database.node)


async def of_nodes(database: Database, names: Collection[str]) -> list[CallUp]:
    return await _read(database, calls_up.c.node.in_(names)) if names else []


async def _read(database: Database, which: ColumnElement[bool]) -> list[CallUp]:
    told = calls_up.outerjoin(_VISIT, _VISIT.c.id == calls_up.c.conversation_id)
    told = told.outerjoin(_WHOLE, _WHOLE.c.id == _VISIT.c.joined_into)
    query = select(*_FACTS).select_from(told).where(which).order_by(calls_up.c.started_ms)
    async with database.begin() as connection:
        rows = (await connection.execute(query)).all()
    return [
        CallUp(
            conversation=row.conversation_id,
            call_id=row.call,
            holder=row.holder,
            since=time_of(row.started_ms),
            answered=None if row.answered_ms is None else time_of(row.answered_ms),
            direction=row.direction,
            far_end=row.far_end,
            trunk=row.trunk,
            leg_over=row.leg_over,
            told=time_of(max(row.told_ms, row.answered_ms or 0, row.started_ms)),
        )
        for row in rows
    ]
