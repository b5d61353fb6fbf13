"""The fuzzers of native/fuzz build, and find nothing in a few seconds; `scripts/fuzz` gives them longer."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = sorted(path.name for path in (ROOT / "native" / "fuzz").glob("*.[cp]*"))


@pytest.mark.slow
@pytest.mark.timeout(450)  # most of which is building
@pytest.mark.parametrize("target", TARGETS)
def test_a_fuzzer_finds_nothing_in_a_few_seconds(target: str) -> None:
    if target.endswith(".py") and not importlib.util.find_spec("atheris"):
        pytest.skip("atheris is not installed")
    if target.endswith(".c") and not shutil.which("clang"):
        pytest.skip("clang is not installed")
    run = subprocess.run(
        [ROOT / "scripts" / "fuzz", "3", target], capture_output=True, text=True, timeout=400, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
