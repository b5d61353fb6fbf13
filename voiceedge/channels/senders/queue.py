"""Messages that wait to be sent, in the store: what a dead gateway refuses is tried again until its link expires."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from voiceedge.channels.senders.message import Message
from voiceedge.clock import Clock
from voiceedge.context.privacy.pii import PersonalDataClass, mask, pseudonym
from voiceedge.context.storage.continuing_tables import messages_out
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.rows import ms

LEASE_S = 240.0  # longer than any try takes: whose sender died is tried by another then
KEPT_S = 86400.0  # of one that is over, so that one given twice is known
HOUR_S = 3600.0
AT_ONCE = 10
_LOCK = "messages_out"


@dataclass(frozen=True, slots=True)
class Due:
    message: Message
    tries: int
    until: datetime


class MessageQueue:
    def __init__(self, database: Database, key: bytes, clock: Clock) -> None:
        self._database, self._key, self._clock = database, key, clock

    async def put(self, message: Message, until: datetime, hourly: int) -> bool:
        """Whether it is taken, or known: no more than `hourly` go to one address. Raises StoreError."""
        addressee, now_ms = pseudonym(message.address, self._key), self._now_ms()
        row = {
            "id": message.id,
            "conversation_id": message.conversation,
            "interaction": message.interaction,
            "channel": message.channel,
            "via": message.via,
            "address": message.address,
            "addressee": addressee,
            "body": json.dumps(dict(message.values), ensure_ascii=False),
            "language": message.language,
            "state": "waiting",
            "tries": 0,
            "added_ms": now_ms,
            "due_ms": now_ms,
            "until_ms": ms(until),
        }
        lately = messages_out.c.added_ms > now_ms - int(HOUR_S * 1000)
        count = select(func.count()).where(messages_out.c.addressee == addressee, lately)
        async with self._database.begin() as connection:
            await self._database.lock(connection, [f"{_LOCK} {addressee}"])
            known = await connection.execute(select(messages_out.c.id).where(messages_out.c.id == message.id))
            if known.first():
                return True
            if (await connection.execute(count)).scalar_one() >= hourly:
                return False
            await connection.execute(insert(messages_out).values(row))
        return True

    async def due(self, via: str) -> Sequence[Due]:
        """Some of this channel that are to be tried now, ours for LEASE_S. Raises StoreError."""
        return await self._claim(messages_out.c.via == via)

    async def strays(self, known: Collection[str]) -> Sequence[Due]:
        """The same, of channels that are not `known` any more."""
        return await self._claim(messages_out.c.via.not_in(known))

    async def _claim(self, which: ColumnElement[bool]) -> Sequence[Due]:
        now_ms = self._now_ms()
        waiting = which & (messages_out.c.state == "waiting") & (messages_out.c.due_ms <= now_ms)
        some = select(messages_out).where(waiting).order_by(messages_out.c.due_ms).limit(AT_ONCE)
        async with self._database.begin() as connection:
            rows = (await connection.execute(some.with_for_update(skip_locked=True))).all()
            ours = update(messages_out).where(messages_out.c.id.in_([row.id for row in rows]))
            await connection.execute(ours.values(due_ms=now_ms + int(LEASE_S * 1000), tries=messages_out.c.tries + 1))
        return [
            Due(
                Message(
                    row.id, row.conversation_id, row.interaction, row.channel, row.via, row.address, row.language,
                    json.loads(row.body),
                ),
                row.tries,
                datetime.fromtimestamp(row.until_ms / 1000, self._clock.now().tzinfo),
            )
            for row in rows
        ]  # fmt: skip

    async def again(self, message: Message, delay_s: float) -> None:
        await self._set(message, due_ms=self._now_ms() + int(delay_s * 1000))

    async def over(self, message: Message, state: str) -> None:
        """Nothing of it that opens or tells anything stays. Raises StoreError."""
        await self._set(message, state=state, address=masked(message.address), body="{}")

    async def _set(self, message: Message, **values: object) -> None:
        async with self._database.begin() as connection:
            await connection.execute(update(messages_out).where(messages_out.c.id == message.id).values(values))

    async def next_ms(self, via: str) -> int | None:
        """When the channel's next one is due."""
        waiting = (messages_out.c.state == "waiting") & (messages_out.c.via == via)
        query = select(func.min(messages_out.c.due_ms)).where(waiting)
        async with self._database.begin() as connection:
            at_ms: int | None = (await connection.execute(query)).scalar_one()
        return at_ms

    async def prune(self) -> None:
        over = (messages_out.c.state != "waiting") & (messages_out.c.added_ms < self._now_ms() - int(KEPT_S * 1000))
        async with self._database.begin() as connection:
            await connection.execute(delete(messages_out).where(over))

    def _now_ms(self) -> int:
        return ms(self._clock.now())


def masked(address: str) -> str:
    return mask(address, PersonalDataClass.PERSONAL)
