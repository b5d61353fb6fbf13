"""The record of one conversation, whichever channels it runs over: what events and flows have told about it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from voiceedge.context.events import (
    BridgeStarted,
    CallAnswered,
    CallEnded,
    CallStarted,
    CallTransferred,
    EventData,
    HandedOver,
    QueueJoined,
    StepEntered,
    TurnHeard,
)
from voiceedge.context.pii import PersonalDataClass

Item = TypeVar("Item")

LONGEST_HISTORY = 500  # turns and steps kept: a caller who goes round in circles must not grow the record without end


# JSON may carry half a character, which no encoding can write.
WholeText = Annotated[str, AfterValidator(lambda text: text.encode(errors="replace").decode())]


class Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Slot(Value):
    """Something the conversation has found out, in the clear, and how carefully it must be shown."""

    value: WholeText
    personal_data: PersonalDataClass = PersonalDataClass.NONE


class Changes(Value):
    """What a flow found out with an event; None is no change, and slots are added to those there are."""

    customer: str | None = None
    language: str | None = None
    intent: str | None = None
    outcome: str | None = None
    slots: Mapping[str, Slot] = Field(default_factory=dict)
    number: WholeText | None = None  # of a leg's far end, in the clear, for its call-detail record only


class Interaction(Value):
    """One visit over one channel. `reference` is the channel's own name of it, such as the call id."""

    channel: str
    reference: str
    started_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: str | None = None


class Turn(Value):
    """Something said or keyed, masked as it was in its event."""

    time: datetime
    speaker: Literal["caller", "agent", "voiceedge"]
    step: str
    text: str
    by: Literal["speech", "keys", "text", "none"] | None = None
    decision: str | None = None
    confidence: float | None = None


class JourneyStep(Value):
    time: datetime
    flow: str
    step: str
    kind: str


class HandOverNote(Value):
    """That the conversation was sent to another channel; the token itself is not kept here."""

    time: datetime
    channel: str
    reason: str
    expires_at: str


class Conversation(BaseModel):
    """Grows by `apply` only, so that the same events always make the same record."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # an older release may read what a newer one wrote

    id: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    customer: str | None = None
    language: str | None = None
    intent: str | None = None
    outcome: str | None = None
    queue: str | None = None
    agent: str | None = None
    slots: dict[str, Slot] = Field(default_factory=dict)
    channels: tuple[Interaction, ...] = ()
    hand_overs: tuple[HandOverNote, ...] = ()
    turns: tuple[Turn, ...] = ()
    journey: tuple[JourneyStep, ...] = ()

    @classmethod
    def begin(cls, conversation_id: str, time: datetime) -> Self:
        return cls(id=conversation_id, started_at=time, updated_at=time)

    def apply(self, time: datetime, event: EventData, changes: Changes) -> Self:
        """The record after `event`. What the flow says itself wins over what the event implies."""
        update = self._told_by(time, event)
        update |= {
            key: value for key, value in changes.model_dump(exclude={"slots", "number"}).items() if value is not None
        }
        if changes.slots:
            update["slots"] = {**self.slots, **changes.slots}
        return self.model_copy(update={**update, "updated_at": max(time, self.updated_at)})

    def _told_by(self, time: datetime, event: EventData) -> dict[str, object]:  # noqa: C901, PLR0911 - one an event
        match event:
            case CallStarted(call_id=call_id, customer=customer):
                visit = Interaction(channel="phone", reference=call_id, started_at=time)
                return {"customer": customer or self.customer, "channels": (*self.channels, visit), "ended_at": None}
            case CallAnswered(call_id=call_id):
                return {"channels": self._visit(call_id, answered_at=time)}
            case CallEnded(call_id=call_id, cause=cause, outcome=outcome):
                channels = self._visit(call_id, ended_at=time, cause=cause)
                over = time if all(visit.ended_at for visit in channels) else None
                return {"channels": channels, "ended_at": over, "outcome": outcome or self.outcome}
            case StepEntered(flow=flow, step=step, kind=kind, says=says):
                update: dict[str, object] = {
                    "journey": _grown(self.journey, JourneyStep(time=time, flow=flow, step=step, kind=kind))
                }
                if says:
                    update["turns"] = _grown(self.turns, Turn(time=time, speaker="voiceedge", step=step, text=says))
                return update
            case TurnHeard(
                step=step, by=by, decision=decision, transcript=transcript, value=value, confidence=confidence,
                speaker=speaker,
            ):  # fmt: skip
                turn = Turn(
                    time=time, speaker=speaker, step=step, text=transcript or value or "",
                    by=by, decision=decision, confidence=confidence,
                )  # fmt: skip
                return {"turns": _grown(self.turns, turn)}
            case HandedOver(channel=channel, reason=reason, intent=intent, expires_at=expires_at):
                note = HandOverNote(time=time, channel=channel, reason=reason, expires_at=expires_at)
                return {"hand_overs": _grown(self.hand_overs, note), "intent": intent or self.intent}
            case QueueJoined(queue=queue):
                return {"queue": queue}
            case BridgeStarted(agent=agent, queue=queue):
                return {"agent": agent or self.agent, "queue": queue or self.queue}
            case CallTransferred(result="done"):
                return {"outcome": "transferred"}
            case _:
                return {}

    def _visit(self, reference: str, **update: object) -> tuple[Interaction, ...]:
        return tuple(
            visit.model_copy(update=update) if visit.reference == reference else visit for visit in self.channels
        )


def _grown(history: tuple[Item, ...], item: Item) -> tuple[Item, ...]:
    return (*history, item)[-LONGEST_HISTORY:]
