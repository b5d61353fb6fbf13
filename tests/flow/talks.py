"""Flows in a temporary directory, and calls through them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voiceedge.clock import VirtualClock
from voiceedge.connectors.answers import Answer, Failed
from voiceedge.context.events.call import EventData, StepEntered, TurnHeard
from voiceedge.flow.book import FlowBook, check_paths
from voiceedge.flow.call import Question, Reply, TransferResult
from voiceedge.flow.engine import FlowOutcome, FlowRun
from voiceedge.flow.look_up import LookUps, Query, Request
from voiceedge.flow.problem import Problem, errors_in
from voiceedge.flow.simulator import SimulatedCall


@dataclass
class Talk:
    """One simulated call, as it was shown, asked, journalled and ended."""

    said: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    recordings: list[str | None] = field(default_factory=list)
    events: list[EventData] = field(default_factory=list)
    conversation: dict[str, Any] = field(default_factory=dict)
    outcome: FlowOutcome | None = None

    def steps(self) -> list[StepEntered]:
        return [event for event in self.events if isinstance(event, StepEntered)]

    def turns(self) -> list[TurnHeard]:
        return [event for event in self.events if isinstance(event, TurnHeard)]

    def record(self, event: EventData, conversation: Mapping[str, object] | None = None) -> None:
        self.events.append(event)
        for key, value in (conversation or {}).items():
            if isinstance(value, dict):
                self.conversation.setdefault(key, {}).update(value)
            else:
                self.conversation[key] = value


class Screen:
    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def said(self, text: str, recording: str | None) -> None:
        self._talk.said.append(text)
        self._talk.recordings.append(recording)

    def expects(self, question: Question) -> None:
        self._talk.questions.append(question)

    def understood(self, reply: Reply) -> None:
        self._talk.replies.append(reply)

    def noted(self, text: str) -> None:
        self._talk.notes.append(text)


class Service:
    """Look-ups with answers laid out beforehand; the last one is repeated."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.requests = list(answers), []

    async def ask(self, wish: Request | Query) -> Answer:
        self.requests.append(wish)
        if not self.answers:
            return Failed("no answer laid out")
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Flows:
    """A directory of flow files to be."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, text: str, name: str = "test") -> Path:
        path = self.directory / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def problems(self, text: str, name: str = "test") -> list[Problem]:
        return check_paths([self.write(text, name)])

    def errors(self, text: str) -> list[str]:
        return [
            f"{problem.mark.line}:{problem.mark.column}: {problem.message}"
            for problem in errors_in(self.problems(text))
        ]

    def warnings(self, text: str) -> list[str]:
        return [
            f"{problem.mark.line}: {problem.message}"
            for problem in self.problems(text)
            if problem.severity == "warning"
        ]

    async def talk(
        self,
        *lines: str | None,
        flow: str = "test",
        look_ups: LookUps | None = None,
        transfer: TransferResult = TransferResult.DONE,
        hand_over: bool = True,
        clock: VirtualClock | None = None,
        values: Mapping[str, str] | None = None,
        call: Any = None,
    ) -> Talk:
        book = FlowBook(self.directory, values)
        return await converse(
            book.flows, flow, lines, look_ups=look_ups, transfer=transfer, hand_over=hand_over, clock=clock, call=call
        )


async def converse(
    flows: Any,
    flow: str,
    lines: Sequence[str | None],
    *,
    look_ups: LookUps | None = None,
    transfer: TransferResult = TransferResult.DONE,
    hand_over: bool = True,
    clock: VirtualClock | None = None,
    call: Any = None,
    earlier: Mapping[str, str] | None = None,
) -> Talk:
    talk, waiting = Talk(), iter(lines)

    async def read(question: Question) -> str | None:
        return next(waiting, None)

    simulated = SimulatedCall(read, Screen(talk), transfer=transfer, hand_over=hand_over, earlier=earlier)
    run = FlowRun(flows, flow, call or simulated, talk, clock or VirtualClock(), look_ups or Service())
    talk.outcome = await run.run()
    return talk
