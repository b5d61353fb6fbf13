"""A question until it is answered or given up: keys and speech, tapering prompts, confirmation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from voiceedge.context.events.call import TurnHeard
from voiceedge.context.privacy.pii import PersonalDataClass, mask, mask_text
from voiceedge.flow.call import Button, Keyed, KeyRule, NoInput, Question, Reply
from voiceedge.flow.frame import Frame, Spoken
from voiceedge.flow.steps import AGAIN, Ask, Choice
from voiceedge.flow.template import Template
from voiceedge.flow.words import NO_KEY, YES_KEY
from voiceedge.speech.heard import Decision, DigitString, Expectation, Heard, Phrase

CONFIRM_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Option:
    """A choice, and which of the running flows it belongs to (0 is the outermost)."""

    name: str
    choice: Choice
    depth: int
    universal: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    option: Option | None = None
    digits: str | None = None
    sure: bool = True
    spoken: bool = False


class Floor(Protocol):
    """What asking needs of the engine."""

    def values(self) -> dict[str, Any]: ...

    async def put(self, question: Question, spoken: Spoken, kind: str) -> Reply: ...

    def note(self, turn: TurnHeard) -> None: ...

    @property
    def call_id(self) -> str: ...


@dataclass(slots=True)
class Asking:
    floor: Floor
    frame: Frame
    step: str
    ask: Ask
    universals: Sequence[Option]  # the innermost flow's first
    depth: int
    secret: bool = False  # whatever slot it is for, nothing of what is answered may be written down
    _silences: int = field(default=0, init=False)
    _misses: int = field(default=0, init=False)
    _unsure_word: str | None = field(default=None, init=False)

    async def run(self) -> Answer | None:
        """The answer, or None after the last attempt. Raises TemplateError and CallEnded."""
        options = self._options()
        prompt, kind = self._spoken(self._words, self.ask.recording or self.step), "ask"
        for _ in range(self.ask.attempts or self.frame.flow.header.attempts):
            question = self._question(self.step, prompt, options, digits=True, barge_in=self.ask.barge_in)
            reply = await self.floor.put(question, prompt, kind)
            answer = self._understand(reply, options)
            self._note(reply, answer, self._class)
            kind = "retry"
            if answer is None:
                prompt = self._after_silence() if isinstance(reply, NoInput) else self._after_miss()
                continue
            if not self._needs_confirmation(answer):
                return answer
            if (word := self._yes_or_no(answer)) and not answer.sure:
                if word == self._unsure_word:
                    return answer
                self._unsure_word = word
                prompt = self._after_miss()
                continue
            confirmed = await self._confirm(answer)
            if isinstance(confirmed, Answer):
                return confirmed
            prompt = self._after_miss() if confirmed is None else self._with_question(self.frame.words.not_right)
        return None

    @property
    def _class(self) -> PersonalDataClass:
        return PersonalDataClass.SENSITIVE if self.secret else self.frame.class_of(self.ask.into)

    @property
    def _words(self) -> Sequence[Template]:
        return self.frame.texts(self.ask.ask, self.ask.shown)

    def _options(self) -> list[Option]:
        own = [Option(name, choice, self.depth) for name, choice in self.ask.choices.items()]
        return _without_clashes([*own, *(self.universals if self.ask.anywhere else ())])

    def _question(
        self, name: str, prompt: Spoken, options: Sequence[Option], *, digits: bool, barge_in: bool = True
    ) -> Question:
        rule = self.ask.digits if digits else None
        keys = {option.choice.key for option in options if option.choice.key}
        if rule:
            keys = {key for key in keys if not key.isdigit() and key != rule.end}
        shortest, longest = rule.length if rule else (0, 0)
        header = self.frame.flow.header
        return Question(
            name=name,
            prompt=prompt.utterances,
            keys=KeyRule(frozenset(keys), shortest, longest, rule.end if rule else "#"),
            expectation=Expectation(
                header.language,
                tuple(Phrase(text, option.name) for option in options for text in option.choice.say),
                DigitString(shortest, longest) if rule else None,
            ),
            barge_in=barge_in,
            no_input_s=self.ask.wait_s or header.wait_s,
            buttons=buttons_of(options),
            class_=self._class if digits else PersonalDataClass.NONE,
        )

    def _understand(self, reply: Reply, options: Sequence[Option]) -> Answer | None:
        length = self.ask.digits.length if self.ask.digits else None
        match reply:
            case Keyed(keys=keys):
                return _by_keys(keys, options, length)
            case Heard(decision=decision, value=value) if decision is not Decision.REJECT and value is not None:
                sure = decision is Decision.ACCEPT
                for option in options:
                    if option.name == value:
                        return Answer(option=option, sure=sure, spoken=True)
                if length and _fits(value, length):
                    return Answer(digits=value, sure=sure, spoken=True)
        return None

    def _needs_confirmation(self, answer: Answer) -> bool:
        if self.ask.confirm == "never":
            return False
        if answer.option and answer.option.universal:
            return not answer.sure
        return self.ask.confirm == "always" or not answer.sure or (answer.digits is not None and answer.spoken)

    def _yes_or_no(self, answer: Answer) -> str | None:
        """The option's name where it stands for yes or no: "네, 맞으십니까?" is no question, so it is asked again."""
        words = {_plain(word) for word in (*self.frame.words.yes, *self.frame.words.no)}
        option = answer.option
        return option.name if option and words & {_plain(text) for text in option.choice.say} else None

    async def _confirm(self, answer: Answer) -> Answer | bool | None:
        """The answer when confirmed (or what the caller wanted instead), False when denied, None when still unclear."""
        words = self.frame.words
        options = _without_clashes(
            [
                Option("yes", Choice(say=words.yes, key=YES_KEY), self.depth),
                Option("no", Choice(say=words.no, key=NO_KEY), self.depth),
                *(self.universals if self.ask.anywhere else ()),
            ]
        )
        texts = self.ask.confirm_with or (words.confirm if answer.option else words.confirm_digits)
        prompt = self._spoken(texts, None, heard=_name_of(answer))
        unsure_yes = False
        for _ in range(CONFIRM_ATTEMPTS):
            question = self._question(f"{self.step}.confirm", prompt, options, digits=False)
            reply = await self.floor.put(question, prompt, "confirm")
            said = _by_keys(reply.keys, options, None) if isinstance(reply, Keyed) else self._understand(reply, options)
            said = said if said and said.option else None
            self._note(reply, said, self._class)  # callers correct the number itself here
            if said is None or said.option is None:
                continue
            if said.option.universal:
                if said.sure:
                    return said
            elif said.option.name == "no":
                return False
            elif said.sure or unsure_yes:
                return replace(answer, sure=True)
            else:
                unsure_yes = True
        return None

    def _after_silence(self) -> Spoken:
        self._silences += 1
        return self._tapering(self.ask.no_input, self.frame.words.no_input, "no_input", self._silences)

    def _after_miss(self) -> Spoken:
        self._misses += 1
        return self._tapering(self.ask.no_match, self.frame.words.no_match, "no_match", self._misses)

    def _tapering(self, own: Sequence[Template] | None, common: Sequence[Template], key: str, count: int) -> Spoken:
        """A step's own words stand for the question; those of the flow or language are followed by it."""
        if own and self._words is self.ask.ask:  # else they speak of saying and pressing
            place = min(count, len(own))
            return self._spoken([own[place - 1]], f"{self.step}.{key}.{place}")
        return self._with_question([common[min(count, len(common)) - 1]])

    def _with_question(self, before: Sequence[Template]) -> Spoken:
        first, second = self._spoken(before, None), self._spoken(self._words, self.ask.recording or self.step)
        return Spoken((*first.utterances, *second.utterances), f"{first.masked} {second.masked}")

    def _spoken(self, texts: Sequence[Template], recording: str | None, heard: str | None = None) -> Spoken:
        values: Mapping[str, Any] = self.floor.values()
        if heard is not None:
            values = {**values, "heard": heard}
        return self.frame.spoken(texts, values, recording=recording, heard_class=self._class)

    def _note(self, reply: Reply, answer: Answer | None, class_: PersonalDataClass) -> None:
        value = None
        if answer:
            value = answer.option.name if answer.option else mask(answer.digits or "", class_)
        match reply:
            case Keyed(keys=keys):
                decision = "accept" if answer else "reject"
                by = "text" if reply.typed else "keys"
                meant = _label(answer.option.choice) if answer and answer.option else None
                self._record(by=by, decision=decision, value=value or _masked(keys, class_), transcript=meant)
            case Heard():
                self._record(
                    by="text" if reply.typed else "speech",
                    decision=str(reply.decision) if answer else "reject",
                    value=value,
                    transcript=_masked(reply.transcript, class_),
                    confidence=reply.confidence,
                    speech_ms=None if reply.typed else reply.speech_ms,
                )
            case NoInput():
                self._record(by="none", decision="no_input")

    def _record(self, **heard: Any) -> None:
        self.floor.note(TurnHeard(call_id=self.floor.call_id, flow=self.frame.flow.name, step=self.step, **heard))


