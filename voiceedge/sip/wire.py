"""The text of messages on their way, as it lies in PJSIP's structures; for the pump's thread only."""

import ctypes

# struct pjsip_rx_data holds the packet (4000 bytes) itself; pointer and length of the message in it follow thereafter.
_RECEIVED_FROM, _RECEIVED_TO, _LONGEST = 4000, 4800, 4000
# struct pjsip_tx_data has three pointers to a buffer of 4000 bytes: its start, the end of the text in it, its end.
_SENT_FROM, _SENT_TO = 64, 800
_STEP = ctypes.sizeof(ctypes.c_void_p)
_RESPONSE = b"SIP/2.0 "


class Wire:
    """Reads the text of messages, the place of which it finds once. Of another build of PJSIP it reads nothing."""

    def __init__(self) -> None:
        self._received_at = self._sent_at = 0

    def received(self, message: int) -> bytes:
        """Of a struct pjsip_rx_data; empty where its text does not lie where it should."""
        if not self._received_at:
            places = range(_RECEIVED_FROM, _RECEIVED_TO, _STEP)
            self._received_at = next((at for at in places if _is_message(_received_text(message, at))), 0)
        return _received_text(message, self._received_at) if self._received_at else b""

    def parsed(self, message: int) -> int:
        """The struct pjsip_msg made of a received one, which follows pointer and length of its text; 0: see above."""
        if not self.received(message):
            return 0
        return ctypes.c_uint64.from_address(message + self._received_at + 2 * _STEP).value

    def sent(self, message: int) -> bytes:
        """Of a struct pjsip_tx_data that has been put into words."""
        if not self._sent_at:
            places = range(_SENT_FROM, _SENT_TO, _STEP)
            self._sent_at = next((at for at in places if _is_message(_sent_text(message, at))), 0)
        return _sent_text(message, self._sent_at) if self._sent_at else b""


def _received_text(message: int, at: int) -> bytes:
    start = ctypes.c_uint64.from_address(message + at).value
    length = ctypes.c_int.from_address(message + at + _STEP).value
    within = message < start < message + _RECEIVED_TO - _LONGEST + _RECEIVED_FROM
    return ctypes.string_at(start, length) if within and 0 < length <= _LONGEST else b""


def _sent_text(message: int, at: int) -> bytes:
    start, now, end = (ctypes.c_uint64 * 3).from_address(message + at)
    return ctypes.string_at(start, now - start) if start < now <= end and end - start == _LONGEST else b""


def _is_message(text: bytes) -> bool:
    """Whether it begins as one (RFC 3261, 7.1 and 7.2)."""
    first = text.partition(b"\r\n")[0]
    return first.startswith(_RESPONSE) or first.endswith(_RESPONSE.rstrip())
