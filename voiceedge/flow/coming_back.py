"""The step `continue_from`: one way after the other by which the caller may go on with an earlier conversation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from voiceedge.context.events.call import Journal
from voiceedge.context.events.digital import ContinueRefused, Way
from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.context.record import Slot
from voiceedge.flow.asking import Answer, Asking, Floor, Option
from voiceedge.flow.call import Call, Continued, NotContinued
from voiceedge.flow.frame import Frame
from voiceedge.flow.steps import Ask, Choice, ContinueFrom, Digits
from voiceedge.flow.template import Template
from voiceedge.flow.words import NO_KEY, YES_KEY

PIN_LENGTH = 6
NO_PIN, NO_PIN_KEY = "no_pin", "*"
QUESTIONS = 2  # until silence, or what nobody understands, means no
TELLING = ("expired", "used", "declined")  # the exits in whose place "unknown" would say less


@dataclass(frozen=True, slots=True)
class Left:
    """The caller gave an answer that works anywhere, and goes where that leads."""

    ask: Ask
    answer: Answer


@dataclass(slots=True)
class ComingBack:
    floor: Floor
    call: Call
    journal: Journal
    frame: Frame
    step: ContinueFrom
    universals: Sequence[Option]
    depth: int
    _reasons: set[str] = field(default_factory=set, init=False)

    async def run(self) -> Continued | Left | str:
        """The conversation, or the name of the exit. Raises TemplateError and CallEnded."""
        for way in self.step.continue_from:
            found = await (self._by_pin() if way == "pin" else self._by(way))
            if found is not None:
                return found
        return next((reason for reason in TELLING if reason in self._reasons), "unknown")

    async def _by(self, way: Way) -> Continued | Left | None:
        found = await self.call.resume(way)
        if found is NotContinued.UNCONFIRMED:
            agreed = await self._agreed()
            if isinstance(agreed, Left):
                return agreed
            if not agreed:
                self._decline(way)
                return None
            found = await self.call.resume(way, confirmed=True)
        return self._noted(found)

    async def _agreed(self) -> Left | bool:
        words = self.frame.words
        ask = Ask.model_construct(
            ask=self.step.confirm or words.ask_continue,
            choices={"yes": Choice(say=words.yes, key=YES_KEY), "no": Choice(say=words.no, key=NO_KEY)},
            attempts=QUESTIONS,
        )
        answer = await self._asking("confirm", ask).run()
        if answer and answer.option and answer.option.universal:
            return Left(ask, answer)
        return bool(answer and answer.option and answer.option.name == "yes")

    async def _by_pin(self) -> Continued | Left | None:
        words, wrong = self.frame.words, False
        for _ in range(self.step.attempts or self.frame.flow.header.attempts):
            question: tuple[Template, ...] = tuple(self.step.ask_pin or words.ask_pin)
            ask = Ask.model_construct(
                ask=(*words.wrong_pin, *question) if wrong else question,
                digits=Digits.model_validate({"length": PIN_LENGTH}),
                choices={NO_PIN: Choice(say=words.no_pin, key=NO_PIN_KEY)},
                attempts=QUESTIONS,
            )
            answer = await self._asking("pin", ask, secret=True).run()
            if answer and answer.option and answer.option.universal:
                return Left(ask, answer)
            if answer is None or answer.digits is None:
                self._decline("pin")
                return None
            found = await self.call.resume("pin", answer.digits)
            if found is not NotContinued.UNKNOWN:
                return self._noted(found)
            wrong = True
        return None

    def _asking(self, name: str, ask: Ask, *, secret: bool = False) -> Asking:
        step = f"{self.frame.at}.{name}"
        return Asking(self.floor, self.frame, step, ask, self.universals, self.depth, secret=secret)

    def _noted(self, found: Continued | NotContinued) -> Continued | None:
        if isinstance(found, Continued):
            return found
        self._reasons.add(found.value)
        return None

    def _decline(self, way: Way) -> None:
        self._reasons.add("declined")
        facts = self.call.facts
        told = ContinueRefused(interaction=facts.call_id, channel=facts.channel, by=way, reason="declined")
        self.journal.record(told)


def taken(came: Continued, names: Sequence[str]) -> Mapping[str, Slot]:
    """What the flow may know of it: where it is only likely that this is the customer, nothing sensitive."""
    hidden = {PersonalDataClass.CARD}
    if came.trust != "proved":
        hidden |= {PersonalDataClass.SENSITIVE}
    return {
        name: came.slots[name] for name in names if name in came.slots and came.slots[name].personal_data not in hidden
    }
