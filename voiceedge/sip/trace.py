"""What was said about each leg in SIP, word for word: kept as it came and went, and read only when somebody asks."""

import re
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from voiceedge.sip import library
from voiceedge.sip.headers import LONGEST_CALL_ID, one_line
from voiceedge.sip.wire import Wire

MOST_LEGS = 50  # that are over
MOST_STRANGERS = 16  # invitations that have not become a leg, or never will
MOST_MESSAGES = 100  # of a leg; of more, the middle goes …
MOST_BYTES = 64_000  # … and so it does of long ones
_FIRST = 3  # before the gate, and after all that write into what is sent
_CALL_ID = re.compile(rb"\r\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_INVITE = b"INVITE "


@dataclass(frozen=True, slots=True)
class SipMessage:
    """`at` is the time of day in seconds since 1970."""

    at: float
    sent: bool
    text: bytes


@dataclass(slots=True)
class Talk:
    """The messages of one leg; `left_out`: how many of the middle are not kept."""

    messages: list[SipMessage] = field(default_factory=list)
    left_out: int = 0
    size: int = 0

    def add(self, message: SipMessage) -> None:
        self.messages.append(message)
        self.size += len(message.text)
        while len(self.messages) > MOST_MESSAGES or self.size > MOST_BYTES:
            self.size -= len(self.messages.pop(len(self.messages) // 2).text)
            self.left_out += 1


class Trace:
    """By Call-ID. Only an INVITE begins a talk; nobody's knocking drives out those of real legs."""

    def __init__(self) -> None:
        self._wire = Wire()
        self._up: dict[str, Talk] = {}
        self._over: OrderedDict[str, Talk] = OrderedDict()
        self._strangers: OrderedDict[str, Talk] = OrderedDict()
        self._repeating = False

    def watch(self) -> None:
        library.on_traffic(b"voiceedge-trace", _FIRST, received=self._received, sent=self._sent)

    def begin(self, call_id: str) -> None:
        """It has become a leg."""
        self._up[call_id] = self._find(call_id) or Talk()
        self._strangers.pop(call_id, Talk())

    def over(self, call_id: str) -> None:
        if talk := self._up.pop(call_id, None):
            self._over[call_id] = talk
            self._over.move_to_end(call_id)
            _shorten(self._over, MOST_LEGS)

    def of(self, call_id: str) -> Talk:
        """As it is now; empty where it is not known, or not any more."""
        found = self._find(call_id) or Talk()
        return Talk(list(found.messages), found.left_out, found.size)

    @contextmanager
    def repeating(self) -> Iterator[None]:
        """Requests that are let in now had come before."""
        self._repeating = True
        try:
            yield
        finally:
            self._repeating = False

    def _find(self, call_id: str) -> Talk | None:
        return self._up.get(call_id) or self._over.get(call_id) or self._strangers.get(call_id)

    def _received(self, message: int) -> None:
        if not self._repeating:
            self._add(self._wire.received(message), sent=False)

    def _sent(self, message: int) -> None:
        self._add(self._wire.sent(message), sent=True)

    def _add(self, text: bytes, *, sent: bool) -> None:
        found = _CALL_ID.search(text)
        if not found:
            return
        call_id = one_line(found[1].decode("utf-8", "replace"), LONGEST_CALL_ID)
        talk = self._find(call_id)
        if talk is None:
            if sent or not text.startswith(_INVITE):
                return
            talk = self._strangers[call_id] = Talk()
            _shorten(self._strangers, MOST_STRANGERS)
        talk.add(SipMessage(time.time(), sent, text))


def _shorten(talks: OrderedDict[str, Talk], most: int) -> None:
    while len(talks) > most:
        talks.popitem(last=False)
