"""The C functions of the pjsua2 wheel that its Python face does not offer, called in the pump thread only."""

import ctypes
from collections.abc import Callable

import pjsua2 as pj
from pjsua2 import _pjsua2

from voiceedge.errors import SipError

_c = ctypes.CDLL(_pjsua2.__file__)  # the library that is loaded already
_c.pjsua_get_pjsip_endpt.restype = ctypes.c_void_p
_c.pjsua_pool_create.restype = ctypes.c_void_p
_c.pjsua_pool_create.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t]
_c.pjsip_rx_data_get_info.restype = ctypes.c_char_p
_c.pjsip_rx_data_get_info.argtypes = [ctypes.c_void_p]
_c.pjsip_retry_after_hdr_create.restype = ctypes.c_void_p
_c.pjsip_retry_after_hdr_create.argtypes = [ctypes.c_void_p, ctypes.c_int]
_c.pjsip_endpt_get_capability.restype = ctypes.c_void_p
_c.pjsip_endpt_get_capability.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
_c.pjsip_hdr_clone.restype = ctypes.c_void_p
_c.pjsip_hdr_clone.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
_c.pjsip_endpt_register_module.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
_c.pjsip_endpt_respond_stateless.argtypes = [
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
]  # fmt: skip
_c.pjsua_call_set_user_data.argtypes = [ctypes.c_int, ctypes.c_void_p]
_c.pjsip_tsx_set_timers.argtypes = [ctypes.c_uint] * 4

_ALLOW = 4  # PJSIP_H_ALLOW of enum pjsip_hdr_e

_RECEIVED = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class _Text(ctypes.Structure):
    _fields_ = (("pointer", ctypes.c_char_p), ("length", ctypes.c_ssize_t))


class _Module(ctypes.Structure):
    """struct pjsip_module: a public interface that has not changed since PJSIP 1.0."""

    _fields_ = (
        ("previous", ctypes.c_void_p),
        ("next", ctypes.c_void_p),
        ("name", _Text),
        ("id", ctypes.c_int),
        ("priority", ctypes.c_int),
        ("load", ctypes.c_void_p),
        ("start", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
        ("unload", ctypes.c_void_p),
        ("on_rx_request", _RECEIVED),
        ("on_rx_response", ctypes.c_void_p),
        ("on_tx_request", ctypes.c_void_p),
        ("on_tx_response", ctypes.c_void_p),
        ("on_tsx_state", ctypes.c_void_p),
    )


class _List(ctypes.Structure):
    """The head of a PJLIB list, and the beginning of each of its elements."""

    _fields_ = (("previous", ctypes.c_void_p), ("next", ctypes.c_void_p), ("rest", ctypes.c_byte * 64))


def silence_log() -> None:
    """PJSIP's own log names callers, and starts before any setting reaches it."""
    _c.pj_log_set_level(0)


def set_transaction_timeout(timeout_s: int) -> None:
    """How long an unanswered request or a missing ACK holds a call (timers B, D, F, H and J of RFC 3261)."""
    _c.pjsip_tsx_set_timers(0, 0, 0, timeout_s * 1000)


def halve_g722() -> None:
    """The codec decodes to twice the level unless told that its samples need one shift."""
    _c.pjmedia_codec_g722_set_pcm_shift(1)


def call_slots() -> int:
    return int(_c.pjsua_call_get_max_count())


def calls_held() -> int:
    return int(_c.pjsua_call_get_count())


class Headers:
    """A header list for stateless answers; PJSIP copies it into each."""

    def __init__(self, header: int) -> None:
        self._head = _List()
        self.address = ctypes.addressof(self._head)
        first = _List.from_address(header)
        first.previous = first.next = self.address
        self._head.previous = self._head.next = header


def retry_after(seconds: int) -> Headers:
    return Headers(_c.pjsip_retry_after_hdr_create(_pool(), seconds))


def allow() -> Headers:
    """The methods that PJSIP's modules have announced."""
    announced = _c.pjsip_endpt_get_capability(_c.pjsua_get_pjsip_endpt(), _ALLOW, None)
    return Headers(_c.pjsip_hdr_clone(_pool(), announced))


def _pool() -> int:
    return int(_c.pjsua_pool_create(b"voiceedge", 1024, 1024))  # lives as long as PJSIP


def respond(request: int, code: int, headers: Headers | None = None) -> None:
    listed = headers.address if headers else None
    _c.pjsip_endpt_respond_stateless(_c.pjsua_get_pjsip_endpt(), request, code, None, listed, None)


def method_of(request: int) -> str:
    """From PJSIP's own summary, `Request msg INVITE/cseq=1 (rdata0x…)`: no offset into its structures is needed."""
    summary = (_c.pjsip_rx_data_get_info(request) or b"").decode("ascii", "replace")
    return summary.removeprefix("Request msg ").partition("/")[0]


_registered: list[_Module] = []  # PJSIP keeps the address: these live as long as the process


def on_request(name: bytes, priority: int, handle: Callable[[int], bool]) -> None:
    """See requests outside dialogs, at this place in the order of modules. `handle` returns True when it has answered."""

    def received(request: int) -> int:
        return int(handle(request))

    module = _Module(name=_Text(name, len(name)), id=-1, priority=priority, on_rx_request=_RECEIVED(received))
    status = _c.pjsip_endpt_register_module(_c.pjsua_get_pjsip_endpt(), ctypes.addressof(module))
    if status or module.id < 0 or not module.next:
        raise SipError("PJSIP refused our request module: this pjsua2 build is not the one VoiceEdge was made for.")
    _registered.append(module)


# class Call { vptr; Account &account; pjsua_call_id id; … }
_ID_OFFSET = 16


def _id_cell(call: pj.Call) -> ctypes.c_int:
    return ctypes.c_int.from_address(int(call.this) + _ID_OFFSET)


def check_call_layout(account: pj.Account) -> None:
    """Prove on an unused slot that a call's id lies where `retire` writes."""
    slot = call_slots() - 1
    call = pj.Call(account, slot)
    found = _id_cell(call).value == slot == call.getId()
    if found:
        retire(call)
    if not found or call.getId() != pj.PJSUA_INVALID_ID:
        raise SipError("pj::Call has another layout: this pjsua2 build is not the one VoiceEdge was made for.")


def retire(call: pj.Call) -> None:
    """Cut an ended call's object from its slot, so that its destructor, whenever it runs, hangs up nobody.

    A pj.Call remembers its slot's number beyond the call's end, and PJSIP gives the slot to the next caller at once. Two
    strings must be cut: the number in the object, and the slot's pointer to the object (which would restore the number).
    """
    cell = _id_cell(call)
    if cell.value != pj.PJSUA_INVALID_ID:
        _c.pjsua_call_set_user_data(cell.value, None)
        cell.value = pj.PJSUA_INVALID_ID
