"""Call-detail records, one a leg: kept with the event that tells of it, read back, and summed up (RFC 6076)."""

import csv
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.call import LegEnded
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.rows import ms
from voiceedge.context.storage.tables import legs

READ_AT_ONCE = 1_000

Begin = Callable[[], AbstractAsyncContextManager[AsyncConnection]]

_ESTABLISHED = {480, 486, 600, 603}  # the called side was reached, and would or could not talk
_INEFFECTIVE = {408, 500, 503, 504}
_OK, _REDIRECTED = range(200, 300), range(300, 400)


@dataclass(frozen=True, slots=True)
class LegRecord:
    """`number` is the far end's, in the clear (personal data)."""

    conversation: str
    node: str
    number: str
    leg: LegEnded


async def keep(
    connection: AsyncConnection, events: Iterable[StampedEvent], node: str, *, nameless: Collection[str] = ()
) -> None:
    """Write the records of those events that end a leg, in the transaction that keeps the events.

    Of `nameless` conversations without the number: their person wished to be forgotten.
    """
    rows = [
        {
            "id": event.id,
            "conversation_id": event.conversation,
            "node": node,
            "trunk": event.data.trunk,
            "number": "" if event.conversation in nameless else event.changes.number or "",
            "ended_ms": int(event.time.timestamp() * 1000),
            "record": event.data.model_dump_json(),
        }
        for event in events
        if isinstance(event.data, LegEnded)
    ]
    if rows:
        await connection.execute(insert(legs), rows)


async def read(begin: Begin, since: datetime, until: datetime) -> AsyncIterator[LegRecord]:
    """Records of legs that ended in that time, the oldest first; `begin` is a database's `begin` or `look`."""
    wanted = legs.c.ended_ms >= ms(since), legs.c.ended_ms < ms(until)
    query = select(legs.c.conversation_id, legs.c.node, legs.c.number, legs.c.record).where(*wanted)
    query = query.order_by(legs.c.ended_ms, legs.c.id)
    for start in range(0, 1 << 62, READ_AT_ONCE):
        async with begin() as connection:
            rows = (await connection.execute(query.limit(READ_AT_ONCE).offset(start))).all()
        for conversation, node, number, record in rows:
            yield LegRecord(conversation, node, number, LegEnded.model_validate_json(record))
        if len(rows) < READ_AT_ONCE:
            return


async def forget(database: Database, before: datetime) -> int:
    """Delete the records of legs that ended before; how many."""
    async with database.begin() as connection:
        return (await connection.execute(delete(legs).where(legs.c.ended_ms < ms(before)))).rowcount


def write_csv(records: Sequence[LegRecord], file: TextIO, *, header: bool = True) -> None:
    """One line a leg, with a name for every column (RFC 4180)."""
    writer = csv.DictWriter(file, ["conversation", "node", "number", *LegEnded.model_fields])
    if header:
        writer.writeheader()
    for record in records:
        facts = {"conversation": record.conversation, "node": record.node, "number": _no_formula(record.number)}
        writer.writerow(facts | {name: _no_formula(value) for name, value in record.leg.model_dump().items()})


@dataclass(frozen=True, slots=True)
class Summary:
    """What RFC 6076 makes of many legs; ratios from 0 to 1, delays as means, None where nothing could be divided by.

    `ser`: sessions established of those asked for (4.6); `seer`: those that reached somebody, whatever they said (4.7);
    `isa`: attempts that came to nothing by the network's fault (4.8).
    """

    legs: int
    answered: int
    ser: float | None
    seer: float | None
    isa: float | None
    talk_s: float
    request_delay_ms: float | None
    disconnect_delay_ms: float | None
    mos: float | None
    loss: float | None


def summary(records: Iterable[LegEnded]) -> Summary:
    asked = [leg for leg in records if leg.sip_code not in _REDIRECTED]
    answered = [leg for leg in asked if leg.answered_at]
    reached = [leg for leg in asked if leg.answered_at or leg.sip_code in _ESTABLISHED]
    ineffective = [leg for leg in asked if not leg.answered_at and leg.sip_code in _INEFFECTIVE]
    due = sum(leg.packets_in + leg.lost_in for leg in answered)
    return Summary(
        legs=len(asked),
        answered=len(answered),
        ser=_ratio(len(answered), len(asked)),
        seer=_ratio(len(reached), len(asked)),
        isa=_ratio(len(ineffective), len(asked)),
        talk_s=sum(leg.talk_ms for leg in answered) / 1000,
        request_delay_ms=_mean([leg.request_delay_ms for leg in asked if leg.direction == "out"]),
        disconnect_delay_ms=_mean([leg.disconnect_delay_ms for leg in answered]),
        mos=_mean([leg.mos for leg in answered]),
        loss=_ratio(sum(leg.lost_in for leg in answered), due),
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _no_formula(value: object) -> object:
    """A spreadsheet must not calculate what a caller has chosen for a name; a plain + before digits is a number."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"} and not value[1:].isdigit():
        return f"'{value}"
    return value
