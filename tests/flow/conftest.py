from pathlib import Path

import pytest
from talks import Flows


@pytest.fixture
def flows(tmp_path: Path) -> Flows:
    return Flows(tmp_path)
