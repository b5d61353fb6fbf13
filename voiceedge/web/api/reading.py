"""Conversations as the API shows them; each reading is noted in the access log before anything is shown."""

from http import HTTPStatus

from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.context.record import Conversation, Slot
from voiceedge.web.api import models
from voiceedge.web.api.door import Caller
from voiceedge.web.keys import Scope
from voiceedge.web.problems import Problem
from voiceedge.web.services import Services


async def seen(at: Services, caller: Caller, conversation_id: str, action: str) -> Conversation:
    """The conversation, noted as seen for `action`. Raises Problem where this key's tenant has none of this id."""
    found = known(await at.context.archive.read(caller.tenant, conversation_id))
    await at.context.access.note(caller.actor, action, conversation=found.id)
    return found


def known(found: Conversation | None) -> Conversation:
    """Raises Problem where there is none."""
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "no_such_conversation", "there is no such conversation")
    return found


def shown(found: Conversation, caller: Caller) -> models.ConversationView:
    return view(found, clear=caller.may(Scope.SLOTS_CLEAR))


def view(found: Conversation, *, clear: bool) -> models.ConversationView:
    told = {name: getattr(found, name) for name in models.ConversationView.model_fields if name != "slots"}
    slots = {name: slot_view(slot, clear=clear) for name, slot in found.slots.items()}
    return models.ConversationView(**told, slots=slots)


def slot_view(slot: Slot, *, clear: bool) -> models.SlotView:
    value = (
        slot.value if clear or slot.personal_data is PersonalDataClass.NONE else mask(slot.value, slot.personal_data)
    )
    return models.SlotView(value=value, personal_data=slot.personal_data)
