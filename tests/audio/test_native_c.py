"""The C tests of native/test, built and run under the compiler's sanitizers."""

import shutil
import subprocess
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "compiler", "flags"),
    [
        *(pytest.param(test, ["cc"], MEMORY, id=f"{test}-memory") for test in TESTS),
        *(pytest.param(test, thread_compiler(), THREADS, id=f"{test}-threads") for test in RACES),
    ],
)
def test_the_c_code_is_clean_under_the_sanitizers(
    tmp_path: Path, test: str, compiler: list[str], flags: list[str]
) -> None:
    program = tmp_path / test
    sources = [source for source in sorted((NATIVE / "src").glob("*.c")) if source.name != "bridge.c"]
    build = [
        *compiler,
        *STRICT,
        *flags,
        f"-I{NATIVE / 'include'}",
        NATIVE / "test" / f"{test}.c",
        *sources,
        "-o",
        program,
    ]
    subprocess.run([*build, *FAILING_MEMORY, "-lm", "-ldl", "-lpthread"], check=True, timeout=120)
    run = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
