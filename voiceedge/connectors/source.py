"""What every kind of connector does: find the mapped values for a question, raw as the other system has them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from voiceedge.connectors.answers import SystemFailedError


class Source(Protocol):
    async def ask(self, values: Mapping[str, str]) -> Mapping[str, Any]:
        """By the names of the profile's `found`. Raises NotThereError, SystemFailedError."""

    async def close(self) -> None: ...


def secret(key: str, file: Path) -> str:
    """Read for each question, so that it can be changed without a restart. Raises SystemFailedError."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not ASCII text"
        raise SystemFailedError(f"{key}: {file} cannot be read: {reason}") from None
    if not text.isprintable() or not text:
        raise SystemFailedError(f"{key}: {file} holds no secret of one line")
    return text
