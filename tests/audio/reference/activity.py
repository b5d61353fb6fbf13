"""When speech starts and ends, told by someone who sees the whole recording."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    started: bool
    known_at: int  # the block with which it could be told
    block: int  # the first block of speech, or the first after it


@dataclass(frozen=True)
class Rule:
    """In blocks: see ve_activity_settings."""

    onset: int
    window: int
    hangover: int
    offset: int


def changes(heard: Sequence[bool], confirmed: Sequence[bool], rule: Rule) -> list[Change]:
    """Speech goes from a voiced block with enough heard before it to a gap that no word has, by turns."""
    voiced = [both == (True, True) for both in zip(heard, confirmed, strict=True)]

    def is_onset(now: int, since: int) -> bool:
        return voiced[now] and sum(heard[max(since, now + 1 - rule.window) : now + 1]) >= rule.onset

    found: list[Change] = []
    since = 0  # what came before counts for no onset
    last = -1  # block that was speech
    for now in range(len(heard)):
        gap = now - last
        if not found or not found[-1].started:
            if is_onset(now, since):
                first = max(since, now + 1 - rule.window)
                found.append(Change(True, now, first + list(heard[first:]).index(True)))
                last = now
        elif is_onset(now, last + rule.hangover + 2) or (voiced[now] and gap <= rule.hangover + 1):
            last = now
        elif gap >= rule.offset:
            found.append(Change(False, now, last + 1))
            since = now + 1
    return found
