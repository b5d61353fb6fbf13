"""A CSV file as somebody's export leaves it: read again when it has changed, and taken whole or not at all."""

import asyncio
import csv
import io
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog

from voiceedge.connectors.answers import NotThereError, SystemFailedError
from voiceedge.connectors.profile import CsvProfile
from voiceedge.context.privacy.pii import canonical

LARGEST_FILE = 4 * 1024 * 1024  # bytes, some 100,000 lines: every worker reads it
MOST_TOLD = 5  # bad lines
_ENCODINGS = ("utf-8-sig", "cp949")  # as Korean spreadsheets write them

Row = tuple[str, ...]
Stamp = tuple[int, int, int]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Table:
    """None: several lines have this key."""

    rows: Mapping[Row, Row | None]


class CsvSource:
    """One thread reads and looks up. A file that is gone is not remembered: whoever deletes it wants it forgotten."""

    def __init__(self, profile: CsvProfile) -> None:
        self._profile = profile
        self._threads = ThreadPoolExecutor(1, "connector")
        self._table: Table | None = None
        self._stamp: Stamp | None = None
        self.problem = ""  # why the file as it is now is not in use

    async def ask(self, values: Mapping[str, str]) -> Mapping[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, values)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, values: Mapping[str, str]) -> Mapping[str, Any]:
        self._refresh()
        if self._table is None:
            raise SystemFailedError(self.problem, rest_helps=False)
        key = tuple(canonical(values[name]) for name in self._profile.key)
        if key not in self._table.rows:
            raise NotThereError
        row = self._table.rows[key]
        if row is None:
            raise NotThereError(many=True)
        return dict(zip(self._profile.found, row, strict=True))

    def _refresh(self) -> None:
        try:
            found = self._profile.file.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._table, self.problem = read(self._profile), ""
                log.info("connector_file_read", file=str(self._profile.file), keys=len(self._table.rows))
                self._stamp = stamp
        except OSError as error:
            self._table, self._stamp = None, None
            self._say(f"the file cannot be read: {error.strerror}")
        except BadFileError as error:
            self._stamp = stamp
            self._say(str(error))

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            kept = "the version before it" if self._table else "none"
            log.warning("connector_file_bad", file=str(self._profile.file), problem=problem, in_use=kept)


class BadFileError(ValueError):
    """The message names lines and columns, and no values."""


def read(profile: CsvProfile) -> Table:
    """Raises BadFileError with the first bad lines; OSError."""
    with profile.file.open("rb") as file:
        raw = file.read(LARGEST_FILE + 1)
    if len(raw) > LARGEST_FILE:
        raise BadFileError(f"the file is larger than {LARGEST_FILE >> 20} MB: make an SQLite file of it (kind sql)")
    lines = csv.reader(io.StringIO(_decoded(raw), newline=""), delimiter=profile.delimiter, strict=True)
    try:
        header = [name.strip() for name in next(lines, [])]
        keys, wanted = _places(header, profile.key), _places(header, profile.columns)
        rows: dict[Row, Row | None] = {}
        bad: list[str] = []
        for line in lines:
            if not line:
                continue
            if len(line) != len(header):
                bad.append(f"line {lines.line_num} has {len(line)} fields instead of {len(header)}")
                continue
            key = tuple(canonical(line[place]) for place in keys)
            if all(key):  # of whom there is no number nobody can ask by it
                rows[key] = None if key in rows else tuple(line[place].strip() for place in wanted)
    except csv.Error as error:
        raise BadFileError(f"line {lines.line_num} is no CSV: {error}") from None
    if bad:
        more = f", and {len(bad) - MOST_TOLD} more" if len(bad) > MOST_TOLD else ""
        raise BadFileError(f"{'; '.join(bad[:MOST_TOLD])}{more}")
    return Table(rows)


def _decoded(raw: bytes) -> str:
    readable = 0  # bytes, by the encoding that gets furthest
    for encoding in _ENCODINGS:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as error:
            readable = max(readable, error.start)
    line = raw.count(b"\n", 0, readable) + 1
    raise BadFileError(f"line {line} is neither UTF-8 nor CP949 text: save the file as UTF-8")


def _places(header: list[str], columns: Mapping[str, str]) -> list[int]:
    return list(_each_place(header, columns))


def _each_place(header: list[str], columns: Mapping[str, str]) -> Iterator[int]:
    for column in columns.values():
        if header.count(column) != 1:
            problem = f"has {header.count(column)} columns" if column in header else "has no column"
            raise BadFileError(f'line 1 {problem} "{column}"; it has {", ".join(header)}')
        yield header.index(column)
