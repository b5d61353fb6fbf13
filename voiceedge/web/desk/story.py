"""A conversation as a desk shows it: nothing in it is personal in the clear until somebody asks for it."""

from collections.abc import Mapping
from typing import Any

from voiceedge.context.people.customers import Customer
from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.context.record import Conversation, Slot
from voiceedge.web.desk.naming import Titles

KINDS = {"phone": PersonalDataClass.PERSONAL, "email": PersonalDataClass.SENSITIVE}
NAMES = ("name", "title", "이름", "성명")  # attributes by which a customer is called


def whole(record: Conversation, customer: Customer | None, titles: Titles) -> dict[str, Any]:
    return {
        **short(record, titles),
        "who": who(record, customer),
        "note": record.note,
        "visits": [visit.model_dump(mode="json", exclude={"reference"}) for visit in record.channels],
        "turns": [_shown(turn.model_dump(mode="json", exclude={"decision"})) for turn in record.turns],
        "slots": [slot(name, one) | {"title": titles.slots.get(name, name)} for name, one in record.slots.items()],
        "journey": [step.model_dump(mode="json") for step in record.journey],
        "hand_overs": [
            note.model_dump(mode="json", include={"time", "channel", "reason"}) for note in record.hand_overs
        ],
        "links": [link.model_dump(mode="json") for link in record.links],
        "continuations": [
            one.model_dump(mode="json", include={"time", "channel", "by", "trust"}) for one in record.continuations
        ],
        "notes": [note.model_dump(mode="json") for note in record.notes],
        "customer": _person(customer) if customer else None,
    }


def short(record: Conversation, titles: Titles) -> dict[str, Any]:
    """As in a list."""
    return {
        "id": record.id,
        "started_at": record.started_at.isoformat(),
        "ended_at": record.ended_at.isoformat() if record.ended_at else None,
        "open": record.is_open,
        "channels": list(dict.fromkeys(visit.channel for visit in record.channels)),
        "language": record.language,
        "intent": titles.intents.get(record.intent or "", record.intent),
        "outcome": record.outcome,
        "satisfaction": record.satisfaction,
        "queue": record.queue,
        "agent": record.agent,
        "last": _last_words(record),
    }


def who(record: Conversation, customer: Customer | None) -> str:
    """The customer's name, masked number or address; empty where nothing is known."""
    for name in NAMES:
        if customer and (named := customer.attributes.get(name)):
            return named.value
    party = next((visit.party for visit in reversed(record.channels) if visit.party), "")
    if party or customer is None:
        return party
    return next((mask(one.value, KINDS.get(one.kind, PersonalDataClass.PERSONAL)) for one in customer.identities), "")


def slot(name: str, one: Slot) -> dict[str, Any]:
    """`hidden` where there is more to see, for whoever asks for it."""
    shown = mask(one.value, one.personal_data)
    may = one.personal_data in {PersonalDataClass.PERSONAL, PersonalDataClass.SENSITIVE}
    return {"name": name, "class": one.personal_data.value, "value": shown, "hidden": may and shown != one.value}


def clear(name: str, record: Conversation, customer: Customer | None) -> str | None:
    """What `reveal` asks for: slot:NAME, attribute:NAME or identity:N. Card numbers stay masked, as they are kept."""
    kind, _, which = name.partition(":")
    values: Mapping[str, str] = {}
    if kind == "slot":
        values = {key: one.value for key, one in record.slots.items()}
    elif kind == "attribute" and customer:
        values = {key: one.value for key, one in customer.attributes.items()}
    elif kind == "identity" and customer:
        values = {str(number): one.value for number, one in enumerate(customer.identities)}
    return values.get(which)


def _person(customer: Customer) -> dict[str, Any]:
    known = enumerate(customer.identities)
    return {
        "since": customer.created_at.isoformat(),
        "attributes": [slot(name, one) for name, one in customer.attributes.items()],
        "identities": [
            {
                "number": number,
                "kind": one.kind,
                "value": mask(one.value, KINDS.get(one.kind, PersonalDataClass.PERSONAL)),
                "verified": one.verified,
                "hidden": True,
            }
            for number, one in known
        ],
    }


def _shown(turn: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a turn is masked already."""
    return {key: value for key, value in turn.items() if value is not None}


def _last_words(record: Conversation) -> str:
    return next((turn.text for turn in reversed(record.turns) if turn.speaker == "caller" and turn.text), "")[:200]
