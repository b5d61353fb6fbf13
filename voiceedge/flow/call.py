"""The one protocol between a flow and a call: live calls and the simulator implement it, the engine knows no more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from voiceedge.context.events.digital import Trust, Way
from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.context.record import Slot
from voiceedge.speech.heard import Expectation, Heard

PHONE = "phone"

Attestation = Literal["passed", "failed", "none"]


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known when the call begins. `caller` and `called` are user parts of SIP URIs (personal data)."""

    call_id: str
    conversation_id: str
    caller: str
    called: str
    headers: Mapping[str, str] = field(default_factory=dict)  # only those on the allow-list
    given: Mapping[str, str | int | float | bool] = field(default_factory=dict)  # slots with a value from the beginning
    answered_by: str = ""  # of a call that we placed by order: person, machine or silence
    channel: str = PHONE  # any other: what is said is read, and answers are typed
    trunk: str = ""  # of the switch plan, by which it came
    attestation: Attestation = "none"  # of the caller's number, by the network
    trusted: bool = False  # it comes by a line whose word on numbers is taken


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something to say: the text with its values filled in, and the recording of it (an absolute path) if any."""

    text: str
    language: str
    recording: str | None = None
    personal: bool = False  # it holds personal data: its audio is not kept


@dataclass(frozen=True, slots=True)
class KeyRule:
    """Which keys answer a question: single ones that do so at once, or `shortest`..`longest` digits ended by `end`."""

    single: frozenset[str] = frozenset()
    shortest: int = 0
    longest: int = 0  # 0: no digits are collected
    end: str = "#"


@dataclass(frozen=True, slots=True)
class Button:
    """An answer to choose by hand: its option's name and the words on it; `quiet` ones stand at every question."""

    name: str
    label: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """Keys and speech are awaited together from the prompt's first word on (from its end where `barge_in` is off)."""

    name: str
    prompt: tuple[Utterance, ...]
    keys: KeyRule
    expectation: Expectation
    barge_in: bool = True
    no_input_s: float = 5.0  # silence after the prompt's end
    between_keys_s: float = 3.0
    longest_speech_s: float = 12.0
    buttons: tuple[Button, ...] = ()
    class_: PersonalDataClass = PersonalDataClass.NONE  # of a number asked for


@dataclass(frozen=True, slots=True)
class Keyed:
    """Keys without the end key. They may not fit the rule: whether they are an answer is the engine's decision."""

    keys: str
    typed: bool = False  # written, not pressed


@dataclass(frozen=True, slots=True)
class NoInput:
    pass


Reply = Heard | Keyed | NoInput


class TransferResult(StrEnum):
    DONE = "done"  # the other side took the call; our leg is over
    REFUSED = "refused"  # target not on the allow-list
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Dial:
    """Who is rung: agents by their names in the switch plan, numbers, SIP URIs; all at once, and the first has it."""

    targets: tuple[str, ...]
    language: str  # of what is said to either side
    ring_s: float | None = None  # unset: the agent's own
    whisper: tuple[Utterance, ...] = ()  # for whoever answers, before the two hear each other
    accept: bool = False  # … and they take the call by a key
    caller_id: str | None = None  # the number shown to them
    recorded: bool = False  # while they talk, where the call is not being recorded anyway


class DialResult(StrEnum):
    """`TALKED`: the other side has hung up, and the caller is still there."""

    TALKED = "talked"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REFUSED = "refused"  # by them, or by the site's rules
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Enqueue:
    """A wish to wait for an agent; what stands here goes before what the switch plan says of the queue."""

    queue: str
    language: str
    priority: int | None = None  # 1 first .. 9 last
    skills: Mapping[str, int] = field(default_factory=dict)
    whisper: tuple[Utterance, ...] = ()
    may_leave: bool = False  # by a key, which is announced
    may_be_called_back: bool = False  # the same


