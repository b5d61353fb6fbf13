"""The dial plan: where a call goes that came in, and why there and nowhere else."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from voiceedge.clock import Clock
from voiceedge.config import Flows
from voiceedge.errors import NumberError
from voiceedge.switch import numbers
from voiceedge.switch.guard import Guard
from voiceedge.switch.hours import is_open, next_opening
from voiceedge.switch.patterns import fits, forms_of, is_literal, plain
from voiceedge.switch.plan import Plan, Route

NOT_FOUND, LOOP = 404, 482

DestinationKind = Literal["flow", "agent", "queue", "number", "voicemail", "reject"]
KINDS: tuple[DestinationKind, ...] = ("flow", "agent", "queue", "number", "voicemail", "reject")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A call as it came: `called` and `caller` are user parts (hostile), `trunk` and `agent` are the front's word."""

    called: str
    caller: str = ""
    trunk: str = ""
    agent: str = ""  # whose phone it is; a call from outside has none


@dataclass(frozen=True, slots=True)
class Destination:
    """`name` is the flow's, agent's, queue's or mailbox's, the number, or the SIP code of a refusal.

    `by` and `passed` explain the choice, without the call's own numbers: they may be logged.
    """

    kind: DestinationKind
    name: str
    by: str
    passed: tuple[str, ...] = field(default=(), compare=False)

    @property
    def code(self) -> int:
        return int(self.name)


class Router:
    def __init__(self, plan: Plan, flows: Flows, clock: Clock) -> None:
        self._plan, self._flows, self._clock = plan, flows, clock
        self._guard = Guard(plan)
        self._inside = dict(self._names_inside())

    def route(self, call: Incoming) -> Destination:
        """Never raises. For an agent's phone: colleagues and queues first, then the routes of numbers, then the world.

        For others: the plan's routes, then `flows.routes`, then `flows.default`.
        """
        if call.agent and (inside := self._inside.get(plain(call.called))):
            return inside
        passed: list[str] = []
        called, caller = forms_of(call.called, self._plan.numbers), forms_of(call.caller, self._plan.numbers)
        for index, route in enumerate(self._plan.routes):
            why_not = self._why_not(route, call, called, caller)
            if why_not is None:
                return self._taken(route, f"route {index + 1}", call, tuple(passed))
            passed.append(f"route {index + 1}: {why_not}")
        if call.agent:
            return self._out(call, tuple(passed))
        if flow := next((flow for number, flow in self._flows.routes.items() if plain(number) in called), None):
            return Destination("flow", flow, "flows.routes", tuple(passed))
        return Destination("flow", self._flows.default, "flows.default", tuple(passed))

    def _why_not(self, route: Route, call: Incoming, called: tuple[str, ...], caller: tuple[str, ...]) -> str | None:
        if call.agent and not is_literal(route.called):
            return "an agent's phone reaches only routes that name the number in full"
        for key, pattern, forms in (
            ("called", route.called, called),
            ("caller", route.caller, caller),
            ("trunk", route.trunk, (call.trunk.casefold(),)),
        ):
            if not fits(pattern, forms):
                return f'{key} is not "{pattern}"'
        if route.hours is not None and not is_open(hours := self._plan.hours[route.hours], now := self._clock.now()):
            opens = next_opening(hours, now)
            until = f" until {opens:%Y-%m-%d %H:%M}" if opens else ""
            return f'hours "{route.hours}" are closed{until}'
        return None

    def _taken(self, route: Route, by: str, call: Incoming, passed: tuple[str, ...]) -> Destination:
        kind = next(kind for kind in KINDS if getattr(route, kind) is not None)
        if kind == "number" and not call.agent and self._guard.is_ours(call.caller):
            # We show none but our own numbers: a call that we made, sent on to us, would go round for ever.
            return Destination("reject", str(LOOP), f"{by}: a call of ours came back and would go out again", passed)
        return Destination(kind, str(getattr(route, kind)), by, passed)

    def _out(self, call: Incoming, passed: tuple[str, ...]) -> Destination:
        try:
            number = numbers.read(call.called, self._plan.numbers)
        except NumberError:
            return Destination("reject", str(NOT_FOUND), "neither a name of the plan nor a number", passed)
        return Destination("number", number.digits, "dialled by an agent", passed)

    def _names_inside(self) -> Iterator[tuple[str, Destination]]:
        """What an agent may dial to reach a colleague, a queue or a mailbox; the first of a name wins."""
        inside: list[tuple[str, DestinationKind, str]] = []
        for name, agent in self._plan.agents.items():
            inside += [(name, "agent", name), (agent.phone, "agent", name)]  # an address elsewhere is nothing to dial
        inside += [(name, "queue", name) for name in self._plan.queues]
        inside += [(name, "voicemail", name) for name in self._plan.mailboxes]
        for dialled, kind, name in reversed(inside):
            yield plain(dialled), Destination(kind, name, f"{kind} of the plan")
