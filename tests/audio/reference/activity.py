"""When speech starts and ends, told by someone who sees the whole recording."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    started: bool
    known_at: int  # the block with which it could be told
    block: int  # the first block of speech, or the first after it


def changes(voiced: Sequence[bool], onset: int, window: int, offset: int) -> list[Change]:
    """Speech starts where `onset` of `window` blocks are voiced and ends where `offset` in a row are not, by turns."""
    found: list[Change] = []
    since = 0  # what came before the last end of speech is forgotten
    for now in range(len(voiced)):
        if not found or not found[-1].started:
            first = max(since, now + 1 - window)
            heard = [block for block in range(first, now + 1) if voiced[block]]
            if len(heard) >= onset:
                found.append(Change(True, now, heard[0]))
        elif now + 1 >= offset and not any(voiced[now + 1 - offset : now + 1]):
            found.append(Change(False, now, now + 1 - offset))
            since = now + 1
    return found
