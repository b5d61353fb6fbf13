"""Customers whom one agent is sending on to another, until their phone is answered or not: with the note for them."""

from collections.abc import Iterator
from dataclasses import dataclass

from voiceedge.clock import Clock

LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class Sent:
    call: str
    conversation: str
    by: str
    to: str
    note: str
    since_ms: int
    until: float


class Coming:
    """By the call: it goes to one only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: dict[str, Sent] = {}
        self._notes: dict[tuple[str, str], str] = {}  # by call and agent, while they talk

    def begin(self, call: str, conversation: str, *, by: str, to: str, note: str) -> None:
        now_ms = int(self._clock.now().timestamp() * 1000)
        self._sent[call] = Sent(call, conversation, by, to, note, now_ms, self._clock.monotonic() + LONGEST_S)

    def over(self, call: str) -> None:
        self._sent.pop(call, None)

    def answered(self, call: str, agent: str) -> None:
        sent = self._sent.pop(call, None)
        if sent and sent.to == agent and sent.note:
            self._notes[call, agent] = sent.note

    def left(self, call: str, agent: str) -> None:
        self._notes.pop((call, agent), None)

    def note(self, call: str, agent: str) -> str:
        """What they were told of this call, for as long as they are in it."""
        return self._notes.get((call, agent), "")

    def to(self, agent: str) -> Iterator[Sent]:
        now = self._clock.monotonic()
        return (sent for sent in list(self._sent.values()) if sent.to == agent and now < sent.until)
