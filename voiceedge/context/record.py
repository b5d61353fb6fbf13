"""The record of one conversation, whichever channels it runs over: what events and flows have told about it."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Literal, Protocol, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from voiceedge.context.events.call import (
    BridgeStarted,
    CallAnswered,
    CallEnded,
    CallStarted,
    CallTransferred,
    EventData,
    HandedOver,
    QueueJoined,
    RecordingDeleted,
    RecordingStarted,
    StepEntered,
    TurnHeard,
    VoicemailLeft,
)
from voiceedge.context.events.digital import (
    ContextChanged,
    ConversationClosed,
    ConversationContinued,
    ConversationErased,
    CustomerIdentified,
    InteractionEnded,
    InteractionStarted,
    LinkSent,
    MessageSent,
    NoteAdded,
    Trust,
    Way,
)
from voiceedge.context.privacy.pii import PersonalDataClass, mask

Item = TypeVar("Item")

_MASKED = re.compile(r"\*{3}\d{0,4}")

LONGEST_HISTORY = 500  # turns and steps kept: a caller who goes round in circles must not grow the record without end
MAIN = "main"  # the tenant of whatever belongs to no other
_SPEAKERS: Mapping[str, Literal["caller", "agent", "voiceedge"]] = {
    "customer": "caller", "agent": "agent", "voiceedge": "voiceedge",
}  # fmt: skip


# JSON may carry half a character, which no encoding can write.
WholeText = Annotated[str, AfterValidator(lambda text: text.encode(errors="replace").decode())]


class Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Kept(Value):
    """A part of the record: an older release may read what a newer one wrote."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Slot(Value):
    """Something the conversation has found out, in the clear, and how carefully it must be shown."""

    value: WholeText
    personal_data: PersonalDataClass = PersonalDataClass.NONE


class Changes(Value):
    """What was found out with an event; None is no change, and slots are added to those there are.

    `tenant` counts with a conversation's first event only: no conversation ever moves to another one.
    """

    tenant: str | None = None
    customer: str | None = None
    customer_id: str | None = None
    language: str | None = None
    intent: str | None = None
    outcome: str | None = None
    slots: Mapping[str, Slot] = Field(default_factory=dict)
    # In the clear, and in no record: of a leg's far end, for its call-detail record; of a caller for whom the network
    # vouches, with the call's first event.
    number: WholeText | None = None


class Interaction(Kept):
    """One visit over one channel. `reference` is the channel's own name of it, such as the call id."""

    channel: str
    reference: str
    started_at: datetime
    direction: Literal["in", "out"] = "in"
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: str | None = None
    party: str = ""  # the number of whoever it is with, masked; an agent's name


class Turn(Kept):
    """Something said, written or keyed, masked as it was in its event. `visit` is the interaction's reference."""

    time: datetime
    speaker: Literal["caller", "agent", "voiceedge"]
    step: str
    text: str
    by: Literal["speech", "keys", "text", "none"] | None = None
    decision: str | None = None
    confidence: float | None = None
    visit: str = ""
    channel: str = "phone"
    agent: str | None = None


class JourneyStep(Kept):
    time: datetime
    flow: str
    step: str
    kind: str


class HandOverNote(Kept):
    """That the conversation was sent to another channel; the token itself is not kept here."""

    time: datetime
    channel: str
    reason: str
    expires_at: str


class LinkNote(Kept):
    """That a link or code to go on by went out over `via`; `address` is masked."""

    time: datetime
    channel: str
    via: str
    address: str | None
    result: Literal["sent", "failed"]


class Continuation(Kept):
    """That a visit went on with this conversation, and how that was known; `joined` is the id it had begun under."""

    time: datetime
    visit: str
    channel: str
    by: Way
    trust: Trust
    joined: str | None


class Note(Kept):
    """What an agent wrote for colleagues; `to` is for whom, where the customer was sent on."""

    time: datetime
    by: str
    text: str
    to: str | None = None


class SoundFile(Kept):
    """A recording or message at `path`, below `recordings` or `voicemail` (`kind`) in the site's data directory."""

    kind: Literal["recordings", "voicemail"]
    path: str


def without_card(slot: Slot) -> Slot:
    """Card numbers are never kept, wherever they come from."""
    if slot.personal_data is not PersonalDataClass.CARD or _MASKED.fullmatch(slot.value):
        return slot
    return slot.model_copy(update={"value": mask(slot.value, slot.personal_data)})


def _without_cards(slots: Mapping[str, Slot]) -> dict[str, Slot]:
    return {name: without_card(slot) for name, slot in slots.items()}


