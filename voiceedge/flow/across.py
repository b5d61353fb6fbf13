"""What must hold between flows: sub-flows exist, are given what they know, and do not run each other without end."""

from voiceedge.flow.loader import UNKNOWN, Draft
from voiceedge.flow.problem import nearest
from voiceedge.flow.source import Location
from voiceedge.flow.steps import Run
from voiceedge.flow.ways import closure


def check_across(drafts: dict[str, Draft]) -> None:
    """Add every problem to the drafts, which are given by the names of their flows."""
    runs = {
        name: {step.run for step in draft.steps.values() if isinstance(step, Run)} for name, draft in drafts.items()
    }
    for name, draft in drafts.items():
        for step_name, step in draft.steps.items():
            if isinstance(step, Run) and step.run != UNKNOWN:
                _check_run(draft, ("steps", step_name), step, drafts)
                if name in closure([step.run], runs):
                    draft.error(
                        ("steps", step_name, "run"),
                        f'"{step.run}" runs "{name}" again, without end. Lead on by next: instead.',
                    )


def _check_run(draft: Draft, place: Location, step: Run, drafts: dict[str, Draft]) -> None:
    other = drafts.get(step.run)
    if other is None:
        hint = nearest(step.run, drafts) or f" Add a file with flow: {step.run} beside this one."
        draft.error((*place, "run"), f'there is no flow "{step.run}".{hint}')
        return
    if other.header is None:
        return
    results = {result for result in (getattr(inner, "result", None) for inner in other.steps.values()) if result}
    if not results:
        draft.error((*place, "run"), f'"{step.run}" never returns. End it with a step that has return: and a name.')
    for result in sorted(results - step.on.keys() - {UNKNOWN}):
        if place[1] not in draft.hurt:
            draft.error(
                (*place, "on"),
                f'"{step.run}" can return "{result}". Add it under on: with the step that follows.',
                key=True,
            )
    for result in step.on.keys() - results - {UNKNOWN}:
        if results:
            hint = nearest(result, results) or f" It returns {', '.join(sorted(results))}."
            draft.error((*place, "on", result), f'"{step.run}" never returns "{result}".{hint}', key=True)
    for slot in [*step.give, *step.into.values()]:
        if slot not in other.header.slots:
            where = (*place, "with", slot) if slot in step.give else (*place, "into")
            hint = nearest(slot, other.header.slots) or " Add it there under slots:"
            draft.error(where, f'"{step.run}" has no slot "{slot}".{hint}', key=True)
