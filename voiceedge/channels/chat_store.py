"""Chats on the disk: each change of one, with what was written and what its flow was told, in one transaction."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.channels.chat_model import Chat, ChatError, ChatMessage, ChatState
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.call import MADE_BY_US
from voiceedge.context.storage.chat_tables import chat_events, chat_inputs, chat_messages, chats
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.rows import portions
from voiceedge.flow.call import Button

MOST_READ = 500  # messages at once

InputKind = Literal["reply", "look_up", "result", "resumed"]


@dataclass(frozen=True, slots=True)
class Input:
    """Something that a flow was told: `value` is JSON."""

    number: int
    at_ms: int
    kind: InputKind
    value: Any


@dataclass(frozen=True, slots=True)
class FlowPlace:
    """A run of a flow: the `runs`-th of the chat, begun after the message `run_after` at `run_ms`, with `given`."""

    flow: str
    runs: int
    run_after: int
    run_ms: int
    given: Mapping[str, Any] = field(default_factory=dict)
    made_of: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A chat as it was last written. `secret` and `visitor` are hashes."""

    chat: Chat
    place: FlowPlace
    secret: str
    visitor: str


@dataclass(frozen=True, slots=True)
class Change:
    chat: Chat
    messages: Sequence[ChatMessage] = ()
    inputs: Sequence[Input] = ()
    place: FlowPlace | None = None  # a run that begins
    forget_inputs_from: int | None = None
    events: Sequence[StampedEvent] = ()  # that tell of it


_CHAT = tuple(column for column in fields(Chat))
_PLACE = tuple(column for column in fields(FlowPlace))


class ChatStore:
    """Its methods raise StoreError. What several nodes share is told apart by `Database.node`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, kept: Kept, events: Sequence[StampedEvent]) -> None:
        row = {**_row(kept.chat), **_place_row(kept.place), "secret": kept.secret, "visitor": kept.visitor}
        async with self._database.begin() as connection:
            await connection.execute(insert(chats).values({**row, "node": self._database.node}))
            await self._keep(connection, kept.chat.id, events)

    async def write(self, change: Change) -> None:
        """Raises ChatError where another node has the chat by now: it thought this one gone."""

        async def work(connection: AsyncConnection) -> None:
            values = _row(change.chat) | (_place_row(change.place) if change.place else {})
            ours = (chats.c.node == self._database.node) | (chats.c.state == ChatState.ENDED.value)
            done = await connection.execute(update(chats).where(chats.c.id == change.chat.id, ours).values(values))
            if not done.rowcount:
                raise ChatError("elsewhere", "this chat is at another node", retry_after_s=2.0)
            if change.forget_inputs_from is not None:
                first = change.forget_inputs_from
                own = chat_inputs.c.chat == change.chat.id
                await connection.execute(delete(chat_inputs).where(own, chat_inputs.c.number >= first))
            if change.messages:
                rows = [_message_row(change.chat.id, message) for message in change.messages]
                await connection.execute(insert(chat_messages), rows)
            if change.inputs:
                await connection.execute(
                    insert(chat_inputs), [_input_row(change.chat.id, one) for one in change.inputs]
                )
            await self._keep(connection, change.chat.id, change.events)

        await self._database.attempt(work)

    async def find(self, chat: str) -> Kept | None:
        async with self._database.begin() as connection:
            row = (await connection.execute(select(chats).where(chats.c.id == chat))).one_or_none()
        return _kept(row) if row else None

    async def open(self) -> list[Kept]:
        """Those of this node that are not over."""
        query = select(chats).where(chats.c.node == self._database.node, chats.c.state != ChatState.ENDED.value)
        async with self._database.begin() as connection:
            return [_kept(row) for row in await connection.execute(query.order_by(chats.c.began_ms))]

    async def adopt(self, nodes: Collection[str]) -> tuple[list[Kept], list[StampedEvent]]:
        """Chats of these nodes, which are gone, are this node's from now on, and so are events that are not `told`."""
        own = {"node": self._database.node}
        theirs = update(chats).where(chats.c.node.in_(nodes), chats.c.state != ChatState.ENDED.value)
        untold = update(chat_events).where(chat_events.c.node.in_(nodes))
        async with self._database.begin() as connection:
            kept = [_kept(row) for row in await connection.execute(theirs.values(own).returning(*chats.c))]
            columns = chat_events.c.position, chat_events.c.body
            bodies = sorted((await connection.execute(untold.values(own).returning(*columns))).all())
        return kept, [_event(body) for _, body in bodies]

    async def messages(self, chat: str, after: int = 0) -> list[ChatMessage]:
        query = select(chat_messages).where(chat_messages.c.chat == chat, chat_messages.c.number > after)
        async with self._database.begin() as connection:
            rows = await connection.execute(query.order_by(chat_messages.c.number).limit(MOST_READ))
            return [_message(row) for row in rows]

    async def sent(self, chat: str, sending: str) -> ChatMessage | None:
        """What the browser sent under this name."""
        query = select(chat_messages).where(chat_messages.c.chat == chat, chat_messages.c.sending == sending)
        async with self._database.begin() as connection:
            row = (await connection.execute(query)).one_or_none()
        return _message(row) if row else None

    async def said_by_flow(self, chat: str, after: int) -> list[int]:
        """The numbers of the flow's messages after this one."""
        own = chat_messages.c.chat == chat, chat_messages.c.number > after, chat_messages.c.kind == "flow"
        async with self._database.begin() as connection:
            return list(await connection.scalars(select(chat_messages.c.number).where(*own).order_by("number")))

    async def inputs(self, chat: str) -> list[Input]:
        query = select(chat_inputs).where(chat_inputs.c.chat == chat).order_by(chat_inputs.c.number)
        async with self._database.begin() as connection:
            return [
                Input(row.number, row.at_ms, row.kind, json.loads(row.value)) for row in await connection.execute(query)
            ]

    async def _keep(self, connection: AsyncConnection, chat: str, events: Sequence[StampedEvent]) -> None:
        if events:
            own = {"chat": chat, "node": self._database.node}
            rows = [{"id": event.id, "body": event.model_dump_json(), **own} for event in events]
            await connection.execute(insert(chat_events), rows)

    async def untold(self) -> list[StampedEvent]:
        """Events of this node's changes that are not `told`, in their order."""
        query = select(chat_events.c.body).where(chat_events.c.node == self._database.node)
        async with self._database.begin() as connection:
            bodies = (await connection.scalars(query.order_by(chat_events.c.position))).all()
        return [_event(body) for body in bodies]

    async def told(self, events: Iterable[str]) -> None:
        """These, by their ids, are in the conversations' records."""
        async with self._database.begin() as connection:
            for some in portions(events):
                await connection.execute(delete(chat_events).where(chat_events.c.id.in_(some)))

    async def prune(self, before_ms: int) -> int:
        """Forget chats that ended before; how many."""
        old = select(chats.c.id).where(chats.c.ended_ms < before_ms)
        async with self._database.begin() as connection:
            for table in (chat_messages, chat_inputs, chat_events):
                await connection.execute(delete(table).where(table.c.chat.in_(old)))
            return (await connection.execute(delete(chats).where(chats.c.ended_ms < before_ms))).rowcount


