"""An SQLite file asked by one SELECT: opened for reading only, in a thread of its own, and interrupted in time."""

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from voiceedge.connectors import statement
from voiceedge.connectors.answers import SystemFailedError
from voiceedge.connectors.profile import SqlProfile

LOOK_EVERY = 10_000  # instructions of SQLite's machine, some 0.1 ms


class SqliteSource:
    """Opened for each question: the file may be another one by then."""

    def __init__(self, profile: SqlProfile, file: Path) -> None:
        self._profile = profile
        self._uri = f"file:{quote(str(file))}?mode=ro"
        self._query = statement.bounded(profile.query, ":{}".format)
        self._threads = ThreadPoolExecutor(profile.at_once, "connector")  # of its own: the file may hang on a network

    async def ask(self, values: Mapping[str, str]) -> Mapping[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, values)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, values: Mapping[str, str]) -> Mapping[str, Any]:
        until = time.monotonic() + self._profile.timeout_s
        try:
            with closing(sqlite3.connect(self._uri, uri=True, timeout=self._profile.timeout_s)) as connection:
                connection.row_factory = sqlite3.Row
                connection.set_progress_handler(lambda: time.monotonic() > until, LOOK_EVERY)
                rows = connection.execute(self._query, values).fetchall()
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
            raise SystemFailedError(_explained(error)) from None
        return statement.only([dict(row) for row in rows], self._profile.columns)


def _explained(error: Exception) -> str:
    """By SQLite's own name for it: its text may quote values."""
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    reasons = {
        "SQLITE_CANTOPEN": "the file is not there, or may not be read",
        "SQLITE_NOTADB": "the file is no SQLite database",
        "SQLITE_ERROR": "the query is not understood: try it with sqlite3",
        "SQLITE_READONLY": "the query writes; a look-up only reads",
        "SQLITE_BUSY": "the file is locked by another program",
        "SQLITE_INTERRUPT": "the query takes too long: see whether an index would help it",
    }
    known = (reason for begin, reason in reasons.items() if name.startswith(begin))
    return f"{next(known, 'the database refused')} ({name})"