class QueueResult(StrEnum):
    """`TALKED`: the agent has hung up, and the caller is still there."""

    TALKED = "talked"
    FULL = "full"
    CLOSED = "closed"
    TIMEOUT = "timeout"
    LEFT = "left"
    CALL_BACK = "call_back"  # the caller keeps the place, and may hang up
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Voicemail:
    mailbox: str
    language: str
    prompt: tuple[Utterance, ...]
    longest_s: float | None = None  # unset: the mailbox's own


class VoicemailResult(StrEnum):
    KEPT = "kept"
    EMPTY = "empty"  # nothing was said
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class HandOver:
    """A wish to let the conversation go on elsewhere. `slots` are the names of the slots to take along."""

    channel: str  # such as "web-chat"
    reason: str
    intent: str | None
    slots: Mapping[str, str]
    expires_s: float = 900.0
    classes: Mapping[str, PersonalDataClass] = field(default_factory=dict)  # of each slot, for whoever publishes it
    send: str | None = None  # the channel over which the link goes
    to: str | None = None  # the address there; unset: the caller's own, where that is sure
    with_pin: bool = False
    language: str = "ko"


@dataclass(frozen=True, slots=True)
class HandOverTicket:
    """`sent`: the link is on its way, and will be tried again until it expires."""

    token: str
    channel: str
    link: str = ""
    pin: str = ""
    minutes: int = 0
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Continued:
    """The conversation that goes on here: in which channel the customer was last, and what was found out."""

    conversation: str
    by: Way
    trust: Trust
    channel: str = ""
    intent: str | None = None
    language: str | None = None
    slots: Mapping[str, Slot] = field(default_factory=dict)


class NotContinued(StrEnum):
    ABSENT = "absent"  # nothing to try: no token, nobody with this number was in a chat, or the store is away
    UNCONFIRMED = "unconfirmed"  # there is one, if the customer says so: ask without telling anything, then once more
    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    LOCKED = "locked"  # too many wrong PINs


class RecordAction(StrEnum):
    """What a flow can want of the recording of its call."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"

    @property
    def running(self) -> bool:
        """Whether the call is being recorded after this."""
        return self in {RecordAction.START, RecordAction.RESUME}

    def may_follow(self, last: "RecordAction") -> bool:
        """Whether it changes anything after `last`; STOP is also how every call begins."""
        match self:
            case RecordAction.START:
                return last is RecordAction.STOP
            case RecordAction.PAUSE:
                return last.running
            case RecordAction.RESUME:
                return last is RecordAction.PAUSE
            case RecordAction.STOP:
                return last is not RecordAction.STOP


class CallEnded(Exception):  # noqa: N818 - an ordinary end, not an error
    """The caller has hung up, or the network has: raised by whatever the flow was waiting for."""


class Call(Protocol):
    @property
    def facts(self) -> CallFacts: ...

    async def say(self, utterances: Sequence[Utterance], *, barge_in: bool = True) -> None:
        """Play to the end. With `barge_in` a key stops it and is kept for the next question."""

    async def ask(self, question: Question) -> Reply:
        """Play the prompt and return the caller's first complete answer."""

    async def hand_over(self, request: HandOver) -> HandOverTicket | None:
        """Issue and publish a ticket; None when that is impossible now (the flow has an exit for it)."""

    async def resume(self, way: Way, pin: str = "", *, confirmed: bool = False) -> Continued | NotContinued:
        """Go on with an earlier conversation, of which this one then is a part. `pin` goes with that way alone."""

    async def transfer(self, target: str) -> TransferResult:
        """Send the caller on (SIP REFER, RFC 3515)."""

    async def dial(self, wish: Dial) -> DialResult:
        """Call somebody and let the two talk. The caller hears music or ringing until then."""

    async def queue(self, wish: Enqueue) -> QueueResult:
        """Wait for an agent, with music and announcements, and let the two talk."""

    async def voicemail(self, wish: Voicemail) -> VoicemailResult:
        """Take a message, to its end by a key, by silence or by its greatest length."""

    async def record(self, action: RecordAction) -> None:
        """Only what `may_follow` the action before. A recording that fails is no concern of the flow's."""

    async def hang_up(self) -> None:
        """End the call after what is being said."""
