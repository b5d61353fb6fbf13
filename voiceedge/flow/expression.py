"""Conditions and calculations in flows (CEL, the Common Expression Language), compiled when the flow is loaded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cel

LONGEST = 500  # characters
_CONVERSIONS = {"int", "uint", "double", "string", "bytes", "timestamp", "duration", "type", "dyn"}
_TEXTS = {"size", "contains", "startsWith", "endsWith", "matches"}
_LISTS = {"has", "all", "exists", "exists_one", "map", "filter", "max", "min"}
_TIMES = {
    *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
}
_FUNCTIONS = frozenset(_CONVERSIONS | _TEXTS | _LISTS | _TIMES)
_MACRO_VARIABLE = re.compile(r"\.(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,")
_COLUMN = re.compile(r"ERROR: <input>:1:(\d+): (?:Syntax error: )?(.*)")


class ExpressionError(Exception):
    """A calculation failed while the flow ran, such as a comparison of a number with a text."""


@dataclass(frozen=True, slots=True)
class Expression:
    source: str
    names: frozenset[str]  # the variables it reads
    program: Any = field(repr=False, compare=False)

    @staticmethod
    def parse(source: object) -> "Expression":
        """Raises ValueError with a message for the flow's author."""
        if not isinstance(source, str):
            raise ValueError(f'a condition is expected, such as order.status == "shipped", not {source!r}.')  # noqa: TRY004
        if len(source) > LONGEST:
            raise ValueError(f"the condition is longer than {LONGEST} characters. Split it over several steps.")
        try:
            program = cel.compile(source)
        except ValueError as error:
            raise ValueError(_explain(source, str(error))) from None
        for function in sorted(program.functions()):
            if function[0].isalpha() and function not in _FUNCTIONS:
                raise ValueError(
                    f'unknown function "{function}" in the condition "{source}". docs/flows.md lists them.'
                )
        bound = set(_MACRO_VARIABLE.findall(source))
        return Expression(source, frozenset(program.variables()) - bound - _FUNCTIONS, program)

    def members(self, name: str) -> set[str | None]:
        """What it reads of a variable that is a record; None: all of it."""
        return {found or None for found in re.findall(rf"\b{name}\b(?:\.(\w+))?", self.source)}

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Raises ExpressionError, which never holds a value: values may be personal."""
        try:
            return self.program.execute(dict(values))
        except Exception as error:  # noqa: BLE001 - the library raises a different one for every mistake
            raise ExpressionError(f"{self.source}: {type(error).__name__}") from None


def _explain(source: str, message: str) -> str:
    if re.search(r"(?<![=!<>])=(?!=)", source):
        return f'the condition "{source}" has a single "=". Write "==" to compare.'
    found = _COLUMN.search(message)
    if not found or "<EOF>" in found[2]:
        return f'the condition "{source}" is not complete. Check its end, its brackets and its quotation marks.'
    near = f'the condition "{source}" cannot be read near its character {found[1]}.'
    return f"{near} Check for a missing operator or quotation mark."
