"""Codes by which agents log in and out from their phones (docs/queues.md): told to control, answered in a sentence."""

import re
from collections.abc import Mapping
from typing import Literal

import structlog

from voiceedge.context.privacy.pii import MASK
from voiceedge.edge.between.link import LinkRefusedError
from voiceedge.edge.call.queue_desk import QueueDesk
from voiceedge.errors import LinkError
from voiceedge.flow.model import Flow
from voiceedge.switch.direct import spoken
from voiceedge.switch.queues.messages import AgentDialled, AgentState, AgentView
from voiceedge.switch.routing import Destination, Incoming

Language = Literal["ko", "en"]
Answer = Literal["available", "break", "logged_out", "later", "refused", "failed"]

DESTINATION = Destination("flow", "agent_code", "a code of agents")

ACTION = 3  # characters; what follows is a code or a reason

_CODE = re.compile(r"\*1[1-4]\d{0,12}")
_SAYS: Mapping[Language, Mapping[Answer, str]] = {
    "ko": {
        "available": "전화를 받을 수 있는 상태입니다.",
        "break": "휴식 상태입니다.",
        "logged_out": "로그아웃되었습니다.",
        "later": "통화가 끝나면 바뀝니다.",
        "refused": "번호가 맞지 않습니다. 확인하고 다시 걸어 주십시오.",
        "failed": "지금은 바꿀 수 없습니다. 잠시 후 다시 걸어 주십시오.",
    },
    "en": {
        "available": "You are available.",
        "break": "You are on a break.",
        "logged_out": "You are logged out.",
        "later": "This will change when the talk is over.",
        "refused": "This code is not right. Please check it and dial again.",
        "failed": "This cannot be changed at the moment. Please dial again a little later.",
    },
}

log = structlog.get_logger()


def is_agent_code(call: Incoming) -> bool:
    """Only from a phone whose agent the front knows by digest."""
    return bool(call.agent) and _CODE.fullmatch(call.called) is not None


def shown(called: str) -> str:
    """Without the digits that let somebody in."""
    return called[:ACTION] + MASK if _CODE.match(called) and len(called) > ACTION else called


async def obey(desk: QueueDesk, call: Incoming, language: Language) -> dict[str, Flow]:
    """Do what the code says; the flow, by its name, tells what has become of it."""
    try:
        agent = await desk.agent_dialled(AgentDialled(phone=call.agent, keys=call.called))
    except LinkError as error:
        log.warning("agent_code_failed", phone=call.agent, problem=str(error))
        says: Answer = "refused" if isinstance(error, LinkRefusedError) and not error.can_retry else "failed"
    else:
        says = _answer(agent)
    return {DESTINATION.name: spoken(DESTINATION.name, _SAYS[language][says], language)}


def _answer(agent: AgentView) -> Answer:
    match agent.state:
        case AgentState.BREAK:
            return "break"
        case AgentState.LOGGED_OUT:
            return "logged_out"
        case AgentState.TALKING if agent.then:
            return "later"
        case _:
            return "available"
