"""The C functions of the pjsua2 wheel that its Python face does not offer, called in the pump thread only."""

import ctypes
from collections.abc import Callable
from typing import Any

import pjsua2 as pj
import structlog
from pjsua2 import _pjsua2

from voiceedge.errors import SipError
from voiceedge.sip.wire import Wire

log = structlog.get_logger()

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
_c.pjsip_rdata_get_sdp_info.restype = ctypes.c_void_p
_c.pjsip_rdata_get_sdp_info.argtypes = [ctypes.c_void_p]
_c.pjsip_rdata_get_sdp_info2.restype = ctypes.c_void_p
_c.pjsip_rdata_get_sdp_info2.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
_c.pjsip_msg_find_hdr_by_name.restype = ctypes.c_void_p
_c.pjsip_msg_find_hdr_by_name.argtypes = [ctypes.c_void_p] * 3
_c.pjsip_media_type_init2.restype = None
_c.pjsip_media_type_init2.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
_c.pjsip_get_invite_method.restype = ctypes.c_void_p
_c.pjsip_tsx_create_key.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_c.pj_pool_release.argtypes = [ctypes.c_void_p]
_c.pjsip_rx_data_clone.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p]
_c.pjsip_rx_data_free_cloned.argtypes = [ctypes.c_void_p]
_c.pjsip_endpt_process_rx_data.argtypes = [ctypes.c_void_p] * 4
_c.pjsua_call_set_user_data.argtypes = [ctypes.c_int, ctypes.c_void_p]
_c.pjsip_tsx_set_timers.argtypes = [ctypes.c_uint] * 4
_c.pjsua_conf_connect.argtypes = _c.pjsua_conf_disconnect.argtypes = [ctypes.c_int] * 2

_key_relay = (ctypes.c_byte * 128)()  # a struct pjsip_media_type, which takes 80 bytes
_key_relay_names = (b"application", b"dtmf-relay")  # it points to them
_c.pjsip_media_type_init2(ctypes.addressof(_key_relay), *_key_relay_names)

_UAS = 1  # PJSIP_ROLE_UAS
_ALLOW = 4  # PJSIP_H_ALLOW of enum pjsip_hdr_e

_RECEIVED = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class _Text(ctypes.Structure):
    _fields_ = (("pointer", ctypes.c_void_p), ("length", ctypes.c_ssize_t))


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
        ("on_rx_response", _RECEIVED),
        ("on_tx_request", _RECEIVED),
        ("on_tx_response", _RECEIVED),
        ("on_tsx_state", ctypes.c_void_p),
    )


class _List(ctypes.Structure):
    """The head of a PJLIB list, and the beginning of each of its elements."""

    _fields_ = (("previous", ctypes.c_void_p), ("next", ctypes.c_void_p), ("rest", ctypes.c_byte * 64))


def silence_log() -> None:
    """PJSIP's own log names callers, and starts before any setting reaches it."""
    _c.pj_log_set_level(0)


def keep_to_udp() -> None:
    """Send what is long by UDP too, whatever RFC 3261, 18.1.1 says: a phone that is silent on TCP would lose its call.

    PJSIP would try TCP for each re-INVITE of over 1300 bytes, and abort where many do. Raises SipError.
    """
    settings = (ctypes.c_int * 8).in_dll(_c, "pjsip_sip_cfg_var")
    if not settings[6] == settings[7] == 1:  # follow_early_media_fork, req_has_via_alias: true by default
        raise SipError("PJSIP is not the one we know: install pjsua2-python 2.15.1.post1.")
    settings[4] = 1  # disable_tcp_switch


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


def join_slots(one: int, other: int) -> None:
    """Let two slots of the conference bridge hear each other; harmless when they do already."""
    for source, sink in ((one, other), (other, one)):
        if status := _c.pjsua_conf_connect(source, sink):
            raise SipError(f"PJSIP refused to join two legs (status {status}).")


def part_slots(one: int, other: int) -> None:
    _c.pjsua_conf_disconnect(one, other)
    _c.pjsua_conf_disconnect(other, one)


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
    return int(_c.pjsua_pool_create(b"voiceedge", 1024, 1024))  # lives as long as PJSIP, unless released


def respond(request: int, code: int, headers: Headers | None = None) -> None:
    listed = headers.address if headers else None
    _c.pjsip_endpt_respond_stateless(_c.pjsua_get_pjsip_endpt(), request, code, None, listed, None)


def method_of(request: int) -> str:
    """From PJSIP's own summary, `Request msg INVITE/cseq=1 (rdata0x…)`: no offset into its structures is needed."""
    summary = (_c.pjsip_rx_data_get_info(request) or b"").decode("ascii", "replace")
    return summary.removeprefix("Request msg ").partition("/")[0]


_wire = Wire()


def text_of(request: int) -> str:
    """The request as it came; empty where it does not lie where it should, in another build of PJSIP."""
    return _wire.received(request).decode("utf-8", "surrogateescape")


