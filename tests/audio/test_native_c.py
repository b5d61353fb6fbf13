"""The C tests of native/test, built and run under the compiler's sanitizers."""

import functools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parents[2] / "native"
STRICT = [
    "-std=c11",
    "-D_GNU_SOURCE",
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Werror",
]
MEMORY = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
THREADS = ["-fsanitize=thread"]
FAILING_MEMORY = ["-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc"]  # see native/test/check.h


def thread_compiler() -> list[str]:
    """GCC's thread sanitizer warns that it does not model fences. Ours order nothing but atomics, so it may go on."""
    return ["clang"] if shutil.which("clang") else ["gcc", "-Wno-tsan"]


TESTS = sorted(path.stem for path in (NATIVE / "test").glob("*.c"))
RACES = [test for test in TESTS if test.endswith("race")]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Path]]:
    """Our own sources, compiled once for each sanitizer. The bridge needs PJSIP and is tested through Python."""

    @functools.cache
    def compiled(sanitizer: str) -> list[Path]:
        folder = tmp_path_factory.mktemp(sanitizer)
        sources = [source for source in sorted((NATIVE / "src").glob("*.c")) if source.name != "bridge.c"]
        subprocess.run([*build_with(sanitizer), "-c", *sources], check=True, timeout=300, cwd=folder)
        return sorted(folder.glob("*.o"))

    return compiled


def build_with(sanitizer: str) -> list[str]:
    compiler, flags = {"memory": (["cc"], MEMORY), "threads": (thread_compiler(), THREADS)}[sanitizer]
    return [*compiler, *STRICT, *flags, f"-I{NATIVE / 'include'}"]


@pytest.mark.slow
@pytest.mark.timeout(900)  # the first one of a sanitizer builds all sources
@pytest.mark.parametrize(
    ("test", "sanitizer"), [*((test, "memory") for test in TESTS), *((test, "threads") for test in RACES)]
)
def test_the_c_code_is_clean_under_the_sanitizers(
    tmp_path: Path, objects: Callable[[str], list[Path]], test: str, sanitizer: str
) -> None:
    program = tmp_path / test
    build = [*build_with(sanitizer), NATIVE / "test" / f"{test}.c", *objects(sanitizer), "-o", program]
    subprocess.run([*build, *FAILING_MEMORY, "-lm", "-ldl", "-lpthread"], check=True, timeout=300)
    run = subprocess.run([program], capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
