"""A disk that can be full."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(directory: Path, megabytes: int = 2) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """A file system of its own at `directory`, and what fills it."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", directory]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")

    @contextmanager
    def full() -> Iterator[None]:
        ballast = directory / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"\0" * 4096):
                pass
        yield
        ballast.unlink()

    try:
        yield full
    finally:
        subprocess.run(["umount", directory], check=True)
