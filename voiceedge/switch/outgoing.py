"""Calls out: which trunks take a number, in which order, how it is written and whose number is shown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from voiceedge.errors import NumberError
from voiceedge.switch import numbers
from voiceedge.switch.guard import Guard, Reason, Refusal
from voiceedge.switch.numbers import Kind, Number
from voiceedge.switch.patterns import fits, forms_of
from voiceedge.switch.plan import Codec, Plan, SrtpUse, Trunk

TRUNK_HEADER = "X-VoiceEdge-Trunk"
HOPS_HEADER = "X-VoiceEdge-Hops"
MOST_HOPS = 70  # Max-Forwards of a new call (RFC 3261 section 8.1.1.6)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: `uri` is called with these headers and From user `caller_id` (None: the trunk has no number of its own).

    `codecs` in order of preference; none: those of the configuration. Caps hold back no call that `is_emergency`.
    """

    trunk: str
    uri: str
    caller_id: str | None
    headers: Mapping[str, str]
    codecs: tuple[Codec, ...] = ()
    srtp: SrtpUse = "off"
    is_emergency: bool = False


@dataclass(frozen=True, slots=True)
class Explained:
    """What became of every trunk, for people."""

    outcome: "list[Attempt] | Refusal"
    passed: tuple[str, ...]


class Outgoing:
    def __init__(self, plan: Plan, guard: Guard) -> None:
        self._plan, self._guard = plan, guard
        ways = [(name, trunk) for name, trunk in plan.trunks.items() if trunk.outgoing and trunk.host]
        self._ways = sorted(ways, key=lambda way: way[1].priority)

    def attempts(
        self, number: str, caller: str = "", wished_caller_id: str | None = None, hops: int | None = None
    ) -> list[Attempt] | Refusal:
        """What to try, one after the other until one is answered; at least one where it is no refusal.

        `caller` is the caller's number, an agent's name or "" for a call of our own. `hops` is the Max-Forwards of the
        call that this one goes on from, if any: counted on, it ends a loop that no number betrays (RFC 7332).
        """
        return self.explained(number, caller, wished_caller_id, hops).outcome

    def explained(
        self, number: str, caller: str = "", wished_caller_id: str | None = None, hops: int | None = None
    ) -> Explained:
        if hops is not None and hops < 2:  # noqa: PLR2004 - with the next hop it would be 0
            return Explained(Refusal(Reason.LOOP, "the call has gone through too many switches (Max-Forwards)"), ())
        if caller and self._guard.is_ours(caller):
            return Explained(Refusal(Reason.LOOP, "a call of ours came back and would go out again"), ())
        read = self._guard.read(number)
        if isinstance(read, Refusal):
            return Explained(read, ())
        passed = list(self._passed(read))
        found = [
            self._attempt(name, trunk, read, wished_caller_id, hops)
            for name, trunk in self._ways
            if _serves(trunk, read)
        ]
        nobody = Refusal(Reason.NO_TRUNK, "no trunk with a host serves this number")
        return Explained(found or nobody, tuple(passed))

    def _passed(self, number: Number) -> Iterator[str]:
        for name, trunk in self._plan.trunks.items():
            if not trunk.host:
                yield f"{name}: has no host, so calls only come in by it"
            elif not trunk.outgoing:
                yield f"{name}: outgoing is off"
            elif not _serves(trunk, number):
                yield f"{name}: serves only {', '.join(trunk.serves) or 'nothing'}"

    def _attempt(self, name: str, trunk: Trunk, number: Number, wished: str | None, hops: int | None) -> Attempt:
        user = number.written(trunk.number_form, trunk.international_prefix)
        headers = {TRUNK_HEADER: name, HOPS_HEADER: str(min(MOST_HOPS, (hops or MOST_HOPS + 1) - 1))}
        uri = f"sip:{user}@{trunk.host}:{trunk.port};transport={trunk.transport}"
        return Attempt(
            trunk=name,
            uri=uri,
            caller_id=self._shown(trunk, wished),
            headers=headers,
            codecs=trunk.codecs,
            srtp=trunk.srtp,
            is_emergency=number.kind is Kind.EMERGENCY,
        )

    def _shown(self, trunk: Trunk, wished: str | None) -> str | None:
        """Only a number that the trunk owns: to show another's is forgery, and carriers refuse the call."""
        owned = {form for number in trunk.own_numbers for form in forms_of(number, self._plan.numbers)}
        ours = wished is not None and not owned.isdisjoint(forms_of(wished, self._plan.numbers))
        shown = wished if ours else trunk.caller_id or next(iter(trunk.own_numbers), None)
        if shown is None:
            return None
        try:
            return numbers.read(shown, self._plan.numbers).written(trunk.number_form, trunk.international_prefix)
        except NumberError:
            return shown  # a PBX's extension


def _serves(trunk: Trunk, number: Number) -> bool:
    return any(fits(pattern, number.forms) for pattern in trunk.serves)
