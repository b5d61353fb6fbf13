"""Events in their envelopes: stamped by whoever saw them, published as CloudEvents 1.0 in structured JSON."""

import secrets
import uuid
from typing import Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
)

from voiceedge.clock import Clock
from voiceedge.context.events.call import EventData
from voiceedge.context.events.catalogue import EVENTS
from voiceedge.context.record import Changes

CONTENT_TYPE = "application/cloudevents+json"
CONVERSATION_ID = r"^[A-Za-z0-9_-]{1,64}$"  # it is a level of an MQTT topic
BY_TYPE = {event.type: event for event in EVENTS}


class StampedEvent(BaseModel):
    """An event on its way to the store: over a link by `model_dump(mode="json")` and `model_validate`.

    `holder` names the process that has the call up which begins with this event: see `calls_up`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=64)
    time: AwareDatetime
    conversation: str = Field(pattern=CONVERSATION_ID)
    type: str
    data: SerializeAsAny[EventData]
    changes: Changes = Changes()
    holder: str = ""

    @field_validator("data", mode="before")
    @classmethod
    def _of_its_type(cls, data: object, info: ValidationInfo) -> object:
        model = BY_TYPE.get(info.data.get("type", ""))
        if model is None:
            raise ValueError(f"no such event; known: {', '.join(BY_TYPE)}")
        return model.model_validate(data, context=info.context)


class CloudEvent(BaseModel):
    """The published form, with the sequence extension (cloudevents/spec, extensions/sequence.md)."""

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_serialization_defaults_required=True)

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1, description="With `source` the key by which a subscriber knows a repeated event.")
    source: str = Field(pattern=r"^/voiceedge/[a-z0-9-]+$", description="Who published it: /voiceedge/{site}.")
    type: str
    subject: str = Field(pattern=CONVERSATION_ID, description="The conversation's id.")
    time: AwareDatetime = Field(description="When it happened, not when it was published.")
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    sequence: str = Field(
        pattern=r"^[1-9][0-9]*$", description="Counts this conversation's events from 1, without gaps."
    )
    sequencetype: Literal["Integer"] = "Integer"
    data: dict[str, Any]


def schema_id(event_type: str) -> str:
    return f"urn:voiceedge:v1:{event_type}"


def publish_form(event: StampedEvent, site: str, sequence: int) -> CloudEvent:
    return CloudEvent(
        id=event.id,
        source=f"/voiceedge/{site}",
        type=event.type,
        subject=event.conversation,
        time=event.time,
        dataschema=schema_id(event.type),
        sequence=str(sequence),
        data=event.data.model_dump(mode="json"),
    )


def events_topic(site: str, conversation: str) -> str:
    return f"voiceedge/{site}/v1/events/{conversation}"


def status_topic(site: str, node: str) -> str:
    """`node` is empty where the site has only one."""
    return f"voiceedge/{site}/v1/status/{node}".rstrip("/")


def new_id(clock: Clock) -> str:
    """A UUID version 7 (RFC 9562): unique anywhere, and sorted by time where somebody lists them."""
    milliseconds = int(clock.now().timestamp() * 1000)
    number = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))
