"""The events of queues and agents, each with the conversation it belongs to; who waits is told by no number."""

from typing import Literal

from voiceedge.context.events.call import AgentStateChanged, EventData, QueueCallBack, QueueJoined, QueueLeft
from voiceedge.switch.queues.messages import TicketState
from voiceedge.switch.queues.model import Agent, Ticket

Told = tuple[str, EventData]


def joined(ticket: Ticket, position: int, expected_wait_s: float | None, *, returned: bool) -> Told:
    wait_s = None if expected_wait_s is None else round(expected_wait_s)
    event = QueueJoined(
        call_id=ticket.call, queue=ticket.queue, priority=ticket.priority, position=position, returned=returned,
        expected_wait_s=wait_s,
    )  # fmt: skip
    return ticket.conversation, event


def left(ticket: Ticket, reason: TicketState, now_ms: int, agent: str | None = None) -> Told:
    event = QueueLeft.model_validate({
        "call_id": ticket.call, "queue": ticket.queue, "reason": reason.value,
        "waited_ms": now_ms - ticket.joined_ms, "agent": agent,
    })  # fmt: skip
    return ticket.conversation, event


def call_back(ticket: Ticket, state: Literal["asked", "dialled", "not_reached"]) -> Told:
    event = QueueCallBack(call_id=ticket.call, queue=ticket.queue, state=state, attempts=ticket.attempts)
    return ticket.conversation, event


def agent_changed(before: Agent, agent: Agent, ticket: Ticket | None, now_ms: int) -> Told:
    event = AgentStateChanged(
        agent=agent.name, state=agent.state.value, reason=agent.reason, was=before.state.value,
        lasted_ms=now_ms - before.since_ms, queue=ticket.queue if ticket else None,
        conversation=ticket.conversation if ticket else None,
    )  # fmt: skip
    return f"agent-{agent.name}", event
