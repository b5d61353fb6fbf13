"""The statement of an SQL profile: one SELECT, whose :parameters are bound and never pasted into its text."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from voiceedge.connectors.answers import NotThereError, SystemFailedError

ENOUGH = 2  # rows: one is found, two are too many

_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | (?P<quote>\$\w*\$).*?(?P=quote)
    | :: | (?<![\w:]):(?P<name>[A-Za-z_]\w*) | (?P<end>;)""",
    re.DOTALL | re.VERBOSE,
)
_BEGIN = re.compile(r"\s*(?:select|with)\b", re.IGNORECASE)


def check(query: str) -> str:
    """Without a semicolon at its end. Raises ValueError."""
    query = query.strip().removesuffix(";").rstrip()
    if not _BEGIN.match(query):
        raise ValueError("begins with SELECT, or with WITH; a look-up only reads")
    if any(match["end"] for match in _TOKEN.finditer(query)):
        raise ValueError("is one statement; take out what follows the first ;")
    return query


def parameters(query: str) -> frozenset[str]:
    return frozenset(match["name"] for match in _TOKEN.finditer(query) if match["name"])


def bounded(query: str, written: Callable[[str], str]) -> str:
    """The statement for no more rows than ENOUGH, with each :parameter as `written` says."""
    bound = _TOKEN.sub(lambda match: written(match["name"]) if match["name"] else match[0], query)
    return f"SELECT * FROM (\n{bound}\n) AS found LIMIT {ENOUGH}"  # noqa: S608 - the site's own statement


def only(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> dict[str, Any]:
    """The one row's values, each from its column. Raises NotThereError, SystemFailedError."""
    if len(rows) != 1:
        raise NotThereError(many=len(rows) > 1)
    row = rows[0]
    if missing := [column for column in columns.values() if column not in row]:
        raise SystemFailedError(f'the query has no column "{missing[0]}"; it has {", ".join(row)}')
    return {name: row[column] for name, column in columns.items()}
