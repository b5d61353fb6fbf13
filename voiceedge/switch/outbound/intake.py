"""Orders and numbers as they are asked for: read, judged by plan and guard, and made ready to be kept."""

from collections.abc import Mapping
from datetime import datetime

from voiceedge.clock import Clock
from voiceedge.context.cloudevents import new_id
from voiceedge.context.privacy.pii import PersonalDataClass, mask, pseudonym
from voiceedge.errors import NumberError, VoiceEdgeError
from voiceedge.switch import numbers
from voiceedge.switch.guard import Guard, Refusal
from voiceedge.switch.numbers import Kind
from voiceedge.switch.outbound.messages import OrderRequest
from voiceedge.switch.outbound.model import Order
from voiceedge.switch.plan import Plan


class OutboundError(VoiceEdgeError):
    """What was asked cannot be done; the message says why."""


class Intake:
    """`flows` tells the slots of each flow there is; `key` is that of the hashes by which people are known."""

    def __init__(self, plan: Plan, flows: Mapping[str, frozenset[str]], key: bytes, clock: Clock) -> None:
        self._plan, self._flows, self._key, self._clock = plan, flows, key, clock
        self._guard = Guard(plan)

    def slots_of(self, campaign: str, flow: str | None) -> frozenset[str]:
        known = self._plan.campaigns.get(campaign)
        return self._flows.get(flow or known.flow, frozenset()) if known else frozenset()

    def _flow(self, request: OrderRequest) -> str:
        """Raises OutboundError."""
        campaign = self._plan.campaigns.get(request.campaign)
        if campaign is None:
            raise OutboundError(f'the switch plan has no campaign "{request.campaign}"')
        flow = request.flow or campaign.flow
        if flow not in self._flows:
            raise OutboundError(f'there is no flow "{flow}"')
        if unknown := sorted(request.values.keys() - self._flows[flow]):
            raise OutboundError(f'the flow "{flow}" has no slot "{unknown[0]}"')
        return flow

    def read(self, request: OrderRequest, now_ms: int) -> Order | str:
        """The order, or why it is none."""
        try:
            flow = self._flow(request)
        except OutboundError as error:
            return str(error)
        number = self._guard.read(request.number)
        if isinstance(number, Refusal):
            return number.why
        if number.kind is Kind.EMERGENCY:
            return "emergency numbers are never called by order"
        until_ms = to_ms(request.until) if request.until else None
        if until_ms is not None and until_ms <= now_ms:
            return "until is past"
        written = number.e164 or number.digits
        rules = {kind: rule for kind, rule in request.retry if rule is not None}
        return Order(
            id=request.id or new_id(self._clock),
            campaign=request.campaign,
            flow=flow,
            number=written,
            customer=pseudonym(written, self._key),
            conversation=request.conversation or new_id(self._clock),
            added_ms=now_ms,
            due_ms=max(now_ms, to_ms(request.not_before)) if request.not_before else now_ms,
            caller_id=request.caller_id,
            slots=request.values,
            priority=request.priority,
            attempts=request.attempts,
            retry=rules,
            until_ms=until_ms,
        )

    def hashed(self, number: str) -> tuple[str, str]:
        """Its hash, and how it is shown. Numbers that the guard refuses may be on the list too."""
        try:
            read = numbers.read(number, self._plan.numbers)
        except NumberError as error:
            raise OutboundError(f"{mask(number, PersonalDataClass.PERSONAL)}: {error}") from None
        written = read.e164 or read.digits
        return pseudonym(written, self._key), mask(written, PersonalDataClass.PERSONAL)


def to_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
