"""The gate: keeps from PJSIP what we cannot serve, will not serve, or would die of."""

import time
from collections import deque
from typing import Protocol

from voiceedge.sip import library
from voiceedge.sip.headers import has_codec, is_key_relay, is_safe_sdp

# PJSIP asks its modules in this order: transport (8), transactions (16), dialogs (32), invitations (48), PJSUA (64).
_FIRST = 4
_AFTER_DIALOGS = 33

# PJSIP has 64 select() handles and keeps closed ones for half a second; it aborts when none is left. A call takes two.
_NEW_CALLS = 16
_WINDOW_S = 0.6
_MOST_HELD = 64
_HELD_POLL_MS = 20
_REPEATED_S = 32.0  # how long an INVITE may be repeated: RFC 3261, 64 times T1
_MOST_REMEMBERED = 4096

_OK = 200
_NOT_ALLOWED = 405
_UNSUPPORTED_BODY = 415
_NO_SUCH_CALL = 481
_TERMINATED = 487
_NOT_ACCEPTABLE = 488
_BUSY = 503
_SERVED = frozenset({"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "NOTIFY", "REFER"})
_OFFERS = frozenset({"INVITE", "UPDATE"})
_ANYWHERE = frozenset({"ACK", "CANCEL", "OPTIONS"})


class House(Protocol):
    """What the gate asks about a request."""

    def takes_no_more(self) -> bool: ...

    def referred(self, request: int) -> None:
        """Answer a REFER, or keep it."""

    def replaced(self, request: int) -> int:
        """0, or the status that refuses an INVITE with Replaces."""


class Gate:
    """Sees each message before PJSIP acts on it.

    Left to itself PJSIP aborts over an IPv6 address under an IPv4 label, over a malformed key in an INFO, and over too
    many calls a second; answers one call too many with 486 and no Retry-After; takes messages and subscriptions
    from anybody; and is silent to methods it does not know. A burst of calls is let in one after another.

    What it answers itself PJSIP knows nothing of, and what PJSIP has answered with 200 it knows no longer: an INVITE
    that is repeated because the answer crossed it would be a call that nobody makes.
    """

    def __init__(self, house: House, retry_after_s: int, codecs: tuple[str, ...]) -> None:
        self._house, self._codecs = house, codecs
        self._retry_after = library.retry_after(retry_after_s)
        self._allow = library.allow()
        self._let_in: deque[float] = deque(maxlen=_NEW_CALLS)
        self._held: dict[bytes, int] = {}  # by invitation, in order of arrival
        self._answered: dict[bytes, tuple[int, float]] = {}  # by invitation: the status (0: let in), and when
        library.on_message(b"voiceedge-sdp", _FIRST, request=self._refuses_content, response=self._drops_content)
        library.on_message(b"voiceedge-gate", _AFTER_DIALOGS, request=self._refuses)

    def let_in_held(self, timeout_ms: int) -> int:
        """Go on with what is due, and return how long the pump may sleep."""
        while self._held and not self._crowded():
            library.process(self._held.pop(next(iter(self._held))))
        return min(timeout_ms, _HELD_POLL_MS) if self._held else timeout_ms

    def _crowded(self) -> bool:
        return len(self._let_in) == _NEW_CALLS and time.monotonic() - self._let_in[0] < _WINDOW_S

    def _refuses(self, request: int) -> bool:
        method = library.method_of(request)
        if method == "INVITE":
            return self._refuses_call(request)
        if method in _ANYWHERE:
            return False
        library.respond(request, _NO_SUCH_CALL)
        return True

    def _refuses_call(self, request: int) -> bool:
        invitation = library.invitation_of(request)
        status, at = self._answered.get(invitation, (0, -_REPEATED_S))
        if time.monotonic() - at < _REPEATED_S:
            if status:  # of a call that was let in PJSIP repeats its answer by itself (RFC 6026, Accepted)
                self._respond(request, status)
        elif invitation in self._held:
            pass  # it is let in when its turn comes
        elif refusal := self._house.replaced(request):
            self._answer(invitation, request, refusal)
        elif self._house.takes_no_more() or len(self._held) == _MOST_HELD:
            self._answer(invitation, request, _BUSY)
        elif self._crowded():
            self._held[invitation] = library.keep(request)
        else:
            self._let_in.append(time.monotonic())
            self._remember(invitation, 0)
            return False
        return True

    def _answer(self, invitation: bytes, request: int, status: int) -> None:
        self._remember(invitation, status)
        self._respond(request, status)

    def _remember(self, invitation: bytes, status: int) -> None:
        self._answered.pop(invitation, None)
        self._answered[invitation] = (status, time.monotonic())
        if len(self._answered) > _MOST_REMEMBERED:
            del self._answered[next(iter(self._answered))]

    def _respond(self, request: int, status: int) -> None:
        library.respond(request, status, self._retry_after if status == _BUSY else None)

    def _refuses_content(self, request: int) -> bool:
        """Within calls too."""
        method = library.method_of(request)
        if method not in _SERVED:
            library.respond(request, _NOT_ALLOWED, self._allow)
        elif method == "REFER":
            self._house.referred(request)
        elif method == "CANCEL" and self._held:
            return self._cancels_held(request)
        elif method == "INFO" and not is_key_relay(library.key_relay_of(request)):
            library.respond(request, _UNSUPPORTED_BODY)
        elif not is_safe_sdp(library.sdp_of(request)):
            if method != "ACK":
                library.respond(request, _NOT_ACCEPTABLE)
        elif method in _OFFERS and not has_codec(library.sdp_of(request), self._codecs):
            library.respond(request, _NOT_ACCEPTABLE)  # PJSIP would say 500 within a call
        else:
            return False
        return True

    def _cancels_held(self, request: int) -> bool:
        invitation = library.invitation_of(request)
        kept = self._held.pop(invitation, None)
        if kept is None:
            return False
        library.respond(request, _OK)
        self._answer(invitation, kept, _TERMINATED)
        library.drop(kept)
        return True

    @staticmethod
    def _drops_content(response: int) -> bool:
        return not is_safe_sdp(library.sdp_of(response))
