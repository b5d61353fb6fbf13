"""Service level, abandoned, occupancy and the like, counted by the database from closed tickets and agents' spans."""

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.context.storage.tables import queue_spans, queue_tickets
from voiceedge.switch.plan import QueueEntry
from voiceedge.switch.queues.messages import AgentState, Figures, TicketState
from voiceedge.switch.queues.model import MISSED, Agent

OVERFLOWED = (TicketState.FULL, TicketState.CLOSED, TicketState.NO_AGENT, TicketState.TIMEOUT)


async def of_queues(connection: AsyncConnection, queues: Mapping[str, QueueEntry], since_ms: int) -> dict[str, Figures]:
    """Of those whose waiting ended since then. Call-backs are handled, but their wait is no wait on the line."""
    if not queues:
        return {}
    row = queue_tickets.c
    ended = func.coalesce(row.answered_ms, row.over_ms)
    wait = ended - row.joined_ms
    answered = row.answered_ms.is_not(None)
    on_the_line = and_(answered, row.call_back.is_(False))
    abandoned = and_(~answered, row.state == TicketState.ABANDONED.value)
    target = case({name: round(queue.service_level_s * 1000) for name, queue in queues.items()}, value=row.queue)
    query = (
        select(
            row.queue,
            _count(answered).label("handled"),
            _count(abandoned).label("abandoned"),
            _count(and_(~answered, row.state.in_([state.value for state in OVERFLOWED]))).label("overflowed"),
            _count(and_(answered, row.call_back)).label("called_back"),
            _count(and_(on_the_line, wait <= target)).label("in_time"),
            _count(on_the_line).label("on_the_line"),
            func.avg(case((on_the_line, wait))).label("wait_ms"),
            func.max(case((row.call_back.is_(False), wait))).label("longest_ms"),
            func.avg(case((answered, row.over_ms - row.answered_ms))).label("talk_ms"),
        )
        .where(ended >= since_ms, row.queue.in_(list(queues)))
        .group_by(row.queue)
    )
    figures = {name: Figures() for name in queues}
    for found in await connection.execute(query):
        counted = found.on_the_line + found.abandoned
        figures[found.queue] = Figures(
            handled=found.handled, abandoned=found.abandoned, overflowed=found.overflowed,
            called_back=found.called_back, service_level=found.in_time / counted if counted else None,
            wait_s=_seconds(found.wait_ms), longest_wait_s=_seconds(found.longest_ms) or 0.0,
            talk_s=_seconds(found.talk_ms),
        )  # fmt: skip
    return figures


async def of_agents(
    connection: AsyncConnection, agents: Mapping[str, Agent], since_ms: int, now_ms: int
) -> dict[str, dict[str, object]]:
    """What an AgentView says of the time since then, by agent."""
    span, ticket = queue_spans.c, queue_tickets.c
    begun = case((span.began_ms < since_ms, since_ms), else_=span.began_ms)
    query = (
        select(span.agent, span.state, func.sum(span.ended_ms - begun), _count(span.reason == MISSED))
        .where(span.ended_ms >= since_ms)
        .group_by(span.agent, span.state)
    )
    seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    missed: dict[str, int] = defaultdict(int)
    for name, state, lasted_ms, misses in await connection.execute(query):
        seconds[name][state] += float(lasted_ms) / 1000
        missed[name] += misses if state == AgentState.RINGING else 0
    for agent in agents.values():
        seconds[agent.name][agent.state] += (now_ms - max(since_ms, agent.since_ms)) / 1000
    answered = select(ticket.agent, func.count()).where(ticket.answered_ms >= since_ms).group_by(ticket.agent)
    handled = {name: count for name, count in await connection.execute(answered) if name}
    return {
        name: {"handled": handled.get(name, 0), "missed": missed[name], **_of_agent(spent)}
        for name, spent in seconds.items()
    }


def _of_agent(spent: Mapping[str, float]) -> dict[str, object]:
    logged_in = sum(spent.values()) - spent.get(AgentState.LOGGED_OUT, 0.0)
    ready = logged_in - spent.get(AgentState.BREAK, 0.0)
    busy = spent.get(AgentState.TALKING, 0.0) + spent.get(AgentState.AFTER_CALL, 0.0)
    return {
        "talk_s": spent.get(AgentState.TALKING, 0.0),
        "after_call_s": spent.get(AgentState.AFTER_CALL, 0.0),
        "logged_in_s": logged_in,
        "occupancy": busy / ready if ready else None,
    }


def _count(what: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((what, 1), else_=0)), 0)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else float(milliseconds) / 1000
