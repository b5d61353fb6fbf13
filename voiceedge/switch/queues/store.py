"""Tickets and agents in the database: read and written in turns, of which one is under way on all nodes together."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.storage.tables import queue_agents, queue_nodes, queue_spans, queue_tickets
from voiceedge.switch.queues.board import Board, State
from voiceedge.switch.queues.messages import AgentState, TicketState
from voiceedge.switch.queues.model import Agent, Ticket

Item = TypeVar("Item")

TURN = "*"  # no node has this name


async def take_turn(connection: AsyncConnection, *, skip: bool) -> bool:
    """Whether it is ours until the transaction ends; with `skip` not where another node has it just now."""
    claim = select(queue_nodes.c.name).where(queue_nodes.c.name == TURN).with_for_update(skip_locked=skip)
    return (await connection.execute(claim)).first() is not None


async def load(connection: AsyncConnection) -> State:
    tickets = await connection.execute(select(queue_tickets).where(queue_tickets.c.over_ms.is_(None)))
    agents = await connection.execute(select(queue_agents))
    return State(
        {row.id: _ticket(row._mapping) for row in tickets},  # noqa: SLF001 - public, in spite of its name
        {row.name: _agent(row._mapping) for row in agents},  # noqa: SLF001
    )


async def ticket_by_id(connection: AsyncConnection, ticket_id: str) -> Ticket | None:
    row = (await connection.execute(select(queue_tickets).where(queue_tickets.c.id == ticket_id))).first()
    return _ticket(row._mapping) if row else None  # noqa: SLF001


async def save(connection: AsyncConnection, board: Board) -> None:
    """What the turn has changed."""
    for some in _portions(board.tickets_changed.values()):
        await connection.execute(delete(queue_tickets).where(queue_tickets.c.id.in_([ticket.id for ticket in some])))
        await connection.execute(insert(queue_tickets), [_ticket_row(ticket) for ticket in some])
    for crew in _portions(board.agents_changed.values()):
        await connection.execute(delete(queue_agents).where(queue_agents.c.name.in_([agent.name for agent in crew])))
        await connection.execute(insert(queue_agents), [_agent_row(agent) for agent in crew])
    if board.spans:
        await connection.execute(insert(queue_spans), [asdict(span) for span in board.spans])


async def note_seen(connection: AsyncConnection, node: str, now_ms: int) -> dict[str, int]:
    """That this node is at work; when each was last."""
    done = await connection.execute(update(queue_nodes).where(queue_nodes.c.name == node).values(seen_ms=now_ms))
    if not done.rowcount:
        await connection.execute(insert(queue_nodes).values(name=node, seen_ms=now_ms))
    rows = await connection.execute(select(queue_nodes).where(queue_nodes.c.name != TURN))
    return {row.name: row.seen_ms for row in rows}


async def prune(connection: AsyncConnection, before_ms: int) -> None:
    await connection.execute(delete(queue_tickets).where(queue_tickets.c.over_ms < before_ms))
    await connection.execute(delete(queue_spans).where(queue_spans.c.ended_ms < before_ms))


async def latest_answered(connection: AsyncConnection, limit: int) -> list[Ticket]:
    """The oldest of them first."""
    answered = select(queue_tickets).where(queue_tickets.c.answered_ms.is_not(None), queue_tickets.c.place > 0)
    rows = await connection.execute(answered.order_by(queue_tickets.c.answered_ms.desc()).limit(limit))
    return [_ticket(row._mapping) for row in rows][::-1]  # noqa: SLF001


def _ticket(row: Mapping[Any, Any]) -> Ticket:
    return Ticket(**{**row, "skills": json.loads(row["skills"]), "state": TicketState(row["state"])})


def _ticket_row(ticket: Ticket) -> dict[str, object]:
    return {**asdict(ticket), "skills": json.dumps(ticket.skills), "state": ticket.state.value}


def _agent(row: Mapping[Any, Any]) -> Agent:
    values = dict(row)
    then = values.pop("then_state")
    return Agent(**{**values, "state": AgentState(row["state"]), "then": AgentState(then) if then else None})


def _agent_row(agent: Agent) -> dict[str, object]:
    values = asdict(agent)
    then = values.pop("then")
    return {**values, "state": agent.state.value, "then_state": then.value if then else None}


def _portions(items: Iterable[Item]) -> Iterator[Sequence[Item]]:
    """Few enough at a time for a statement's parameters."""
    rest = list(items)
    for start in range(0, len(rest), 200):
        yield rest[start : start + 200]