def _message_of(request: int) -> int:
    message = _wire.parsed(request)
    if not message:
        raise SipError("struct pjsip_rx_data has another layout: this pjsua2 build is not the one we were made for.")
    return message


def take_header(request: int, name: bytes) -> None:
    """Take a header out of a request before PJSIP sees it."""
    wanted = _Text(ctypes.cast(ctypes.c_char_p(name), ctypes.c_void_p), len(name))
    message = _message_of(request)
    while found := _c.pjsip_msg_find_hdr_by_name(message, ctypes.addressof(wanted), None):
        header = _List.from_address(found)
        _List.from_address(header.previous).next = header.next
        _List.from_address(header.next).previous = header.previous


_registered: list[tuple[bytes, _Module]] = []  # PJSIP keeps the address: these live as long as the process


def on_message(
    name: bytes,
    priority: int,
    request: Callable[[int], bool],
    response: Callable[[int], bool] | None = None,
) -> None:
    """See what comes in, at this place in the order of modules. A handler returns True where PJSIP shall not go on."""
    module = _Module(
        name=_Text(ctypes.cast(ctypes.c_char_p(name), ctypes.c_void_p), len(name)),
        id=-1,
        priority=priority,
        on_rx_request=_received(request),
    )
    if response:
        module.on_rx_response = _received(response)
    _register(name, module)


def on_traffic(name: bytes, priority: int, *, received: Callable[[int], None], sent: Callable[[int], None]) -> None:
    """Look on at every message, repeated ones too; what is sent has its text already where `priority` is below 8."""
    looks, tells = _looking_on(received), _looking_on(sent)
    module = _Module(
        name=_Text(ctypes.cast(ctypes.c_char_p(name), ctypes.c_void_p), len(name)),
        id=-1,
        priority=priority,
        on_rx_request=looks,
        on_rx_response=looks,
        on_tx_request=tells,
        on_tx_response=tells,
    )
    _register(name, module)


def _register(name: bytes, module: _Module) -> None:
    status = _c.pjsip_endpt_register_module(_c.pjsua_get_pjsip_endpt(), ctypes.addressof(module))
    if status or module.id < 0 or not module.next:
        raise SipError("PJSIP refused our module: this pjsua2 build is not the one VoiceEdge was made for.")
    _registered.append((name, module))


def _received(handle: Callable[[int], bool]) -> Any:
    def received(message: int) -> int:
        try:
            return int(handle(message))
        except Exception as error:  # noqa: BLE001 - no exception can pass through C; what we cannot judge goes no further
            log.error("sip_gate_failed", error=type(error).__name__)  # noqa: TRY400
            return 1

    return _RECEIVED(received)


def _looking_on(look: Callable[[int], None]) -> Any:
    def looking(message: int) -> int:
        try:
            look(message)
        except Exception as error:  # noqa: BLE001 - no exception can pass through C
            log.error("sip_trace_failed", error=type(error).__name__)  # noqa: TRY400
        return 0  # go on, as if nobody had looked

    return _RECEIVED(looking)


def sdp_of(message: int) -> str:
    """The SDP body, empty where there is none. PJSIP parses it here and keeps the result for itself."""
    return _body(_c.pjsip_rdata_get_sdp_info(message))


def key_relay_of(message: int) -> str:
    """The body of an INFO that tells a key, empty for any other."""
    return _body(_c.pjsip_rdata_get_sdp_info2(message, ctypes.addressof(_key_relay)))


def _body(info: int) -> str:
    body = _Text.from_address(info)  # struct pjsip_rdata_sdp_info begins with it
    return ctypes.string_at(body.pointer, body.length).decode("utf-8", "replace") if body.pointer else ""


def keep(request: int) -> int:
    """A copy that outlives the handler, for `process`."""
    copy = ctypes.c_void_p()
    _c.pjsip_rx_data_clone(request, 0, ctypes.byref(copy))
    return copy.value or 0


def process(kept: int) -> None:
    """Let PJSIP see a kept request as if it came now."""
    _c.pjsip_endpt_process_rx_data(_c.pjsua_get_pjsip_endpt(), kept, None, ctypes.byref(ctypes.c_int()))
    drop(kept)


def drop(kept: int) -> None:
    _c.pjsip_rx_data_free_cloned(kept)


def invitation_of(request: int) -> bytes:
    """What an INVITE, its repetitions and its CANCEL have in common (RFC 3261, 17.2.3)."""
    pool = _pool()
    key = _Text()
    _c.pjsip_tsx_create_key(pool, ctypes.addressof(key), _UAS, _c.pjsip_get_invite_method(), request)
    made = ctypes.string_at(key.pointer, key.length)
    _c.pj_pool_release(pool)
    return made


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

    A pj.Call remembers its slot's number beyond the call's end, and PJSIP gives the slot to the next caller at once.
    Two strings must be cut: the number in the object, and the slot's pointer to it (which would restore the number).
    """
    cell = _id_cell(call)
    if cell.value != pj.PJSUA_INVALID_ID:
        _c.pjsua_call_set_user_data(cell.value, None)
        cell.value = pj.PJSUA_INVALID_ID
