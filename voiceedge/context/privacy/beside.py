"""Long texts beside the event loop: identifiers are looked for in all of a text, and others do not wait for that."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

LONG = 200  # characters; of the worst texts, a thousand take some 10 ms


async def beside(text: str, work: Callable[[], Result]) -> Result:
    """What `work` makes of this text."""
    return await asyncio.to_thread(work) if len(text) > LONG else work()