def _masked(text: str, class_: PersonalDataClass) -> str:
    return mask_text(text) if class_ is PersonalDataClass.NONE else mask(text, class_)


def _without_clashes(options: Sequence[Option]) -> list[Option]:
    """Where two options share a name, key or phrase, the earlier has it."""
    names: set[str] = set()
    keys: set[str] = set()
    phrases: set[str] = set()
    out: list[Option] = []
    for option in options:
        if option.name in names:
            continue
        choice = option.choice
        key = None if choice.key in keys else choice.key
        say = tuple(text for text in choice.say if _plain(text) not in phrases)
        names.add(option.name)
        keys |= {key} if key else set()
        phrases |= {_plain(text) for text in say}
        out.append(replace(option, choice=choice.model_copy(update={"key": key, "say": say})))
    return out


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()


def _by_keys(keys: str, options: Sequence[Option], length: tuple[int, int] | None) -> Answer | None:
    if length and _fits(keys, length):
        return Answer(digits=keys)
    for option in options:
        if option.choice.key is not None and option.choice.key == keys:
            return Answer(option=option)
    return None


def _fits(digits: str, length: tuple[int, int]) -> bool:
    return digits.isascii() and digits.isdigit() and length[0] <= len(digits) <= length[1]


def _name_of(answer: Answer) -> str:
    return _label(answer.option.choice) if answer.option else answer.digits or ""


def _label(choice: Choice) -> str:
    return choice.name or (choice.say[0] if choice.say else f"{choice.key}")


def buttons_of(options: Sequence[Option]) -> tuple[Button, ...]:
    """One an option; who can read again what was said needs none for it."""
    return tuple(
        Button(option.name, _label(option.choice), quiet=option.universal)
        for option in options
        if not (option.universal and option.choice.next == AGAIN)
    )
