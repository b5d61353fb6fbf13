"""What an examination finds: how a part is, what is wrong with it, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    FINE = "fine"
    REDUCED = "reduced"  # calls are answered, with less
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    part: str
    state: State
    what: str
    remedy: str = ""


def fine(part: str, what: str) -> Finding:
    return Finding(part, State.FINE, what)


def reduced(part: str, what: str, remedy: str) -> Finding:
    return Finding(part, State.REDUCED, what, remedy)


def broken(part: str, what: str, remedy: str) -> Finding:
    return Finding(part, State.BROKEN, what, remedy)
