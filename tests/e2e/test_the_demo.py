"""The demo, as a newcomer runs it: exit 0 means that the caller was understood and nothing was lost."""

import asyncio
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.speech, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]


async def test_the_demo_ends_well():
    """What it renders is kept in var/demo, which minutes of work have gone into."""
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voiceedge", "demo", cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    told, _ = await demo.communicate()
    text = told.decode()
    assert demo.returncode == 0, text
    assert "all went well" in text
    assert "the web chat opens with" in text
