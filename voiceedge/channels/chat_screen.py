"""A call of a chat's conversation, on the chat's screen: what the voice asks can be answered there by hand."""

from typing import Protocol

from voiceedge.channels.chat_life import BACK, LiveChat
from voiceedge.channels.chat_model import By, Chat, ChatError, ChatMessage, ChatState
from voiceedge.context.cloudevents import CloudEvent
from voiceedge.context.events.call import CallAnswered, CallEnded, CallStarted, StepEntered, TurnHeard
from voiceedge.context.record import Conversation
from voiceedge.flow.asking import Option, buttons_of
from voiceedge.flow.book import Flows
from voiceedge.flow.call import PHONE, Button
from voiceedge.flow.model import Flow
from voiceedge.flow.steps import Ask, Choice
from voiceedge.flow.words import words_of

FOLLOWED = frozenset(event.type for event in (CallStarted, CallAnswered, StepEntered, TurnHeard, CallEnded))
_ASKED = frozenset({"ask", "retry"})
_WAITING = _ASKED | {"confirm"}


class LiveCalls(Protocol):
    """The calls of this service, wherever they are."""

    async def typed(self, call: str, step: str, *, text: str | None, choice: str | None) -> bool:
        """Give it to the call, named as events name it, as the customer's answer; False where it waits for none."""


async def follow(life: LiveChat, event: CloudEvent, flows: Flows) -> bool:
    """Show what is told of a call; True where the call is over, and the chat has to go on by itself."""
    data = event.data
    call = str(data["call_id"])
    if call == life.chat.id or life.chat.state in {ChatState.AGENT, ChatState.ENDED}:
        return False
    if event.type == CallEnded.type:
        if life.chat.state is ChatState.CALL and life.call in {None, call}:
            life.call = None
            return True
        return False
    if life.chat.state is not ChatState.CALL:
        await begin(life)
    life.call = call
    if event.type == StepEntered.type and data["says"]:
        await _show(life, flows, data["says"], data["flow"], data["step"], data["kind"])
    elif event.type == TurnHeard.type and data["by"] in {"speech", "keys"} and data["decision"] != "reject":
        heard = data["transcript"] or data["value"]
        by: By = "agent" if data["speaker"] == "agent" else "customer"
        if heard:
            await life.patiently(life.draft(by, "call", heard))
    return False


async def begin(life: LiveChat) -> None:
    """From now on it is the call's screen."""
    await life.leave_flow()
    await life.patiently(life.note("call"), changes={**BACK, "state": ChatState.CALL})


async def catch_up(life: LiveChat, known: Conversation, flows: Flows) -> None:
    """Show what the voice of the call that goes on asks; what it only said is in the story."""
    life.call = next((one.reference for one in known.channels if one.channel == PHONE and one.ended_at is None), None)
    said = next((turn for turn in reversed(known.turns) if turn.speaker == "voiceedge"), None)
    step = known.journey[-1] if known.journey else None
    if said and step and said.step == step.step and step.kind in _WAITING:
        await _show(life, flows, said.text, step.flow, step.step, step.kind)


async def _show(life: LiveChat, flows: Flows, says: str, flow: str, step: str, kind: str) -> None:  # noqa: PLR0917
    buttons = _buttons(flows.get(flow), step, kind)
    life.on_call = buttons, step
    (message,) = await life.patiently(life.draft("voiceedge", "call", says, buttons=buttons, step=step))
    life.asked = message.number


async def choose(life: LiveChat, calls: LiveCalls, number: int, name: str) -> ChatMessage:
    """The button `name` of the message `number`. Raises ChatError and StoreError."""
    buttons, _ = life.on_call
    button = next((one for one in buttons if one.name == name and life.asked == number), None)
    if button is None:
        raise ChatError("past", "this question has been answered")
    (message,) = await life.write(life.draft("customer", "text", button.label), guard=_on_call)
    await pass_on(life, calls, message, choice=name)
    return message


async def pass_on(
    life: LiveChat, calls: LiveCalls, message: ChatMessage, *, text: str | None = None, choice: str | None = None
) -> None:
    """To the call's flow, which tells it; what it does not wait for an agent on the call may. Raises StoreError."""
    _, step = life.on_call
    if not await calls.typed(life.call or "", step, text=text, choice=choice):
        told = await life.told_as("customer", message.text)
        await life.write(life.note("no_taker"), tells=lambda _: [told])


def _on_call(chat: Chat) -> None:
    if chat.state is not ChatState.CALL:
        raise ChatError("past", "the call has just ended: try again")


def _buttons(flow: Flow | None, name: str, kind: str) -> tuple[Button, ...]:
    """Those of the question that the call is at."""
    step = flow.steps.get(name) if flow else None
    if flow is None or not isinstance(step, Ask):
        return ()
    anywhere = [Option(name, choice, 0, universal=True) for name, choice in flow.header.anywhere.items()]
    if kind in _ASKED:
        own = [Option(name, choice, 0) for name, choice in step.choices.items()]
    elif kind == "confirm":
        words = words_of(flow.header, on_screen=True)
        own = [Option("yes", Choice(say=words.yes), 0), Option("no", Choice(say=words.no), 0)]
    else:
        return ()
    return buttons_of([*own, *(anywhere if step.anywhere else ())])
