"""One Key per press out of RFC 4733 events, SIP INFO and tones in band, by however many of these ways it is told."""

from collections import deque
from dataclasses import dataclass

from voiceedge.sip.events import Key, KeyMethod

KEYS = frozenset("0123456789*#ABCD")
SKEW_NS = 300_000_000  # between a press's beginning in RFC 4733 and in band: what gateways and jitter buffers add
PAIRING_NS = 1_000_000_000  # INFO is sent at a key's release and goes its own way

# flags of a DTMF event
UPDATE, END = 1, 2


@dataclass(eq=False)
class _Press:
    key: str
    began_ns: dict[KeyMethod, int]  # as each way that has told it says


class KeyPresses:
    """The memory of one call.

    Each way tells the presses of a key in their order, so what a way tells is the oldest press that fits in time and
    that it has not told yet. So a key pressed twice is two keys, also where all ways tell both, or one misses one.

        in band        ██ (leaked)                  ██████████ (let through)
        RFC 4733         ├──┼──┼──┤             ├──┼──┼──┤
        INFO                        │                       │
                       one key                  one key
    """

    def __init__(self) -> None:
        self._recent: deque[_Press] = deque(maxlen=16)
        self._stamped: deque[tuple[int, _Press]] = deque(maxlen=8)
        self._open: _Press | None = None  # RFC 4733 has told its beginning and not its end …
        self._open_ns = 0  # … and last so then
        self._sounding: str | None = None  # the key that is down in band
        self._down_ns: dict[str, int] = {}  # when each key was last known to be down

    def rfc4733(self, key: str, timestamp: int, flags: int, duration_ms: int, now_ns: int) -> Key | None:
        press, event = self._same(key, timestamp, flags), None
        if press is None:
            press, event = self._told(key, "rfc4733", duration_ms, now_ns, now_ns)
            self._open = press
        if press is None:
            return None
        if (timestamp, press) not in self._stamped:
            self._stamped.append((timestamp, press))
        self._open_ns = now_ns
        self._down(press.key, now_ns)
        if flags & END:
            self._open = None
        return event

    def _same(self, key: str, timestamp: int, flags: int) -> _Press | None:
        """The press a packet belongs to, if it is not the first of one."""
        key = key.upper()
        for stamp, press in self._stamped:
            if stamp == timestamp and press.key == key:
                return press
        # Some senders count the timestamp on through a press: an update of the open key is no new one.
        return self._open if self._open and flags & UPDATE and self._open.key == key else None

    def info(self, key: str, duration_ms: int, now_ns: int) -> Key | None:
        return self._told(key, "info", duration_ms, now_ns, now_ns)[1]

    def in_band(self, key: str, began_ns: int, now_ns: int) -> Key | None:
        """The tone of a key is heard, and began at `began_ns`."""
        press, event = self._told(key, "in_band", (now_ns - began_ns) // 1_000_000, began_ns, now_ns)
        self._sounding = press.key if press else None
        if press:
            self._down(press.key, now_ns)
        return event

    def in_band_over(self, ended_ns: int) -> None:
        """It is heard no more."""
        if self._sounding:
            self._down(self._sounding, ended_ns)
            self._sounding = None

    def _down(self, key: str, at_ns: int) -> None:
        self._down_ns[key] = max(at_ns, self._down_ns.get(key, at_ns))

    def _told(
        self, key: str, method: KeyMethod, duration_ms: int, began_ns: int, now_ns: int
    ) -> tuple[_Press | None, Key | None]:
        """Which press this is, and its event if it is the first to tell it."""
        key = key.upper()
        if key not in KEYS:
            return None, None
        for press in self._recent:
            if press.key == key and self._fits(press, method, began_ns):
                press.began_ns.setdefault(method, began_ns)
                return press, None
        press = _Press(key, {method: began_ns})
        self._recent.append(press)
        return press, Key(key, max(0, duration_ms), method, now_ns)

    def _fits(self, press: _Press, method: KeyMethod, began_ns: int) -> bool:
        if method in press.began_ns:
            return method == "in_band" and self._goes_on(press, began_ns)
        if method == "info":
            return self._sounding == press.key or began_ns - self._down_ns[press.key] <= PAIRING_NS
        return any(
            began_ns - other_ns <= SKEW_NS and (other == "info" or other_ns - began_ns <= SKEW_NS)
            for other, other_ns in press.began_ns.items()
        )

    def _goes_on(self, press: _Press, began_ns: int) -> bool:
        """A tone that begins anew in a press that RFC 4733 goes on telling is the same one after a gap."""
        if press is not self._open:
            return False
        rfc4733_ns = press.began_ns["rfc4733"]
        late_ns = rfc4733_ns - press.began_ns["in_band"]
        return rfc4733_ns + SKEW_NS < began_ns < self._open_ns - late_ns
