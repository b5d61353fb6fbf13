"""The `voiceedge` commands, as people run them."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def voiceedge(*arguments: str | Path, cwd: Path | None = None) -> AsyncIterator[Process]:
    """A command, which ends with the block at the latest."""
    command = (sys.executable, "-m", "voiceedge", *arguments)
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
