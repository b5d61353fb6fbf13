"""All flows of a directory, checked together and replaced together while calls go on."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import structlog

from voiceedge.errors import FlowError
from voiceedge.flow.across import check_across
from voiceedge.flow.checks import check
from voiceedge.flow.lint import Unspeakable, check_vocabulary, lint
from voiceedge.flow.loader import Draft, load
from voiceedge.flow.model import Flow
from voiceedge.flow.outside import Outside, check_outside
from voiceedge.flow.problem import Mark, Problem, errors_in
from voiceedge.flow.steps import Run

log = structlog.get_logger()

Flows = Mapping[str, Flow]
ANY = Outside()  # where the site is not known


class FlowBook:
    """`flows` never changes in place: a call that holds it keeps the version it began with."""

    def __init__(self, directory: Path, values: Mapping[str, str] | None = None, outside: Outside = ANY) -> None:
        """Raises FlowError with every problem. `values` override the flows' settings of the same name.

        Flows may name what is `outside`, and nothing else.
        """
        self._directory, self._values = directory, dict(values or {})
        self._outside = replace(outside, values=self._values)
        self.flows: Flows = self._read()

    def get(self, name: str) -> Flow:
        """Raises FlowError."""
        try:
            return self.flows[name]
        except KeyError:
            known = ", ".join(sorted(self.flows))
            raise FlowError(f'There is no flow "{name}" in {self._directory}. There are: {known}.') from None

    def reload(self) -> list[Problem]:
        """Take the directory as it is now, or with an error in any file nothing of it: the running version stays."""
        drafts = read_directory(self._directory, self._outside)
        problems = sorted(problem for draft in drafts for problem in draft.problems)
        broken = errors_in(problems)
        if broken or not drafts:
            log.error(
                "flows kept as they were", errors=len(broken), first=str(broken[0]) if broken else "no flow files"
            )
            return broken or [_nothing_in(self._directory)]
        self.flows = _made_from(drafts, self._values)
        log.info("flows loaded", flows=sorted(self.flows), warnings=len(problems))
        return problems

    def _read(self) -> Flows:
        drafts = read_directory(self._directory, self._outside)
        broken = errors_in(sorted(problem for draft in drafts for problem in draft.problems))
        if not drafts:
            broken = [_nothing_in(self._directory)]
        if broken:
            raise FlowError("\n".join(str(problem) for problem in broken))
        return _made_from(drafts, self._values)


def flows_beside(path: Path, values: Mapping[str, str] | None = None, outside: Outside = ANY) -> tuple[Flows, str]:
    """The flow of one file with its sub-flows from the same directory, and its name. Raises FlowError."""
    draft, *others = with_neighbours(path, replace(outside, values=values or {}))
    needed = {draft.header.flow} if draft.header else set()
    by_name = {other.header.flow: other for other in others if other.header} | dict.fromkeys(needed, draft)
    waiting = list(needed)
    while waiting:
        runs = {step.run for step in by_name[waiting.pop()].steps.values() if isinstance(step, Run)}
        found = (runs & by_name.keys()) - needed
        needed |= found
        waiting += found
    wanted = [by_name[name] for name in needed] if draft.header else [draft]
    broken = errors_in(sorted(problem for one in wanted for problem in one.problems))
    if broken or draft.header is None:
        raise FlowError("\n".join(str(problem) for problem in broken))
    return _made_from(wanted, values or {}), draft.header.flow


def _made_from(drafts: Iterable[Draft], values: Mapping[str, str]) -> Flows:
    flows = {}
    for draft in drafts:
        flow = draft.flow()
        own = {key: value for key, value in values.items() if key in flow.header.settings}
        header = flow.header.model_copy(update={"settings": flow.header.settings | own})
        flows[flow.name] = Flow(header, flow.steps, flow.path, flow.warnings)
    return MappingProxyType(flows)


def flow_files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix in {".yaml", ".yml"} and path.is_file())


def read_directory(directory: Path, outside: Outside = ANY) -> list[Draft]:
    """Every flow file of a directory with all its problems. Raises FlowError when there is no such directory."""
    try:
        return _checked([load(path) for path in flow_files(directory)], outside)
    except OSError as error:
        raise FlowError(
            f"{directory}: cannot be read: {error.strerror}. Set [flows] dir to where the flow files lie."
        ) from error


def check_paths(paths: Iterable[Path], unspeakable: Unspeakable | None = None, outside: Outside = ANY) -> list[Problem]:
    """The problems of these files and directories, by file and line. Sub-flows are looked for beside each file.

    With `unspeakable`, flows without errors are held against the streaming recogniser's vocabulary too.
    """
    found: set[Problem] = set()
    for path in paths:
        drafts = read_directory(path, outside) if path.is_dir() else with_neighbours(path, outside)[:1]
        if not drafts:
            found.add(_nothing_in(path))
        for draft in drafts:
            if unspeakable and not errors_in(draft.problems):
                check_vocabulary(draft, unspeakable)
            found |= set(draft.problems)
    return sorted(found)


def with_neighbours(path: Path, outside: Outside = ANY) -> list[Draft]:
    """The draft of `path` first, then those of the other flows of its directory, all checked."""
    parent = path.parent
    neighbours = [other for other in flow_files(parent) if other.name != path.name] if parent.is_dir() else []
    return _checked([load(path), *(load(other) for other in neighbours)], outside)


def _checked(drafts: list[Draft], outside: Outside) -> list[Draft]:
    by_name: dict[str, Draft] = {}
    for draft in drafts:
        check(draft)
        if draft.header is None:
            continue
        first = by_name.setdefault(draft.header.flow, draft)
        if first is not draft:
            draft.error(("flow",), f'"{draft.header.flow}" is also the name of {first.path.name}. Rename one of them.')
    check_across(by_name)
    for draft in drafts:
        check_outside(draft, outside)
        lint(draft)
        draft.problems.sort()
    return drafts


def _nothing_in(directory: Path) -> Problem:
    return Problem(directory, Mark(1, 1), "holds no flow files. Put files that end in .yaml there.")
