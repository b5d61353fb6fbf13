"""A chat and its agents: waiting for one, talking with one, sent on to another."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from voiceedge.channels.chat_life import BACK, LONGEST_OUTCOME, LiveChat, Told
from voiceedge.channels.chat_model import Chat, ChatError, ChatMessage, ChatState
from voiceedge.channels.chat_words import words
from voiceedge.channels.desks import Desks
from voiceedge.clock import Clock, timeout
from voiceedge.context.events.call import EventData, QueueJoined, QueueLeft
from voiceedge.flow.call import Button, Enqueue, QueueResult
from voiceedge.switch.hours import is_open
from voiceedge.switch.plan import Plan

Reason = Literal["answered", "left", "no_agent", "timeout"]

LEAVE = "leave"  # the button by which a customer waits no longer
WHY: Mapping[QueueResult, Reason] = {
    QueueResult.LEFT: "left",
    QueueResult.CLOSED: "no_agent",
    QueueResult.TIMEOUT: "timeout",
}
WITH_AGENTS = frozenset({ChatState.WAITING, ChatState.AGENT})


async def wait_for_agent(  # noqa: PLR0917 - all of them are always given
    life: LiveChat, wish: Enqueue, plan: Plan, desks: Desks, clock: Clock, waiting: int
) -> QueueResult:
    """Until somebody was there and has gone, or nobody came. `waiting` others do so in that queue."""
    if life.chat.state not in WITH_AGENTS:
        if told := life.tape.take("result"):  # before a restart
            return QueueResult(told.value)
        attended = await desks.attended(wish.queue, life.chat.tenant)
        if refused := _no_place(plan, wish.queue, waiting, clock, attended=attended):
            await life.keep("result", refused.value)
            return _result(life)
        leave = Button(LEAVE, words(life.chat.language, "leave"), quiet=True)
        note = replace(life.note("waiting"), buttons=(leave,) if wish.may_leave else ())
        waits = {"state": ChatState.WAITING, "queue": wish.queue, "waiting_since_ms": life.now_ms}
        priority = wish.priority or plan.queues[wish.queue].priority
        joined = QueueJoined(call_id=life.chat.id, queue=wish.queue, priority=priority, position=waiting + 1)
        await life.patiently(note, changes=waits, tells=lambda _: [joined])
    while life.chat.state in WITH_AGENTS:
        news = life.bell.next
        try:
            async with timeout(clock, _patience_s(life, plan)):
                await news.wait()
        except TimeoutError:
            with suppress(ChatError):
                await give_up(life, QueueResult.TIMEOUT)
    return _result(life)


async def give_up(life: LiveChat, result: QueueResult) -> None:
    """Nobody will come. Raises ChatError where somebody has, at the last moment."""

    def waits(chat: Chat) -> None:
        if chat.state is not ChatState.WAITING:
            raise ChatError("taken", "somebody has come")

    await over(life, result, guard=waits)


def _no_place(plan: Plan, name: str, waiting: int, clock: Clock, *, attended: bool) -> QueueResult | None:
    queue = plan.queues.get(name)
    if queue is None:
        return QueueResult.FAILED
    if not attended or (queue.hours and not is_open(plan.hours[queue.hours], clock.now())):
        return QueueResult.CLOSED
    return QueueResult.FULL if waiting >= queue.most_waiting else None


def _patience_s(life: LiveChat, plan: Plan) -> float | None:
    """How long it may wait yet; None where somebody is there."""
    queue = plan.queues.get(life.chat.queue or "")
    if life.chat.state is not ChatState.WAITING or queue is None:
        return None
    waited_ms = life.now_ms - (life.chat.waiting_since_ms or life.now_ms)
    return max(0.0, queue.longest_wait_s - waited_ms / 1000)


def _result(life: LiveChat) -> QueueResult:
    told = life.tape.take("result")
    return QueueResult(told.value) if told else QueueResult.FAILED


async def over(
    life: LiveChat, result: QueueResult, *notes: ChatMessage, guard: Callable[[Chat], None], outcome: str | None = None
) -> list[ChatMessage]:
    """The flow that waited goes on with this."""
    changes = {**BACK, "outcome": outcome or life.chat.outcome}

    def tells(chat: Chat) -> list[EventData]:
        if chat.state is not ChatState.WAITING:
            return []
        return [_left(life, chat, WHY[result])]

    return await life.write(*notes, told=[Told("result", result.value)], guard=guard, changes=changes, tells=tells)


async def take(life: LiveChat, agent: str, title: str) -> Chat:
    before = life.chat
    if before.state is ChatState.AGENT and before.agent == agent:
        return before

    def waits(chat: Chat) -> None:
        if chat.state is not ChatState.WAITING:
            raise ChatError("taken", "somebody else has taken this chat, or it waits for nobody any more")

    note = replace(life.note("agent", agent=title or agent), agent=agent)
    with_agent = {"state": ChatState.AGENT, "agent": agent, "wanted": None, "waiting_since_ms": None}
    await life.write(note, guard=waits, changes=with_agent, tells=lambda chat: [_left(life, chat, "answered", agent)])
    life.heard_ms = life.now_ms
    return life.chat


async def say(life: LiveChat, agent: str, text: str) -> ChatMessage:
    sent = await life.told_as("agent", text, agent)
    draft = life.draft("agent", "text", text, agent=agent)
    (message,) = await life.write(draft, guard=_is_of(agent), tells=lambda _: [sent])
    life.heard_ms = message.at_ms
    return message


async def transfer(life: LiveChat, agent: str, queue: str | None, to_agent: str | None, note: str) -> Chat:
    queue = queue or life.chat.queue or ""
    waiting = {
        "state": ChatState.WAITING,
        "agent": None,
        "queue": queue,
        "wanted": to_agent,
        "note": note,
        "waiting_since_ms": life.now_ms,
    }
    joined = QueueJoined(call_id=life.chat.id, queue=queue, priority=0, position=1, returned=True)
    await life.write(life.note("transferred"), guard=_is_of(agent), changes=waiting, tells=lambda _: [joined])
    return life.chat


async def done(life: LiveChat, agent: str, outcome: str | None) -> Chat:
    outcome = outcome[:LONGEST_OUTCOME] if outcome else None
    await over(life, QueueResult.TALKED, life.note("agent_left"), guard=_is_of(agent), outcome=outcome)
    return life.chat


def _is_of(agent: str) -> Callable[[Chat], None]:
    def check(chat: Chat) -> None:
        if chat.state is not ChatState.AGENT or chat.agent != agent:
            raise ChatError("not_yours", "you are not in this chat any more: take it first")

    return check


def _left(life: LiveChat, before: Chat, reason: Reason, agent: str | None = None) -> QueueLeft:
    waited_ms = max(0, life.now_ms - (before.waiting_since_ms or life.now_ms))
    queue = before.queue or ""
    return QueueLeft(call_id=before.id, queue=queue, reason=reason, waited_ms=waited_ms, agent=agent)
