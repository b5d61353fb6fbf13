"""The demo, as a newcomer runs it: exit 0 means that all was understood, nothing lost and nothing asked twice."""

import asyncio
from pathlib import Path

import pytest
from commands import voiceedge

DEADLINE_S = 900  # the first time it renders its prompts

pytestmark = [pytest.mark.slow, pytest.mark.speech, pytest.mark.timeout(DEADLINE_S + 30)]

ROOT = Path(__file__).parents[2]


async def test_the_demo_ends_well():
    """What it renders stays in var/demo for the next time."""
    async with asyncio.timeout(DEADLINE_S), voiceedge("demo", cwd=ROOT) as demo:
        told, problems = await demo.communicate()
    text = told.decode() + problems.decode()
    assert demo.returncode == 0, text
    assert "all went well" in text
    assert "the web chat opens with" in text
    assert "conversation.continued: by web-chat, link, proved" in text
    assert "conversation.continued: by phone, pin, proved" in text
