"""The flows that answer chats: which one, what it is given, and how it is walked."""

import hashlib
import json
from collections.abc import Callable, Collection
from typing import Any

import structlog

from voiceedge.channels import chat_agents
from voiceedge.channels.chat_call import ChatCall
from voiceedge.channels.chat_life import LiveChat
from voiceedge.channels.chat_model import ChatError
from voiceedge.channels.chat_tape import TapedLookUps
from voiceedge.channels.desks import Desks
from voiceedge.channels.web_chat import WebChat
from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.context.record import Conversation
from voiceedge.context.resuming.tokens import TokenRefusedError
from voiceedge.context.service import ContextService
from voiceedge.errors import ConfigError, FlowError, StoreError
from voiceedge.flow.book import FlowBook, Flows, flow_files
from voiceedge.flow.call import Continued, Enqueue, NotContinued, QueueResult
from voiceedge.flow.engine import FlowRun
from voiceedge.flow.look_up import LookUps
from voiceedge.flow.model import Flow
from voiceedge.flow.problem import errors_in
from voiceedge.switch.plan import load_plan

LONGEST_VALUE = 500

log = structlog.get_logger()


class FlowRuns:
    """Raises ConfigError where the flows or the plan are wrong."""

    def __init__(self, config: Config, context: ContextService, look_ups: LookUps, desks: Desks, clock: Clock) -> None:
        self._config, self._context, self._look_ups, self._clock = config, context, look_ups, clock
        self._desks = desks
        try:
            self._book = FlowBook(config.flows.dir, config.flows.values)
        except FlowError as error:
            raise ConfigError(str(error)) from error
        self.made_of = self._fingerprint()
        self._plan = load_plan(config.switch.plan)

    def reload(self) -> None:
        """Chats that have begun go on with the flow they began with."""
        made_of = self._fingerprint()
        if made_of != self.made_of and not errors_in(self._book.reload()):
            self.made_of = made_of
        try:
            self._plan = load_plan(self._config.switch.plan)
        except ConfigError as error:
            log.warning("plan_refused", problem=str(error), effect="chats wait in queues as they were")

    @property
    def flows(self) -> Flows:
        return self._book.flows

    def title_of(self, agent: str) -> str:
        """As customers see an agent."""
        entry = self._plan.agents.get(agent)
        return entry.title if entry and entry.title else agent

    def flow_of(self, settings: WebChat, language: str, *, linked: bool) -> Flow:
        """Raises ChatError."""
        name = next((flow for of, flow in settings.flows.items() if of == language), None)
        name = name or settings.flow or self._config.flows.default
        name = (linked and settings.linked) or name
        flow = self.flows.get(name)
        if flow is None:
            log.error("chat_without_flow", flow=name, remedy="name a flow of flows.dir in the channels file")
            raise ChatError("no_flow", "this chat cannot be used at the moment")
        return flow

    async def play(self, life: LiveChat, waiting_in: Callable[[str], int]) -> str:
        """Walk the flow to its end; the outcome. A chat whose flow is not as it was only waits for its agent."""

        async def wait(wish: Enqueue) -> QueueResult:
            waiting = waiting_in(wish.queue)
            return await chat_agents.wait_for_agent(life, wish, self._plan, self._desks, self._clock, waiting)

        async def resume(pin: str) -> Continued | NotContinued:
            return await self._resume(life, pin)

        if life.place.made_of != self.made_of:
            await wait(Enqueue(life.chat.queue or "", life.chat.language))
            return life.chat.outcome or "agent"
        look_ups = TapedLookUps(self._look_ups, life.tape, life.keep)
        call = ChatCall(life, wait, resume)
        return (await FlowRun(self.flows, life.place.flow, call, life.run_journal, life.tape, look_ups).run()).outcome

    async def _resume(self, life: LiveChat, pin: str) -> Continued | NotContinued:
        """What there was before this chat, or what a PIN stands for."""
        chat = life.chat
        try:
            known = await self._context.conversation(chat.conversation)
            if pin:
                resumed = await self._context.continuing.redeem(
                    chat.channel, "pin", pin, visit=chat.conversation, interaction=chat.id, asker=life.visitor,
                    tenant=chat.tenant,
                )  # fmt: skip
                known = resumed.conversation
                await life.patiently(changes={"conversation": known.id})
        except TokenRefusedError as refused:
            told = {one.value: one for one in NotContinued}
            return told.get(refused.reason.value, NotContinued.UNKNOWN)
        except StoreError:
            return NotContinued.ABSENT
        before = [visit for visit in known.channels if visit.reference != chat.id] if known else []
        if known is None or not before:
            return NotContinued.ABSENT
        return Continued(
            conversation=known.id,
            by="pin" if pin else "link",
            trust="proved",
            channel=before[-1].channel,
            intent=known.intent,
            language=known.language,
            slots=known.slots,
        )

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for file in flow_files(self._config.flows.dir):
            digest.update(file.read_bytes())
        return digest.hexdigest()


def given(flow: Flow, conversation: Conversation | None) -> dict[str, Any]:
    """Of what is known, what the flow has slots for, each of the kind that its slot begins as."""
    known = conversation.slots if conversation else {}
    return {name: _value(slot.value, flow, name) for name, slot in known.items() if name in flow.header.slots}


def given_values(conversation: Conversation | None, wanted: Collection[str]) -> dict[str, str]:
    """Of what is known, the slots wanted, as far as an order takes them."""
    known = conversation.slots if conversation else {}
    return {name: slot.value for name, slot in known.items() if name in wanted and len(slot.value) <= LONGEST_VALUE}


def _value(text: str, flow: Flow, name: str) -> Any:
    starts = flow.header.slots[name].starts
    if not (isinstance(starts, bool | int | float) or text.startswith(("{", "["))):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def has_call(conversation: Conversation) -> bool:
    """Whether one goes on."""
    return any(visit.channel == "phone" and visit.ended_at is None for visit in conversation.channels)