def _row(chat: Chat) -> dict[str, Any]:
    return {column.name: getattr(chat, column.name) for column in _CHAT} | {"state": chat.state.value}


def _place_row(place: FlowPlace) -> dict[str, Any]:
    return {column.name: getattr(place, column.name) for column in _PLACE} | {"given": json.dumps(dict(place.given))}


def _event(body: str) -> StampedEvent:
    return StampedEvent.model_validate_json(body, context=MADE_BY_US)


def _kept(row: Row[Any]) -> Kept:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    chat = Chat(**{column.name: values[column.name] for column in _CHAT} | {"state": ChatState(row.state)})
    place = FlowPlace(**{column.name: values[column.name] for column in _PLACE} | {"given": json.loads(row.given)})
    return Kept(chat, place, row.secret, row.visitor)


def _message_row(chat: str, message: ChatMessage) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if message.buttons:
        extra["buttons"] = [[button.name, button.label, button.quiet] for button in message.buttons]
    if message.digits:
        extra["digits"] = message.digits
    if message.offers_phone:
        extra["offers_phone"] = True
    return {
        "chat": chat,
        "number": message.number,
        "at_ms": message.at_ms,
        "by": message.by,
        "kind": message.kind,
        "text": message.text,
        "agent": message.agent,
        "step": message.step,
        "extra": json.dumps(extra, ensure_ascii=False) if extra else "",
        "sending": message.sending or None,
    }


def _message(row: Row[Any]) -> ChatMessage:
    extra = json.loads(row.extra) if row.extra else {}
    digits = extra.get("digits")
    return ChatMessage(
        number=row.number,
        at_ms=row.at_ms,
        by=row.by,
        kind=row.kind,
        text=row.text,
        agent=row.agent,
        step=row.step,
        buttons=tuple(Button(*one) for one in extra.get("buttons", ())),
        digits=(digits[0], digits[1]) if digits else None,
        offers_phone=extra.get("offers_phone", False),
        sending=row.sending or "",
    )


def _input_row(chat: str, one: Input) -> dict[str, Any]:
    value = json.dumps(one.value, ensure_ascii=False)
    return {"chat": chat, "number": one.number, "at_ms": one.at_ms, "kind": one.kind, "value": value}
