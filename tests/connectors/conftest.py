"""Connectors of a file that a test writes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from voiceedge.clock import Clock, RealClock
from voiceedge.connectors.service import Connectors

Load = Callable[..., Connectors]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str, clock: Clock | None = None) -> Connectors:
        file = tmp_path / "connectors.toml"
        file.write_text(text, encoding="utf-8")
        return Connectors.load(file, clock or RealClock())

    return load
