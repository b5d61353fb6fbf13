"""The ways through a flow: every step is reached, every caller gets out, and no value is read before it is there."""

from collections.abc import Iterable, Iterator

from voiceedge.flow.call import RecordAction
from voiceedge.flow.loader import Draft, strings_in
from voiceedge.flow.model import Header
from voiceedge.flow.problem import nearest_name
from voiceedge.flow.steps import AGAIN, Ask, Record, Run, Step


def check_ways(draft: Draft, header: Header) -> None:
    """Every step can be reached, every caller can get out, and nothing turns in circles without listening."""
    ways = {name: _ways_from(draft, header, name) for name in draft.names}
    roots = [header.start, header.otherwise, header.on_error, *(choice.next for choice in header.anywhere.values())]
    known_roots = [root for root in roots if root in draft.names]
    reached = closure(known_roots, ways)
    if header.start in draft.names:
        for name in _heads(draft, draft.names - reached, ways):
            message = f'no step leads to "{name}". Lead to it from another step, or remove it.'
            draft.error(("steps", name), message, key=True)
    ends = {name for name in draft.names if _may_end(draft, name)}
    trapped = (draft.names - closure(ends, _reversed(ways))) & reached
    for name in sorted(trapped, key=lambda name: draft.source.at_key(("steps", name)))[:1]:
        others = ", ".join(sorted(trapped - {name}))
        also = f" (nor from {others})" if others else ""
        message = f'from "{name}" a call never ends{also}. Lead to a hang_up or transfer step.'
        draft.error(("steps", name), message, key=True)
    silent = {name: ways[name] for name in reached - trapped if not isinstance(draft.steps.get(name), Ask | Run)}
    for name in _in_circles(silent):
        message = f'"{name}" can lead back to itself without a question in between. Ask something on the way.'
        draft.warn(("steps", name), message, key=True)
    _check_order(draft, header, ways)
    _check_recording(draft, header, ways)


def _heads(draft: Draft, names: frozenset[str], ways: dict[str, set[str]]) -> Iterator[str]:
    """The few of these steps from which all of them are reached: those are what is wrong."""
    led_to = {target for name in names for target in ways[name] if target != name}
    in_file = sorted(names, key=lambda name: (name in led_to, draft.source.at_key(("steps", name))))
    seen: set[str] = set()
    for name in in_file:
        if name not in seen:
            seen |= closure([name], ways)
            yield name


def _ways_from(draft: Draft, header: Header, name: str) -> set[str]:
    step = draft.steps.get(name)
    targets = {target for _, target in step.targets()} if step else set()
    if isinstance(step, Ask) and step.otherwise is None and header.otherwise:
        targets.add(header.otherwise)
    if step is None or name in draft.hurt:
        body = draft.source.data["steps"] if isinstance(draft.source.data, dict) else {}
        targets |= set(strings_in(body.get(name))) if isinstance(body, dict) else set()
    # A misspelt target was reported already; what it was meant to lead to is not reported as well.
    meant = {target if target in draft.names else nearest_name(target, draft.names) for target in targets}
    return {target for target in meant if target in draft.names}


def _may_end(draft: Draft, name: str) -> bool:
    step = draft.steps.get(name)
    return (
        step is None
        or step.is_end
        or name in draft.hurt
        or any(target not in draft.names and target != AGAIN for _, target in step.targets())
    )


def closure(start: Iterable[str], ways: dict[str, set[str]]) -> set[str]:
    seen, waiting = set(start), list(start)
    while waiting:
        for target in ways.get(waiting.pop(), ()):
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def _reversed(ways: dict[str, set[str]]) -> dict[str, set[str]]:
    back: dict[str, set[str]] = {name: set() for name in ways}
    for name, targets in ways.items():
        for target in targets:
            back[target].add(name)
    return back


def _in_circles(ways: dict[str, set[str]]) -> Iterator[str]:
    """One name for each group of circles."""
    inner = {name: targets & ways.keys() for name, targets in ways.items()}
    back = _reversed(inner)
    waiting = [name for name, targets in inner.items() if not targets]
    while waiting:  # what leads nowhere within is on no circle
        name = waiting.pop()
        del inner[name]
        for source in back[name]:
            inner[source].discard(name)
            if not inner[source]:
                waiting.append(source)
    done: set[str] = set()
    for name in sorted(inner):
        if name not in done and name in (reach := closure(inner[name], inner)):
            done |= reach
            yield name


def _check_order(draft: Draft, header: Header, ways: dict[str, set[str]]) -> None:
    """Warn of slots that are read where no way to the step can have set them."""
    filled_by = {name: {slot for _, slot in step.fills()} for name, step in draft.steps.items()}
    ready = {name for name, slot in header.slots.items() if slot.starts is not None}
    if any(step.kind == "return" for step in draft.steps.values()):
        ready |= header.slots.keys() - set().union(*filled_by.values())  # a sub-flow is given these
    everything = set(header.slots)
    may: dict[str, set[str]] = {}
    waiting = [(header.start, set(ready)), *((name, everything) for name in _interrupts(header))]
    while waiting:
        name, slots = waiting.pop()
        if name not in draft.names or (name in may and slots <= may[name]):
            continue
        may[name] = may.get(name, set()) | slots
        waiting += [(target, may[name] | filled_by.get(name, set())) for target in ways[name]]
    for name, step in draft.steps.items():
        known = may.get(name, everything)
        own = filled_by[name] if isinstance(step, Ask) else set()
        for where, names in _reads(step):
            for slot in sorted((names & header.slots.keys()) - known - own):
                draft.warn(
                    ("steps", name, *where),
                    f'slot "{slot}" has no value here yet. Set it before, or give it starts: under slots:',
                )


def _check_recording(draft: Draft, header: Header, ways: dict[str, set[str]]) -> None:
    """Warn of steps that want something of a recording where none can be under way."""
    if any(step.kind == "return" for step in draft.steps.values()):
        return  # the flow that runs this one may record
    for name, step in draft.steps.items():
        if not isinstance(step, Record) or step.record is RecordAction.START:
            continue
        needed = RecordAction.PAUSE if step.record is RecordAction.RESUME else RecordAction.START
        begun = {place for place, other in draft.steps.items() if isinstance(other, Run) or _records(other, needed)}
        if name not in closure([*begun, *(_interrupts(header) if begun else ())], ways):
            message = f'"{step.record}" does nothing: no step before it has record: {needed}. Add one, or remove this.'
            draft.warn(("steps", name, "record"), message)


def _records(step: Step, action: RecordAction) -> bool:
    return isinstance(step, Record) and step.record is action


def _interrupts(header: Header) -> Iterator[str]:
    """The steps that any other may lead to."""
    targets = [header.on_error, header.otherwise, *(choice.next for choice in header.anywhere.values())]
    yield from (target for target in targets if target)


def _reads(step: Step) -> Iterator[tuple[tuple[str | int, ...], frozenset[str]]]:
    for where, text in step.texts():
        yield where, text.names
    for where, expression in step.expressions():
        if "null" not in expression.source:  # it asks whether there is a value
            yield where, expression.names
