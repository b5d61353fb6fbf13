"""The flow engine: walks one call through its flow, and never lets an error, a loop or a silence trap the caller."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import structlog

from voiceedge.clock import Clock
from voiceedge.connectors.answers import Found, NotFound
from voiceedge.context.events.call import Journal, StepEntered, TurnHeard
from voiceedge.context.record import Slot
from voiceedge.errors import FlowError, VoiceEdgeError
from voiceedge.flow import leaving, reaching
from voiceedge.flow.asking import Answer, Asking, Option
from voiceedge.flow.book import Flows
from voiceedge.flow.call import (
    PHONE,
    Call,
    CallEnded,
    Continued,
    NoInput,
    Question,
    RecordAction,
    Reply,
    TransferResult,
)
from voiceedge.flow.coming_back import ComingBack, Left, taken
from voiceedge.flow.expression import ExpressionError
from voiceedge.flow.frame import Classes, Frame, SlotValue, Spoken
from voiceedge.flow.look_up import LookUps, wish_of
from voiceedge.flow.steps import (
    AGAIN,
    Ask,
    Choose,
    ContinueFrom,
    DialStep,
    HandOverStep,
    HangUp,
    LookUp,
    QueueStep,
    Record,
    Return,
    Run,
    Say,
    Set,
    Step,
    Transfer,
    VoicemailStep,
)
from voiceedge.flow.template import TemplateError, plain

MOST_SILENT_STEPS = 100  # without a word or key from the caller
MOST_STEPS = 2000
MOST_FLOWS = 8  # sub-flows inside one another
MOST_ERRORS = 3

Known = TypeVar("Known")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FlowOutcome:
    """How a run ended. `outcome` is the last step's own word for it, or its name; `slots` are the outermost flow's."""

    outcome: str
    ended_by: Literal["flow", "caller", "transfer"]
    intent: str | None
    slots: Mapping[str, SlotValue]
    journey: tuple[str, ...]  # steps as flow/step


@dataclass(frozen=True, slots=True)
class _End:
    outcome: str
    by: Literal["flow", "transfer"]


class _StepFailed(Exception):  # noqa: N818 - it never leaves this module
    """A step could not do its work; the message names no value."""


class FlowRun:
    """One call's run through the flows as they are now; a later reload does not touch it."""

    def __init__(  # noqa: PLR0917 - all of them are always given
        self, flows: Flows, name: str, call: Call, journal: Journal, clock: Clock, look_ups: LookUps
    ) -> None:
        """Raises FlowError when there is no such flow."""
        if name not in flows:
            raise FlowError(f'There is no flow "{name}". There are: {", ".join(sorted(flows))}.')
        self._flows, self._call, self._journal, self._clock, self._look_ups = flows, call, journal, clock, look_ups
        self._on_screen = call.facts.channel != PHONE
        self._frames = [Frame.enter(flows[name], {}, on_screen=self._on_screen)]
        self._intent: str | None = None
        self._continued: Continued | None = None
        self._journey: list[str] = []
        self._silent_steps = self._errors = 0
        self._recording = RecordAction.STOP  # what was last made of it
        self._changed: dict[str, Any] = {
            "language": flows[name].header.language
        }  # not yet in the conversation's record
        if given := call.facts.given:
            self._fill(self._frames[0], given)

    async def run(self) -> FlowOutcome:
        """To the end of the flow or the call. Raises nothing of its own."""
        try:
            end = await self._walk()
            if end.by == "flow":
                await self._call.hang_up()
            return self._outcome(end.outcome, end.by)
        except CallEnded:
            return self._outcome("caller_hung_up", "caller")

    @property
    def call_id(self) -> str:
        return self._call.facts.call_id

    @property
    def at(self) -> str:
        """The step it is at."""
        return f"{self._frames[-1].flow.name}/{self._frames[-1].at}"

    def values(self) -> dict[str, Any]:
        return self._frames[-1].values(self._call.facts, self._clock.now(), self._continued)

    async def put(self, question: Question, spoken: Spoken, kind: str) -> Reply:
        self._enter(kind, spoken.masked)
        reply = await self._call.ask(question)
        if not isinstance(reply, NoInput):
            self._silent_steps = 0
        return reply

    def note(self, turn: TurnHeard) -> None:
        self._record(turn)

    async def _walk(self) -> _End:
        while True:
            frame = self._frames[-1]
            step = frame.flow.steps[frame.at]
            self._journey.append(f"{frame.flow.name}/{frame.at}")
            self._silent_steps += 1
            if self._silent_steps > MOST_SILENT_STEPS or len(self._journey) > MOST_STEPS:
                log.error("flow turns in circles", flow=frame.flow.name, step=frame.at)
                return await self._apologise()
            try:
                target: str | _End | None = await self._take(frame, step)
            except (_StepFailed, TemplateError, ExpressionError, VoiceEdgeError) as error:
                reason = str(error) if not isinstance(error, VoiceEdgeError) else type(error).__name__
                log.warning("flow step failed", flow=frame.flow.name, step=frame.at, reason=reason)
                target = self._error_exit(step)
            if target is None:
                return await self._apologise()
            if isinstance(target, _End):
                return target
            self._frames[-1].at = target

    async def _take(  # noqa: PLR0911 - one case a kind of step
        self, frame: Frame, step: Step
    ) -> "str | _End":
        """Do the step and say where it leads, in what is then the innermost flow."""
        match step:
            case Say() | Ask() | HangUp():
                async with self._off_the_record(frame.is_about_card(step)):
                    return await self._talk(frame, step)
            case Transfer() | HandOverStep() | DialStep() | QueueStep() | VoicemailStep():
                return await self._pass_on(frame, step)
            case ContinueFrom():
                async with self._off_the_record("pin" in step.continue_from):
                    return await self._continue(frame, step)
        self._enter(step.kind, None)
        match step:
            case Choose():
                return self._choose(step)
            case Set():
                values = self.values()
                slots = {name: frame.calculate(value, values) for name, value in step.set.items()}
                self._fill(frame, slots, frame.classes_in(step.set))
                return step.next
            case LookUp():
                return await self._look_up(frame, step)
            case Record():
                await self._record_call(step.record)
                return step.next
            case Run():
                return self._run(frame, step)
            case Return():
                return self._return(frame, step)
        raise _StepFailed(f"no step of kind {step.kind}")

    async def _talk(self, frame: Frame, step: Say | Ask | HangUp) -> "str | _End":
        match step:
            case Say():
                texts = frame.texts(step.say, step.shown)
                spoken = frame.spoken(texts, self.values(), recording=step.recording or frame.at)
                self._enter(step.kind, spoken.masked)
                await self._call.say(spoken.utterances, barge_in=step.barge_in)
                return step.next
            case Ask():
                return await self._ask(frame, step)
            case HangUp():
                return await self._hang_up(frame, step)

    def _universals(self) -> list[Option]:
        return [
            Option(name, choice, depth, universal=True)
            for depth, outer in reversed(list(enumerate(self._frames)))
            for name, choice in outer.flow.header.anywhere.items()
        ]

    async def _ask(self, frame: Frame, step: Ask) -> str:
        answer = await Asking(self, frame, frame.at, step, self._universals(), len(self._frames) - 1).run()
        if answer is None:
            return _known(step.otherwise or frame.flow.header.otherwise)
        if answer.option is None:
            self._fill(frame, {step.into: answer.digits} if step.into else {})
            return _known(step.next)
        return self._follow(frame, step, answer, answer.option)

    def _follow(self, frame: Frame, step: Ask, answer: Answer, option: Option) -> str:
        if option.choice.intent:
            self._intent = option.choice.intent
            self._changed["intent"] = self._intent
        target = _known(option.choice.next or (None if option.universal else step.next))
        if not option.universal:
            if step.into and answer.digits is None and not step.digits:
                self._fill(frame, {step.into: option.name})
            return frame.at if target == AGAIN else target
        if target == AGAIN:
            return frame.at
        del self._frames[option.depth + 1 :]  # an answer of an outer flow leaves the inner ones
        return target

    def _choose(self, step: Choose) -> str:
        values = self.values()
        for branch in step.choose:
            result = branch.when.evaluate(values)
            if not isinstance(result, bool):
                raise _StepFailed(f"{branch.when.source}: is neither true nor false")
            if result:
                return branch.next
        return step.otherwise

    async def _continue(self, frame: Frame, step: ContinueFrom) -> str:
        self._enter(step.kind, None)
        depth = len(self._frames) - 1
        came = await ComingBack(self, self._call, self._journal, frame, step, self._universals(), depth).run()
        if isinstance(came, Left):
            return self._follow(frame, came.ask, came.answer, _known(came.answer.option))
        if isinstance(came, str):
            return str(getattr(step, came) or step.unknown)
        self._continued, self._intent = came, came.intent or self._intent
        slots = taken(came, step.take)
        classes: dict[str, Classes] = {name: {"": slot.personal_data} for name, slot in slots.items()}
        self._fill(frame, {name: slot.value for name, slot in slots.items()}, classes)
        return step.next

    async def _look_up(self, frame: Frame, step: LookUp) -> str:
        match await self._look_ups.ask(wish_of(frame, step, self.values())):
            case Found(values=found, classes=classes):
                self._fill(frame, {step.into: dict(found)}, {step.into: classes})
                return step.found
            case NotFound():
                return step.not_found
            case failed:
                raise _StepFailed(f"look-up: {failed.reason}")

    async def _pass_on(
        self, frame: Frame, step: Transfer | HandOverStep | DialStep | QueueStep | VoicemailStep
    ) -> "str | _End":
        match step:
            case Transfer():
                return await self._transfer(frame, step)
            case HandOverStep():
                return await self._hand_over(frame, step)
        prompt = reaching.prompt_of(frame, step, self.values())
        self._enter(step.kind, prompt.masked if prompt else None)
        target = await reaching.reach(self._call, frame, step, prompt, self.values())
        if target == step.next:
            self._silent_steps = 0  # the caller has talked
        return target

    async def _hand_over(self, frame: Frame, step: HandOverStep) -> str:
        self._enter(step.kind, None)
        ticket = await leaving.hand_over(self._call, frame, step, self.values(), self._intent)
        if ticket is None:
            return step.failed
        if step.into:  # for what is said next, and for no record
            frame.fill({step.into: leaving.told(ticket)}, {step.into: leaving.CLASSES})
        await self._record_call(RecordAction.STOP)  # what is said from now on belongs to the other channel
        return step.next

    async def _transfer(self, frame: Frame, step: Transfer) -> "str | _End":
        target = step.transfer.fill(self.values(), lambda _, value: plain(value))
        self._enter(step.kind, None)
        match await self._call.transfer(target):
            case TransferResult.DONE:
                return _End(step.outcome or frame.at, "transfer")
            case TransferResult.BUSY:
                return step.busy or step.failed
            case TransferResult.NO_ANSWER:
                return step.no_answer or step.failed
            case _:
                return step.failed

    async def _record_call(self, action: RecordAction) -> None:
        if action.may_follow(self._recording):
            self._recording = action
            await self._call.record(action)

    @asynccontextmanager
    async def _off_the_record(self, hidden: bool) -> AsyncIterator[None]:  # noqa: FBT001 - reads as a sentence
        """Where `hidden`, a recording holds nothing of what is said and keyed meanwhile."""
        hidden = hidden and self._recording.running
        if hidden:
            await self._record_call(RecordAction.PAUSE)
        try:
            yield
        finally:
            if hidden:
                await self._record_call(RecordAction.RESUME)

    async def _hang_up(self, frame: Frame, step: HangUp) -> _End:
        texts = frame.texts(step.hang_up, step.shown)
        spoken = frame.spoken(texts, self.values(), recording=step.recording or frame.at)
        self._enter(step.kind, spoken.masked or None)
        if spoken.utterances:
            await self._call.say(spoken.utterances, barge_in=False)
        return _End(step.outcome or frame.at, "flow")

    def _run(self, frame: Frame, step: Run) -> str:
        flow = self._flows.get(step.run)
        if flow is None or len(self._frames) >= MOST_FLOWS:
            raise _StepFailed("the sub-flow is missing or too deep")
        values = self.values()
        given = {name: frame.calculate(value, values) for name, value in step.give.items()}
        found = self._frames[-1].classes_in(step.give)
        self._frames.append(Frame.enter(flow, given, found, on_screen=self._on_screen))
        return flow.header.start

    def _return(self, frame: Frame, step: Return) -> "str | _End":
        if len(self._frames) == 1:
            return _End(step.result, "flow")
        self._frames.pop()
        outer = self._frames[-1]
        run = outer.flow.steps[outer.at]
        if not isinstance(run, Run) or step.result not in run.on:
            raise _StepFailed("the sub-flow returned to nowhere")
        taken = {name: frame.slots.get(inner) for name, inner in run.into.items()}
        self._fill(outer, taken, {name: frame.found.get(inner, {}) for name, inner in run.into.items()})
        return run.on[step.result]

    def _error_exit(self, step: Step) -> str | None:
        self._errors += 1
        if self._errors > MOST_ERRORS:
            return None
        if own := next((name for name in ("error", "failed", "unknown") if name in step.exits), None):
            return str(getattr(step, own))
        while self._frames[-1].flow.header.on_error is None and len(self._frames) > 1:
            self._frames.pop()
        return self._frames[-1].flow.header.on_error

    async def _apologise(self) -> _End:
        frame = self._frames[-1]
        try:
            spoken = frame.spoken(frame.words.sorry, self.values())
            self._enter("sorry", spoken.masked)
            await self._call.say(spoken.utterances, barge_in=False)
        except (TemplateError, VoiceEdgeError) as error:
            log.warning("apology failed", flow=frame.flow.name, reason=type(error).__name__)
        return _End("error", "flow")

    def _fill(self, frame: Frame, slots: Mapping[str, Any], found: Mapping[str, Classes] | None = None) -> None:
        frame.fill(slots, found)
        if frame is self._frames[0]:
            noted = self._changed.setdefault("slots", {})
            kept = {name: SlotValue(value, frame.class_of(name)) for name, value in slots.items() if value is not None}
            noted |= {name: Slot(value=slot.text, personal_data=slot.class_) for name, slot in kept.items()}

    def _enter(self, kind: str, says: str | None) -> None:
        frame = self._frames[-1]
        self._record(StepEntered(call_id=self.call_id, flow=frame.flow.name, step=frame.at, kind=kind, says=says))

    def _record(self, event: StepEntered | TurnHeard) -> None:
        changed, self._changed = self._changed, {}
        self._journal.record(event, changed or None)

    def _outcome(self, outcome: str, by: Literal["flow", "caller", "transfer"]) -> FlowOutcome:
        return FlowOutcome(outcome, by, self._intent, self._frames[0].filled_slots(), tuple(self._journey))


def _known(target: Known | None) -> Known:
    if target is None:
        raise _StepFailed("no way on")  # the loader does not let such a flow pass
    return target
