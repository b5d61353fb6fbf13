"""What flows ask of the site's connectors, held against the connectors there are."""

from collections.abc import Iterator, Mapping
from itertools import chain

from voiceedge.connectors.profile import Profile
from voiceedge.flow.fields import Value
from voiceedge.flow.frame import reads
from voiceedge.flow.loader import Draft
from voiceedge.flow.problem import nearest
from voiceedge.flow.source import Location
from voiceedge.flow.steps import LookUp, Step

Profiles = Mapping[str, Profile]


def check_outside(draft: Draft, profiles: Profiles) -> None:
    """Add every problem to the draft."""
    for name, step in draft.steps.items():
        if isinstance(step, LookUp) and isinstance(step.look_up, str):
            _check_query(draft, ("steps", name), step, step.look_up, profiles)
    _check_members(draft, dict(_found_by(draft, profiles)))


def _check_query(draft: Draft, place: Location, step: LookUp, connector: str, profiles: Profiles) -> None:
    profile = profiles.get(connector)
    if profile is None:
        hint = nearest(connector, profiles) or " Add it to the file that [connectors] file names."
        draft.error((*place, "look_up"), f'there is no connector "{connector}".{hint}')
        return
    for missing in sorted(profile.parameters - step.give.keys()):
        draft.error((*place, "look_up"), f'"{connector}" needs "{missing}". Give it as with: {{{missing}: …}}')
    for unknown in step.give.keys() - profile.parameters:
        hint = nearest(unknown, profile.parameters) or f" It takes {', '.join(sorted(profile.parameters))}."
        draft.error((*place, "with", unknown), f'"{connector}" takes no "{unknown}".{hint}', key=True)


def _found_by(draft: Draft, profiles: Profiles) -> Iterator[tuple[str, frozenset[str]]]:
    """What can be in the slots that are filled by known connectors and by nothing else."""
    fillers: dict[str, list[Step]] = {}
    for step in draft.steps.values():
        for _, slot in step.fills():
            fillers.setdefault(slot, []).append(step)
    for slot, steps in fillers.items():
        known = [profiles.get(str(step.look_up)) if isinstance(step, LookUp) else None for step in steps]
        if all(known):
            yield slot, frozenset(chain.from_iterable(profile.found for profile in known if profile))


def _check_members(draft: Draft, found: Mapping[str, frozenset[str]]) -> None:
    for name, step in draft.steps.items():
        shown: list[tuple[Location, Value]] = [*step.texts(), *step.expressions()]
        for where, value in shown:
            for slot, member in sorted(reads(value), key=str):
                if slot in found and member is not None and member not in found[slot]:
                    hint = nearest(member, found[slot]) or f" It finds {', '.join(sorted(found[slot]))}."
                    draft.warn(("steps", name, *where), f'no connector finds "{member}" for "{slot}".{hint}')
