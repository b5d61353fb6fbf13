"""How the service logs: one line an event, for people on a terminal, as JSON for a collector."""

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

from voiceedge.config import Log
from voiceedge.context.privacy.pii import mask_text

# Without the frames' variables: they hold what callers said.
_TRACES = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


_OURS = frozenset({"timestamp", "level", "conversation"})  # made here, and looked for as they are


def _discreet(_logger: object, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last resort: whoever logs masks what callers said, but a message of an error may quote it."""
    for name, value in record.items():
        if name not in _OURS:
            record[name] = _without_identifiers(value)
    return record


def _without_identifiers(value: object) -> object:
    """Of what the renderers write out: text, and whatever holds or tells text."""
    match value:
        case str():
            return mask_text(value)
        case None | bool() | int() | float():
            return value
        case dict():
            return {name: _without_identifiers(inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_without_identifiers(inner) for inner in value]
    return mask_text(str(value))


class _DiscreetFormatter(logging.Formatter):
    """For the libraries that log by themselves, their traces included."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_text(super().format(record))


class _Patient:
    """Standard error that may be full or gone: a line is lost then, never a call."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def configure(settings: Log) -> None:
    as_text = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if as_text else _TRACES,
            _discreet,
            structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Patient())),
    )
    libraries = logging.StreamHandler(sys.stderr)
    libraries.setFormatter(_DiscreetFormatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[libraries])
