"""What PJSIP's callbacks and calls are made of: exceptions kept in, messages read from events, parameters filled."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pjsua2 as pj
import structlog

S = TypeVar("S")
log = structlog.get_logger()


def never_raises(callback: Callable[[S, Any], None]) -> Callable[[S, Any], None]:
    """PJSIP swallows what a callback raises and goes on with half of the work undone: at least say so."""

    @functools.wraps(callback)
    def guarded(self: S, told: Any) -> None:
        try:
            callback(self, told)
        except Exception as error:  # noqa: BLE001 - see above
            log.error("sip_callback_failed", callback=callback.__name__, error=type(error).__name__)  # noqa: TRY400

    return guarded


def received(event: Any) -> str:
    """The message whose arrival a SIP event is about, empty where it is about something else."""
    state = event.body.tsxState
    if event.type != pj.PJSIP_EVENT_TSX_STATE or state.type != pj.PJSIP_EVENT_RX_MSG:
        return ""
    return str(state.src.rdata.wholeMsg)


def sent(event: Any) -> str:
    state = event.body.tsxState
    if event.type != pj.PJSIP_EVENT_TSX_STATE or state.type != pj.PJSIP_EVENT_TX_MSG:
        return ""
    return str(state.src.tdata.wholeMsg)


def parameters(code: int = 0, headers: Mapping[str, str] | None = None) -> pj.CallOpParam:
    made = pj.CallOpParam(True)  # without True its settings are whatever lay in memory
    made.opt.audioCount, made.opt.videoCount = 1, 0
    made.statusCode = code
    for name, value in (headers or {}).items():
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        made.txOption.headers.push_back(header)
    return made
