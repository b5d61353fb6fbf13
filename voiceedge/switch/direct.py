"""Destinations that are no flow, as flows: an agent, a queue, a number or a mailbox is a few steps of the language.

So a session always runs a flow, and what these calls do is written like everything else that callers hear.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from voiceedge.errors import FlowError
from voiceedge.flow.checks import check
from voiceedge.flow.loader import understand
from voiceedge.flow.model import Flow
from voiceedge.flow.problem import errors_in
from voiceedge.flow.source import parse
from voiceedge.switch.routing import Destination

Language = Literal["ko", "en"]

_DIAL = """
  begin: {{dial: {name}, next: over, busy: busy, no_answer: no_answer, failed: failed}}
  busy: {{hang_up: {busy}, outcome: busy}}
  no_answer: {{hang_up: {no_answer}, outcome: no_answer}}
"""
_STEPS: Mapping[str, str] = {
    "agent": _DIAL,
    "number": _DIAL,
    "queue": """
  begin:
    queue: {name}
    next: over
    full: busy
    closed: closed
    timeout: no_answer
    call_back: call_back
    failed: failed
  busy: {{hang_up: {busy}, outcome: full}}
  closed: {{hang_up: {closed}, outcome: closed}}
  no_answer: {{hang_up: {no_answer}, outcome: timeout}}
  call_back: {{hang_up: {call_back}, outcome: call_back}}
""",
    "voicemail": """
  begin: {{voicemail: {name}, next: kept, empty: over, failed: failed}}
  kept: {{hang_up: {kept}, outcome: message}}
""",
}
_FLOW = """
flow: {name}
language: {language}
start: begin
on_error: failed
steps:
{steps}
  failed: {{hang_up: {failed}, outcome: failed}}
  over: {{hang_up: , outcome: done}}
"""
_SPOKEN = """
flow: {name}
language: {language}
start: say
steps:
  say: {{hang_up: {text}, outcome: done}}
"""
_TEXTS: Mapping[Language, Mapping[str, str]] = {
    "ko": {
        "busy": "지금은 모두 통화 중입니다. 잠시 후 다시 전화해 주시기 바랍니다.",
        "no_answer": "지금은 전화를 받을 수 없습니다. 잠시 후 다시 전화해 주시기 바랍니다.",
        "closed": "지금은 상담 시간이 아닙니다. 상담 시간에 다시 전화해 주시기 바랍니다.",
        "call_back": "순서가 되면 전화드리겠습니다. 감사합니다.",
        "kept": "메시지를 남겨 주셔서 감사합니다.",
        "failed": "죄송합니다. 지금은 연결할 수 없습니다. 잠시 후 다시 전화해 주시기 바랍니다.",
    },
    "en": {
        "busy": "All lines are busy at the moment. Please call again a little later.",
        "no_answer": "Nobody can take your call at the moment. Please call again a little later.",
        "closed": "We are closed at the moment. Please call again during our opening hours.",
        "call_back": "We will call you back when it is your turn. Thank you.",
        "kept": "Thank you for your message.",
        "failed": "I'm sorry, your call cannot be connected at the moment. Please call again a little later.",
    },
}


def direct(destination: Destination, language: Language) -> Flow:
    """The flow that leads to an agent, queue, number or mailbox. Raises FlowError for a name that none can have."""
    values = {key: json.dumps(text, ensure_ascii=False) for key, text in _TEXTS[language].items()}
    steps = _STEPS[destination.kind].format(name=json.dumps(destination.name), **values)
    name = f"to_{destination.kind}"
    return _understood(_FLOW.format(name=name, language=language, steps=steps, failed=values["failed"]), name)


def spoken(name: str, text: str, language: Language) -> Flow:
    """The flow called `name` that says something and hangs up."""
    said = json.dumps(text, ensure_ascii=False)
    return _understood(_SPOKEN.format(name=name, language=language, text=said), name)


def _understood(text: str, name: str) -> Flow:
    draft = understand(parse(text, Path(f"{name}.yaml")))
    check(draft)
    if broken := errors_in(draft.problems):
        raise FlowError("\n".join(str(problem) for problem in broken))
    return draft.flow()
