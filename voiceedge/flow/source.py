"""Flow files as plain data with the place of every key and value kept (YAML 1.2, a safe part of it)."""

from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.tokens import ScalarToken

from voiceedge.flow.problem import Mark, Problem

LARGEST_FILE = 256 * 1024  # bytes
DEEPEST = 20  # levels of nesting

Data = dict[str, "Data"] | list["Data"] | str | int | float | bool | None
Location = tuple[str | int, ...]


@dataclass(slots=True)
class Source:
    """One file as read. `data` is None where nothing could be read; the problems then say why."""

    path: Path
    data: Data = None
    problems: list[Problem] = field(default_factory=list)
    keys: dict[Location, Mark] = field(default_factory=dict)
    values: dict[Location, Mark] = field(default_factory=dict)

    def at(self, location: Location) -> Mark:
        """Where a value stands; for a whole mapping or list, or one that is missing, the key that should hold it."""
        for end in range(len(location), 0, -1):
            known = self.values.get(location[:end]) or self.keys.get(location[:end])
            if known:
                return known
        return Mark(1, 1)

    def at_key(self, location: Location) -> Mark:
        return self.keys.get(location) or self.at(location)

    def add(self, mark: Mark, message: str) -> None:
        self.problems.append(Problem(self.path, mark, message))


def read(path: Path) -> Source:
    source = Source(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        source.add(Mark(1, 1), f"cannot be read: {error.strerror}. Check the file's name and its permissions.")
        return source
    if len(raw) > LARGEST_FILE:
        source.add(Mark(1, 1), f"is larger than {LARGEST_FILE // 1024} kB. Split it into sub-flows.")
        return source
    try:
        return parse(raw.decode("utf-8-sig"), path)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        source.add(Mark(line, 1), "is not UTF-8 text. Save the file with the encoding UTF-8.")
        return source


def parse(text: str, path: Path) -> Source:
    source = Source(path)
    try:
        if _has_forbidden_parts(text, source):
            return source
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        source.add(*_explain(error, text))
        return source
    except YAMLError as error:
        source.add(Mark(1, 1), f"is not YAML: {str(error).splitlines()[0]}. Remove what is not text.")
        return source
    if node is None:
        source.add(Mark(1, 1), 'is empty. Begin with "flow:" and the flow\'s name.')
        return source
    source.data = _plain(node, (), source)
    return source


def _has_forbidden_parts(text: str, source: Source) -> bool:
    """Aliases, tags and deep nesting are refused before anything is built from them."""
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            depth += 1
            if depth > DEEPEST:
                source.add(mark, f"is nested more than {DEEPEST} levels deep. Close the brackets before this one.")
                return True
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            depth -= 1
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
            sign = "*" if isinstance(event, AliasEvent) else "&"
            message = f'"{sign}{event.anchor}": flows have no YAML anchors or aliases.'
            source.add(mark, f"{message} Put a text that begins with {sign} in quotes; share steps through a sub-flow.")
        elif getattr(event, "tag", None):
            source.add(mark, f'"{event.tag}": flows have no YAML tags. Put a text that begins with ! in quotes.')
    return bool(source.problems)


def _plain(node: Node, location: Location, source: Source) -> Data:
    mark = Mark(node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, MappingNode):
        return _mapping(node, location, source)
    if isinstance(node, SequenceNode):
        items: list[Data] = []
        for index, item in enumerate(node.value):
            place = (*location, index)
            source.keys[place] = Mark(item.start_mark.line + 1, item.start_mark.column + 1)
            items.append(_plain(item, place, source))
        return items
    source.values[location] = mark
    return _scalar(str(node.value), str(node.tag).rpartition(":")[2])


def _mapping(node: MappingNode, location: Location, source: Source) -> dict[str, Data]:
    out: dict[str, Data] = {}
    for key_node, value_node in node.value:
        mark = Mark(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, ScalarNode):
            source.add(mark, "a name is expected here, not a list. Put a text that begins with [ or { in quotes.")
            continue
        key = str(key_node.value)
        if key in out:
            first = source.keys[(*location, key)]
            source.add(
                mark, f'"{key}" is here a second time (first in line {first.line}). Remove or rename one of them.'
            )
            continue
        source.keys[(*location, key)] = mark
        out[key] = _plain(value_node, (*location, key), source)
    return out


def _scalar(text: str, kind: str) -> Data:
    """Numbers that would not look the same again, such as 0123 or 1.10, stay text."""
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    try:
        if kind == "int" and str(int(text)) == text:
            return int(text)
        if kind == "float" and str(float(text)) == text:
            return float(text)
    except ValueError:
        pass
    return text


_HINTS = {
    "mapping values are not allowed here": (
        "a second colon, or the indentation is off. Put a text that holds a colon in quotes"
    ),
    "found unexpected end of stream": "a quotation mark is not closed. Close the text with the mark it began with",
    "found character '\\t' that cannot start any token": "a tab. Indent with spaces",
    "found character": "a text cannot begin with this character. Put the text in quotes",
    "expected ',' or '}'": "a { is not closed, or a comma is missing",
    "expected ',' or ']'": "a [ is not closed, or a comma is missing",
    "expected <block end>": (
        "the indentation is off, or text follows a closing quotation mark or }. Put the whole text in quotes"
    ),
    "could not find expected ':'": 'a name without ":". Write "name: value"',
    "expected a single document": 'a second "---". A file holds one flow; remove it',
}


_AT_ITS_BEGINNING = ("found unexpected end of stream", "expected ',' or")  # the end is far from what is wrong


def _explain(error: MarkedYAMLError, text: str) -> tuple[Mark, str]:
    problem, context = str(error.problem or error.context or "not YAML"), str(error.context or "")
    begins_there = error.context_mark and problem.startswith(_AT_ITS_BEGINNING)
    found = error.context_mark if begins_there else error.problem_mark or error.context_mark
    mark = Mark(found.line + 1, found.column + 1) if found else Mark(1, 1)
    reason = next((hint for sign, hint in _HINTS.items() if sign in problem or sign in context), problem)
    opened = _open_quote(text, mark.line)
    if opened and not begins_there:
        mark, reason = opened, "a quotation mark is not closed. Close the text with the mark it began with"
    return mark, f"cannot be read as YAML: {reason}. The rest is checked once this is right."


def _open_quote(text: str, error_line: int) -> Mark | None:
    """Where a quoted text begins that swallowed lines up to the error: the next quotation mark closed it by mistake."""
    last = None
    try:
        for token in YAML(typ="safe", pure=True).scan(text):
            if (
                isinstance(token, ScalarToken)
                and token.style in {'"', "'"}
                and token.start_mark.line < token.end_mark.line
            ):
                last = token
    except YAMLError:
        pass
    if last is None or last.end_mark.line + 1 != error_line:
        return None
    return Mark(last.start_mark.line + 1, last.start_mark.column + 1)
