"""What flows ask of the site around them (connectors, channels, the switch plan), held against what there is."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from voiceedge.connectors.profile import Profile
from voiceedge.flow.fields import AGENT, Value
from voiceedge.flow.frame import reads
from voiceedge.flow.leaving import TOLD
from voiceedge.flow.loader import Draft
from voiceedge.flow.problem import nearest
from voiceedge.flow.source import Location
from voiceedge.flow.steps import DialStep, HandOverStep, LookUp, QueueStep, Step, VoicemailStep
from voiceedge.flow.template import Template, TemplateError, plain

Profiles = Mapping[str, Profile]
Names = Collection[str] | None


@dataclass(frozen=True, slots=True)
class Outside:
    """The names that flows can use, by kind. None: these are not known here, and any is taken for right.

    `senders` are the channels by which links go out. `values` override the flows' settings of the same name.
    """

    connectors: Profiles | None = None
    channels: Names = None
    senders: Names = None
    agents: Names = None
    queues: Names = None
    mailboxes: Names = None
    values: Mapping[str, str] = field(default_factory=dict)


def check_outside(draft: Draft, outside: Outside) -> None:
    """Add every problem to the draft.

    A warning is what a caller is led around, by the step's `failed`, where the site may have left it out on purpose: a
    name that is much like one there is has been misspelt.
    """
    profiles = outside.connectors
    for name, step in draft.steps.items():
        place: Location = ("steps", name)
        match step:
            case LookUp(look_up=str() as connector) if profiles is not None:
                _check_query(draft, place, step, connector, profiles)
            case HandOverStep():
                _check_hand_over(draft, place, step, outside)
            case DialStep():
                _check_dialled(draft, place, step, outside)
            case QueueStep():
                _check_place(draft, (*place, "queue"), _name(draft, step.queue, outside), outside.queues)
            case VoicemailStep():
                _check_place(draft, (*place, "voicemail"), _name(draft, step.voicemail, outside), outside.mailboxes)
    _check_members(draft, profiles or {})


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


def _check_hand_over(draft: Draft, place: Location, step: HandOverStep, outside: Outside) -> None:
    to, by = outside.channels, outside.senders
    if to is not None and step.hand_over not in to:
        hint = nearest(step.hand_over, to) or " Add it to the file that [channels] file names."
        draft.error((*place, "hand_over"), f'there is no channel "{step.hand_over}".{hint}')
    if by is None or step.send is None or step.send in by:
        return
    if hint := nearest(step.send, by):
        draft.error((*place, "send"), f'no channel "{step.send}" sends anything.{hint}')
    else:
        what = f'no link goes out: there is no channel "{step.send}". Add it to the file that [channels] file names.'
        draft.warn((*place, "send"), what)


def _check_dialled(draft: Draft, place: Location, step: DialStep, outside: Outside) -> None:
    agents = outside.agents
    for index, whom in enumerate(step.dial):
        name = _name(draft, whom, outside)
        if agents is None or name is None or not AGENT.fullmatch(name) or name in agents:
            continue
        where = (*place, "dial", index)
        where = where if where in draft.source.values else (*place, "dial")
        if hint := nearest(name, agents):
            draft.error(where, f'there is no agent "{name}".{hint}')
        else:
            draft.warn(where, f'there is no agent "{name}".{_ADD_TO_PLAN}')


def _check_place(draft: Draft, place: Location, name: str | None, known: Names) -> None:
    if known is not None and name is not None and name not in known:
        kind = "queue" if place[-1] == "queue" else "mailbox"
        draft.warn(place, f'there is no {kind} "{name}".{nearest(name, known) or _ADD_TO_PLAN}')


_ADD_TO_PLAN = " Add it to the file that [switch] plan names."


def _name(draft: Draft, text: Template, outside: Outside) -> str | None:
    """None where it depends on the call."""
    settings = draft.header.settings if draft.header else {}
    own = {name: outside.values.get(name, value) for name, value in settings.items()}
    try:
        return text.fill({"settings": own}, lambda _, value: plain(value))
    except TemplateError:
        return None


def _check_members(draft: Draft, profiles: Profiles) -> None:
    found = dict(_found_by(draft, profiles))
    told = set(_filled_by(draft, HandOverStep))
    for name, step in draft.steps.items():
        shown: list[tuple[Location, Value]] = [*step.texts(), *step.expressions()]
        for where, value in shown:
            for slot, member in sorted(reads(value), key=str):
                if slot in found and member is not None and member not in found[slot]:
                    hint = nearest(member, found[slot]) or f" It finds {', '.join(sorted(found[slot]))}."
                    draft.warn(("steps", name, *where), f'no connector finds "{member}" for "{slot}".{hint}')
                if slot in told and member is not None and member not in TOLD:
                    hint = nearest(member, TOLD) or f" There are {', '.join(TOLD)}."
                    draft.error(("steps", name, *where), f'hand_over puts no "{member}" into "{slot}".{hint}')


def _found_by(draft: Draft, profiles: Profiles) -> Iterator[tuple[str, frozenset[str]]]:
    """What can be in the slots that are filled by known connectors and by nothing else."""
    for slot, steps in _filled_by(draft, LookUp).items():
        known = [profiles.get(str(step.look_up)) if isinstance(step, LookUp) else None for step in steps]
        if all(known):
            yield slot, frozenset(chain.from_iterable(profile.found for profile in known if profile))


def _filled_by(draft: Draft, kind: type[Step]) -> Mapping[str, list[Step]]:
    """The slots that are filled by steps of this kind and by nothing else, and which they are."""
    fillers: dict[str, list[Step]] = {}
    for step in draft.steps.values():
        for _, slot in step.fills():
            fillers.setdefault(slot, []).append(step)
    return {slot: steps for slot, steps in fillers.items() if all(isinstance(step, kind) for step in steps)}
