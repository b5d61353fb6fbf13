"""A REFER that came in (RFC 3515): kept until its owner decides, and then reported on by NOTIFY."""

import time
from http import HTTPStatus

import pjsua2 as pj

from voiceedge.errors import SipError
from voiceedge.sip import library

DECLINED = 603
DECIDE_S = 5.0  # the asker's transaction would last 32 s, but nobody presses "transfer" twice so long
_FINAL = 200
_EXPIRES_S = 180


class Referral:
    """In the pump. PJSIP never sees the request: left to itself it would place the call at once."""

    def __init__(self, request: int, sequence: int, *, first: bool) -> None:
        self.sequence = sequence
        self._kept = library.keep(request)
        self._first = first
        self._code = 0
        self._over = False
        self._until = time.monotonic() + DECIDE_S

    @property
    def open(self) -> bool:
        """Undecided, or accepted and without an end."""
        return not self._over

    def answer(self, code: int) -> None:
        if self._code:
            raise SipError("This transfer has been answered already.")
        self._code = code
        self._over = code > _FINAL + 99
        library.respond(self._kept, code)
        library.drop(self._kept)

    def repeat(self, request: int) -> None:
        """The request came once more: its answer was lost, or is still to be given."""
        if self._code:
            library.respond(request, self._code)

    def lapse(self) -> None:
        if not self._code and time.monotonic() >= self._until:
            self.answer(DECLINED)

    def drop(self) -> None:
        """The call has ended."""
        if not self._code:
            self.answer(DECLINED)

    def notify(self, code: int) -> pj.CallSendRequestParam:
        """The NOTIFY that tells how far the transfer is; after a final status there is none."""
        if not self._code or self._over:
            raise SipError("This transfer is not under way.")
        self._over = code >= _FINAL
        made = pj.CallSendRequestParam()
        made.method = "NOTIFY"
        event = "refer" if self._first else f"refer;id={self.sequence}"
        state = "terminated;reason=noresource" if self._over else f"active;expires={_EXPIRES_S}"
        for name, value in (("Event", event), ("Subscription-State", state)):
            header = pj.SipHeader()
            header.hName, header.hValue = name, value
            made.txOption.headers.push_back(header)
        made.txOption.contentType = "message/sipfrag"
        made.txOption.msgBody = f"SIP/2.0 {code} {_phrase(code)}\r\n"
        return made


def _phrase(code: int) -> str:
    known = {100: "Trying", 180: "Ringing", 183: "Session Progress", 486: "Busy Here", 603: "Decline"}
    if code in known:
        return known[code]
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Failed"
