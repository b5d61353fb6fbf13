"""What a plan must hold beyond its form: names of flows, numbers that can be dialled, routes that can be reached."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from phonenumbers.shortnumberinfo import is_emergency_number

from voiceedge.errors import ConfigError, NumberError
from voiceedge.flow.problem import nearest
from voiceedge.switch import numbers
from voiceedge.switch.guard import Guard, Refusal
from voiceedge.switch.outgoing import Outgoing
from voiceedge.switch.patterns import fits, forms_of, is_literal, plain
from voiceedge.switch.plan import Plan, Route
from voiceedge.switch.queues.matching import needed

_EMERGENCY = ("112", "119", "110", "118", "911", "999", "000", "111")  # those of some country or other


@dataclass(frozen=True, slots=True)
class PlanProblem:
    where: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{'warning: ' if self.severity == 'warning' else ''}{self.where}: {self.message}"


def check_plan(plan: Plan, flows: Collection[str]) -> list[PlanProblem]:
    """Errors first. `flows` are the names of those that there are."""
    found = [*_routes(plan, flows), *_hidden(plan), *_trunks(plan), *_guard(plan), *_agents(plan), *_queues(plan)]
    found += _campaigns(plan, flows)
    return sorted(found, key=lambda problem: problem.severity)


def refuse_broken(plan: Plan, flows: Collection[str], file: object) -> None:
    """Raises ConfigError with every error of the plan."""
    if errors := [problem for problem in check_plan(plan, flows) if problem.severity == "error"]:
        raise ConfigError("\n".join(f"{file}: {problem}" for problem in errors))


def _routes(plan: Plan, flows: Collection[str]) -> Iterator[PlanProblem]:
    outgoing = Outgoing(plan, Guard(plan))
    for index, route in enumerate(plan.routes, 1):
        where = f"route {index}"
        if route.flow is not None and route.flow not in flows:
            yield PlanProblem(where, f'there is no flow "{route.flow}".{nearest(route.flow, flows)}')
        if is_literal(route.trunk) and route.trunk not in plan.trunks:
            yield PlanProblem(where, f'there is no trunk "{route.trunk}".{nearest(route.trunk, plan.trunks)}')
        if route.number is not None and isinstance(found := outgoing.attempts(route.number), Refusal):
            yield PlanProblem(where, f"its number is never dialled: {found.why}")


def _hidden(plan: Plan) -> Iterator[PlanProblem]:
    for index, route in enumerate(plan.routes):
        for earlier_index, earlier in enumerate(plan.routes[:index]):
            if _takes_all_of(earlier, route):
                message = f"route {earlier_index + 1} takes every call that it could take; put it before that one"
                yield PlanProblem(f"route {index + 1}", message, "warning")
                break


def _takes_all_of(earlier: Route, later: Route) -> bool:
    patterns = ((getattr(earlier, key), getattr(later, key)) for key in ("called", "caller", "trunk"))
    return earlier.hours in {None, later.hours} and all(
        first == "*" or plain(first) == plain(second) for first, second in patterns
    )


def _trunks(plan: Plan) -> Iterator[PlanProblem]:
    owners = Counter(network for trunk in plan.trunks.values() for network in set(trunk.addresses))
    for network in (network for network, count in owners.items() if count > 1):
        yield PlanProblem("trunks", f"{network} is in addresses of several; by which one a call came is then chance")
    for name, trunk in plan.trunks.items():
        if trunk.host and trunk.outgoing and not (trunk.caller_id or trunk.own_numbers):
            message = "calls out show no number of ours: give own_numbers, or carriers may refuse them"
            yield PlanProblem(f"trunks.{name}", message, "warning")
        for number in (*trunk.own_numbers, *filter(None, [trunk.caller_id])):
            try:
                numbers.read(number, plan.numbers)
            except NumberError as error:
                yield PlanProblem(f"trunks.{name}", f'"{number}" among its own numbers: {error}')


def _guard(plan: Plan) -> Iterator[PlanProblem]:
    for prefix in plan.guard.international:
        if not re.fullmatch(r"\+[0-9]{0,14}", plain(prefix)):
            yield PlanProblem("guard.international", f'"{prefix}" is no E.164 prefix; write one such as "+81"')
    emergency = [number for number in _EMERGENCY if is_emergency_number(number, plan.numbers.country)]
    for pattern in plan.guard.allowed:
        if not is_literal(pattern) and (covered := [number for number in emergency if fits(pattern, (number,))]):
            message = f'"{pattern}" does not open {", ".join(covered)}: emergency numbers are named one by one'
            yield PlanProblem("guard.allowed", message, "warning")
    closed = [number for number in emergency if number not in plan.guard.allowed]
    if closed and plan.agents and any(trunk.host and trunk.outgoing for trunk in plan.trunks.values()):
        message = f"agents' phones cannot call {', '.join(closed)}; name those that they must reach"
        yield PlanProblem("guard.allowed", message, "warning")


def _agents(plan: Plan) -> Iterator[PlanProblem]:
    for key in ("phone", "code"):
        counts = Counter(value for agent in plan.agents.values() if (value := getattr(agent, key)))
        for name, agent in plan.agents.items():
            if counts[getattr(agent, key)] > 1:
                yield PlanProblem(f"agents.{name}", f"{key}: another agent has the same")
    for name in plan.agents.keys() & (plan.queues.keys() | plan.mailboxes.keys()):
        message = "a queue or mailbox has this name too; a phone that dials it reaches the agent"
        yield PlanProblem(f"agents.{name}", message, "warning")


def _queues(plan: Plan) -> Iterator[PlanProblem]:
    for name, queue in plan.queues.items():
        crew = [agent for agent in plan.agents.values() if name in agent.queues]
        if not crew:
            yield PlanProblem(f"queues.{name}", "no agent serves it; name it in an agent's queues", "warning")
            continue
        levels = needed(queue, {}, math.inf)
        if not any(all(agent.skills.get(skill, 0) >= level for skill, level in levels.items()) for agent in crew):
            wanted = ", ".join(f"{skill} {level}" for skill, level in levels.items())
            message = f"none of its agents can do what it asks for in the end ({wanted}); relax it"
            yield PlanProblem(f"queues.{name}", message, "warning")


def _campaigns(plan: Plan, flows: Collection[str]) -> Iterator[PlanProblem]:
    trunks = [trunk for trunk in plan.trunks.values() if trunk.outgoing and trunk.host]
    own = {form for trunk in trunks for number in trunk.own_numbers for form in forms_of(number, plan.numbers)}
    for name, campaign in plan.campaigns.items():
        where = f"campaigns.{name}"
        if campaign.flow not in flows:
            yield PlanProblem(where, f'there is no flow "{campaign.flow}".{nearest(campaign.flow, flows)}')
        if not trunks:
            yield PlanProblem(where, "no trunk takes calls out: give one a host", "warning")
        elif campaign.caller_id and own.isdisjoint(forms_of(campaign.caller_id, plan.numbers)):
            message = "caller_id is in no trunk's own_numbers, so the trunk's own is shown"
            yield PlanProblem(where, message, "warning")
        if campaign.hours is None:
            message = "without hours people are called at night too"
            yield PlanProblem(where, message, "warning")
