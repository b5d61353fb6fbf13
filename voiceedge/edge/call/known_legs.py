"""Which legs belonged to which conversation, for those that are up and the last that were."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.sip.events import Ended
from voiceedge.sip.leg import Leg

MOST = 100  # conversations

Role = Literal["caller", "agent", "other"]


@dataclass(slots=True)
class KnownLeg:
    """`far_end` is an agent's name or a masked number."""

    call_id: str
    role: Role
    far_end: str
    trunk: str | None
    ended: Ended | None = None


class KnownLegs:
    def __init__(self) -> None:
        self._conversations: OrderedDict[str, dict[str, KnownLeg]] = OrderedDict()

    def note(self, conversation: str, leg: Leg, role: Role, trunk: str | None, agent: str | None) -> None:
        """When a leg begins and when it has ended, or one of both."""
        legs = self._conversations.setdefault(conversation, {})
        if leg.id not in legs:
            number = leg.caller if role == "caller" else leg.called
            legs[leg.id] = KnownLeg(leg.id, role, agent or mask(number, PersonalDataClass.PERSONAL), trunk)
        legs[leg.id].ended = leg.ended
        over = (name for name, its in self._conversations.items() if all(known.ended for known in its.values()))
        if len(self._conversations) > MOST and (oldest := next(over, None)):
            del self._conversations[oldest]

    def conversations(self) -> list[str]:
        return list(self._conversations)

    def of(self, conversation: str) -> list[KnownLeg]:
        """In the order of their beginning."""
        return list(self._conversations[conversation].values())
