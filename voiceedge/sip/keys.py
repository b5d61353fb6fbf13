"""One Key per press out of RFC 4733 events and SIP INFO, however often and by however many ways a press is told."""

from collections import deque
from typing import Literal

from voiceedge.sip.events import Key

KEYS = frozenset("0123456789*#ABCD")
PAIRING_NS = 1_000_000_000  # INFO is sent at a key's release, RFC 4733 at its press

# flags of a DTMF event
UPDATE, END = 1, 2

Method = Literal["rfc4733", "info"]


class KeyPresses:
    """The memory of one call.

    A press is known by its RTP timestamp. The same key by the other method within a second is the same press, and each
    press is paired only once: a key that is pressed twice and told by both methods both times is two keys.
    """

    def __init__(self) -> None:
        self._timestamps: deque[int] = deque(maxlen=8)
        self._open_key: str | None = None  # the RFC 4733 press whose end has not been seen
        self._unpaired: deque[tuple[str, Method, int]] = deque(maxlen=16)

    def rfc4733(self, key: str, timestamp: int, flags: int, duration_ms: int, now_ns: int) -> Key | None:
        same_press = timestamp in self._timestamps
        # Some senders count the timestamp on through a press: an update of the open key is no new one.
        drifting = flags & UPDATE and key == self._open_key
        self._open_key = None if flags & END else key
        if not same_press:
            self._timestamps.append(timestamp)
        if same_press or drifting:
            return None
        return self._press(key, duration_ms, "rfc4733", now_ns)

    def info(self, key: str, duration_ms: int, now_ns: int) -> Key | None:
        return self._press(key, duration_ms, "info", now_ns)

    def _press(self, key: str, duration_ms: int, method: Method, now_ns: int) -> Key | None:
        key = key.upper()
        if key not in KEYS:
            return None
        for told in self._unpaired:
            if told[0] == key and told[1] != method and now_ns - told[2] <= PAIRING_NS:
                self._unpaired.remove(told)
                return None
        self._unpaired.append((key, method, now_ns))
        return Key(key, max(0, duration_ms), method, now_ns)
