"""The gate: refuses calls before PJSIP gives them a slot, so that every refusal says when to come back."""

from collections.abc import Callable

from voiceedge.sip import library

# PJSIP asks modules in this order: dialogs (32), we, PJSUA (64), and we again for what nobody wanted.
_BEFORE_PJSUA = 33
_AFTER_ALL = 100

_BUSY = 503
_NOT_ALLOWED = 405


class Gate:
    """PJSIP's own answer to one call too many is 486 without Retry-After; and to requests it does not know, silence."""

    def __init__(self, is_full: Callable[[], bool], retry_after_s: int) -> None:
        self._is_full = is_full
        self._retry_after = library.retry_after(retry_after_s)
        self._allow = library.allow()
        self.refused = 0
        library.on_request(b"voiceedge-gate", _BEFORE_PJSUA, self._invited)
        library.on_request(b"voiceedge-rest", _AFTER_ALL, self._unwanted)

    def _invited(self, request: int) -> bool:
        if library.method_of(request) != "INVITE" or not self._is_full():
            return False
        self.refused += 1
        library.respond(request, _BUSY, self._retry_after)
        return True

    def _unwanted(self, request: int) -> bool:
        if library.method_of(request) == "ACK":
            return False
        library.respond(request, _NOT_ALLOWED, self._allow)
        return True
