"""How long to wait before trying again: longer each time, never all at the same moment."""

import itertools
import random
from collections.abc import Iterator


def backoff(first_s: float = 0.2, longest_s: float = 5.0) -> Iterator[float]:
    """Doubling delays, each shortened by chance to between half and all of it."""
    for attempt in itertools.count():
        yield min(longest_s, first_s * 2 ** min(attempt, 30)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