class Conversation(BaseModel):
    """Grows by `apply` and `joined` only, so that the same events always make the same record."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    tenant: str = MAIN
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    customer: str | None = None
    customer_id: str | None = None
    language: str | None = None
    intent: str | None = None
    outcome: str | None = None
    note: str = ""
    satisfaction: int | None = None
    queue: str | None = None
    agent: str | None = None
    slots: Annotated[dict[str, Slot], AfterValidator(_without_cards)] = Field(default_factory=dict)
    channels: tuple[Interaction, ...] = ()
    hand_overs: tuple[HandOverNote, ...] = ()
    links: tuple[LinkNote, ...] = ()
    continuations: tuple[Continuation, ...] = ()
    notes: tuple[Note, ...] = ()
    turns: tuple[Turn, ...] = ()
    journey: tuple[JourneyStep, ...] = ()
    files: tuple[SoundFile, ...] = ()
    erased: tuple[str, ...] = ()  # classes of which there is nothing, unless something comes yet
    forgotten: bool = False  # all was erased: nothing of the person is kept any more, whatever comes yet

    @classmethod
    def begin(cls, conversation_id: str, time: datetime, tenant: str = MAIN) -> Self:
        return cls(id=conversation_id, tenant=tenant, started_at=time, updated_at=time)

    @property
    def is_open(self) -> bool:
        """Whether a visit goes on."""
        return any(visit.ended_at is None for visit in self.channels)

    @property
    def is_listed(self) -> bool:
        """Whether there is anything to find: not so where only an agent's state, or a file's deletion, was told."""
        return bool(
            not self.forgotten and (self.channels or self.slots or self.turns or self.intent or self.customer_id)
        )

    def apply(self, time: datetime, event: EventData, changes: Changes) -> Self:
        """The record after `event`. What the flow says itself wins over what the event implies."""
        update = self._told_by(time, event)
        told = {"customer", "customer_id", "language", "intent", "outcome"}
        update |= {key: value for key, value in changes.model_dump(include=told).items() if value is not None}
        if changes.slots:
            update["slots"] = {**self.slots, **_without_cards(changes.slots)}
        if self.forgotten:
            update = {key: value for key, value in update.items() if key in {"channels", "ended_at"}}
        if not isinstance(event, ConversationErased | RecordingDeleted):  # these are no sign of life
            update |= {"updated_at": max(time, self.updated_at), "erased": ()}
        return self.model_copy(update=update)

    def holds(self, kind: str) -> bool:
        """Whether there is anything of this class: personal, sensitive or transcript."""
        if kind == "transcript":
            return bool(self.turns or self.note)
        return any(slot.personal_data.value == kind for slot in self.slots.values())

    def joined(self, visit: Self) -> Self:
        """This conversation with all that `visit`, which turned out to continue it, has found out meanwhile."""
        channels = tuple(sorted(self.channels + visit.channels, key=lambda one: one.started_at))
        ends = [end for end in (self.ended_at, visit.ended_at) if end]
        is_open = any(one.ended_at is None for one in channels)
        update: dict[str, object] = {
            "started_at": min(self.started_at, visit.started_at),
            "updated_at": max(self.updated_at, visit.updated_at),
            "ended_at": None if is_open or not ends else max(ends),
            "customer": self.customer or visit.customer,
            "customer_id": self.customer_id or visit.customer_id,
            "satisfaction": self.satisfaction if visit.satisfaction is None else visit.satisfaction,
            "slots": self.slots | {name: slot for name, slot in visit.slots.items() if slot.value},
            "channels": channels,
            "hand_overs": _merged(self.hand_overs, visit.hand_overs),
            "links": _merged(self.links, visit.links),
            "continuations": _merged(self.continuations, visit.continuations),
            "notes": _merged(self.notes, visit.notes),
            "turns": _merged(self.turns, visit.turns),
            "journey": _merged(self.journey, visit.journey),
            "files": self.files + visit.files,
            "erased": (),
        }
        latest = ("language", "intent", "outcome", "note", "queue", "agent")
        update |= {name: getattr(visit, name) or getattr(self, name) for name in latest}
        return self.model_copy(update=update)

    def _told_by(self, time: datetime, event: EventData) -> dict[str, object]:  # noqa: C901, PLR0911, PLR0912 - one an event
        match event:
            case CallStarted(call_id=call_id, customer=customer, direction=direction, caller=caller, called=called):
                party = caller if direction == "in" else called
                return self._visited("phone", call_id, time, direction, customer, party)
            case InteractionStarted(interaction=interaction, channel=channel, customer=customer, direction=direction):
                return self._visited(channel, interaction, time, direction, customer)
            case CallAnswered(call_id=call_id):
                return {"channels": self._visit(call_id, answered_at=time)}
            case CallEnded(call_id=reference) | InteractionEnded(interaction=reference):
                channels = self._visit(reference, ended_at=time, cause=event.cause)
                over = time if all(visit.ended_at for visit in channels) else None
                return {"channels": channels, "ended_at": over, "outcome": event.outcome or self.outcome}
            case StepEntered(call_id=call_id, flow=flow, step=step, kind=kind, says=says):
                entered = {"journey": _grown(self.journey, JourneyStep(time=time, flow=flow, step=step, kind=kind))}
                return entered | (self._said(time, call_id, "voiceedge", step, says) if says else {})
            case TurnHeard(call_id=call_id, step=step, by=by, decision=decision, confidence=confidence):
                text = event.transcript or event.value or ""
                more = {"by": by, "decision": decision, "confidence": confidence}
                return self._said(time, call_id, event.speaker, step, text, **more)
            case MessageSent(interaction=interaction, by=sender, text=text, agent=agent, channel=channel):
                said = self._said(time, interaction, _SPEAKERS[sender], "", text, agent=agent, channel=channel)
                return said | {"agent": agent or self.agent}
            case HandedOver(channel=channel, reason=reason, intent=intent, expires_at=expires_at):
                note = HandOverNote(time=time, channel=channel, reason=reason, expires_at=expires_at)
                return {"hand_overs": _grown(self.hand_overs, note), "intent": intent or self.intent}
            case LinkSent(channel=channel, via=via, address=address, result=result):
                link = LinkNote(time=time, channel=channel, via=via, address=address, result=result)
                return {"links": _grown(self.links, link)}
            case ConversationContinued(interaction=visit, channel=channel, by=way, trust=trust, joined=joined):
                how = Continuation(time=time, visit=visit, channel=channel, by=way, trust=trust, joined=joined)
                return {"continuations": _grown(self.continuations, how)}
            case QueueJoined(queue=queue):
                return {"queue": queue}
            case BridgeStarted(agent=agent, queue=queue):
                return {"agent": agent or self.agent, "queue": queue or self.queue}
            case CallTransferred(result="done"):
                return {"outcome": "transferred"}
            case NoteAdded(by=author, text=text, to=to):
                return {"notes": _grown(self.notes, Note(time=time, by=author, text=text, to=to))}
            case ContextChanged(intent=intent):
                return {"intent": intent or self.intent}
            case ConversationClosed(outcome=outcome, note=note, satisfaction=satisfaction):
                content = self.satisfaction if satisfaction is None else satisfaction
                over = self.ended_at if self.is_open else self.ended_at or time
                told = {"outcome": outcome or self.outcome, "note": note or self.note}
                return told | {"satisfaction": content, "ended_at": over}
            case CustomerIdentified(customer_id=customer_id):
                return {"customer_id": customer_id}
            case RecordingStarted(path=path):
                return {"files": _grown(self.files, SoundFile(kind="recordings", path=path))}
            case VoicemailLeft(path=path):
                return {"files": _grown(self.files, SoundFile(kind="voicemail", path=path))}
            case RecordingDeleted(path=path):
                return {"files": tuple(file for file in self.files if f"{file.kind}/{file.path}" != path)}
            case ConversationErased(classes=classes):
                return self._without(classes)
            case _:
                return {}

    def _visited(  # noqa: PLR0917 - what is known of a visit
        self,
        channel: str,
        reference: str,
        time: datetime,
        direction: Literal["in", "out"],
        customer: str | None,
        party: str = "",
    ) -> dict[str, object]:
        visit = Interaction(channel=channel, reference=reference, started_at=time, direction=direction, party=party)
        return {"customer": customer or self.customer, "channels": (*self.channels, visit), "ended_at": None}

    def _visit(self, reference: str, **update: object) -> tuple[Interaction, ...]:
        return tuple(
            visit.model_copy(update=update) if visit.reference == reference else visit for visit in self.channels
        )

    def _said(
        self,
        time: datetime,
        visit: str,
        speaker: Literal["caller", "agent", "voiceedge"],
        step: str,
        text: str,
        **more: object,
    ) -> dict[str, object]:
        channels = {one.reference: one.channel for one in self.channels}
        facts = {"channel": channels.get(visit, "phone"), **more}
        turn = Turn.model_validate(
            {"time": time, "visit": visit, "speaker": speaker, "step": step, "text": text} | facts
        )
        return {"turns": _grown(self.turns, turn)}

    def _without(self, classes: Iterable[str]) -> dict[str, object]:
        """What is left to be changed when these are erased."""
        if "all" in classes:
            visits = tuple(visit for visit in self.channels if not visit.ended_at)
            bare = Conversation.begin(self.id, self.started_at, self.tenant).model_copy(
                update={"ended_at": self.ended_at, "channels": visits, "forgotten": True}
            )
            return {name: getattr(bare, name) for name in Conversation.model_fields if name != "updated_at"}
        update: dict[str, object] = {"erased": tuple(sorted({*self.erased, *classes}))}
        if "transcript" in classes:
            update |= {"turns": (), "note": "", "notes": ()}
        gone = {PersonalDataClass(one) for one in classes if one in {"personal", "sensitive"}}
        if gone:
            update["slots"] = {name: slot for name, slot in self.slots.items() if slot.personal_data not in gone}
        return update


def _grown(history: tuple[Item, ...], item: Item) -> tuple[Item, ...]:
    return (*history, item)[-LONGEST_HISTORY:]


class _Timed(Protocol):
    @property
    def time(self) -> datetime: ...


Timed = TypeVar("Timed", bound=_Timed)


def _merged(one: tuple[Timed, ...], other: tuple[Timed, ...]) -> tuple[Timed, ...]:
    return tuple(sorted(one + other, key=lambda item: item.time))[-LONGEST_HISTORY:]
