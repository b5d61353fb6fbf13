"""The guard against toll fraud: which numbers may be dialled at all, and where a call may be sent (docs/switch.md)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from phonenumbers import UNKNOWN_REGION, region_code_for_country_code

from voiceedge.errors import NumberError
from voiceedge.switch import numbers
from voiceedge.switch.numbers import GLOBAL, Kind, Number
from voiceedge.switch.patterns import fits, forms_of, is_literal, plain
from voiceedge.switch.plan import Plan

_ORDINARY = frozenset({Kind.FIXED, Kind.MOBILE, Kind.INTERNET, Kind.TOLL_FREE, Kind.PERSONAL, Kind.SERVICE})
_ORDINARY_ABROAD = frozenset({Kind.FIXED, Kind.MOBILE, Kind.INTERNET, Kind.TOLL_FREE})
_MUST_BE_LISTED = {
    Kind.EMERGENCY: "guard.allowed does not name this emergency number",
    Kind.SHORT: "guard.allowed does not name this short code",
    Kind.UNKNOWN: "it lies in no range that is in use, and guard.allowed does not name it",
}
_MAIN = {"CA": "US"}  # the one country whose numbers cost what those of its code's main country do


class Reason(StrEnum):
    NOT_A_NUMBER = "not_a_number"
    DENIED = "denied"
    EMERGENCY = "emergency"
    SHORT = "short"
    UNKNOWN = "unknown"
    PREMIUM = "premium"
    INTERNATIONAL = "international"
    LOOP = "loop"
    NO_TRUNK = "no_trunk"
    TARGET = "target"
    CAPPED = "capped"


_CODES = {Reason.NOT_A_NUMBER: 484, Reason.LOOP: 482, Reason.NO_TRUNK: 503, Reason.CAPPED: 503}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not made. `why` names the setting that decides, and no number: it may be logged."""

    reason: Reason
    why: str

    @property
    def sip_code(self) -> int:
        """What whoever dialled is answered (RFC 3261 section 21)."""
        return _CODES.get(self.reason, 403)


class Guard:
    def __init__(self, plan: Plan) -> None:
        self._rules, self._home = plan.guard, plan.numbers
        own = [number for trunk in plan.trunks.values() for number in (*trunk.own_numbers, trunk.caller_id or "")]
        own += [route.called for route in plan.routes if is_literal(route.called)]
        self._ours = {form for number in own if number for form in forms_of(number, plan.numbers)}

    def is_ours(self, number: str) -> bool:
        """Whether it is one of the numbers that lead here: a trunk's, or one that a route names in full."""
        return not self._ours.isdisjoint(forms_of(number, self._home))

    def read(self, dialled: str) -> Number | Refusal:
        """The number, if it may be dialled."""
        try:
            number = numbers.read(dialled, self._home)
        except NumberError as error:
            return Refusal(Reason.NOT_A_NUMBER, str(error))
        return self.refuses(number) or number

    def refuses(self, number: Number) -> Refusal | None:
        if any(fits(pattern, number.forms) for pattern in self._rules.denied):
            return Refusal(Reason.DENIED, "guard.denied names it")
        if not self._ours.isdisjoint(number.forms):
            return Refusal(Reason.LOOP, "the number leads back to this switch")
        return None if self._is_listed(number) else self._refuses_kind(number)

    def _is_listed(self, number: Number) -> bool:
        """An emergency number never by a pattern: nothing must reach the police by chance."""
        patterns: Iterable[str] = self._rules.allowed
        if number.kind is Kind.EMERGENCY:
            patterns = filter(is_literal, patterns)
        return any(fits(pattern, number.forms) for pattern in patterns)

    def _refuses_kind(self, number: Number) -> Refusal | None:
        if why := _MUST_BE_LISTED.get(number.kind):
            return Refusal(Reason(number.kind.value), why)
        if number.country != self._home.country:
            return self._refuses_abroad(number)
        if number.kind in _ORDINARY or self._rules.premium:
            return None
        return Refusal(Reason.PREMIUM, "it costs more than a call, and guard.premium is off")

    def _refuses_abroad(self, number: Number) -> Refusal | None:
        if not any(self._covers(prefix, number) for prefix in self._rules.international):
            return Refusal(Reason.INTERNATIONAL, "no prefix of guard.international covers it")
        if number.kind not in _ORDINARY_ABROAD and number.kind is not Kind.SATELLITE and not self._rules.premium:
            return Refusal(Reason.PREMIUM, "it costs more than a call, and guard.premium is off")
        return None

    def _covers(self, prefix: str, number: Number) -> bool:
        """A prefix opens no more than it says: +1 is not Jamaica, + is no satellite.

        A bare country code that countries share stands for the main one of them. What belongs to no country must be
        named by its whole code.
        """
        prefix = plain(prefix)
        if number.e164 is None or not number.e164.startswith(prefix):
            return False
        code, beyond = _country_code(number.e164), len(prefix) - 1
        if number.country == GLOBAL:
            return beyond >= len(code)
        is_main = _MAIN.get(number.country, number.country) == region_code_for_country_code(int(code))
        return is_main or beyond > len(code)


def _country_code(e164: str) -> str:
    """No country code is the beginning of another (ITU-T E.164)."""
    beginnings = (e164[1 : 1 + length] for length in (1, 2, 3))
    return next(digits for digits in beginnings if region_code_for_country_code(int(digits)) != UNKNOWN_REGION)
