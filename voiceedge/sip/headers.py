"""Reading and writing the parts of SIP messages we care about (RFC 3261); whoever sent them is taken for hostile."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import quote, unquote

import structlog

from voiceedge.errors import SipError

log = structlog.get_logger()

# Between us and the front, which strips them from whatever comes from outside.
FRONT_HEADERS = ("X-VoiceEdge-Trunk", "X-VoiceEdge-Agent", "X-VoiceEdge-Source", "X-VoiceEdge-Hops")

LONGEST_VALUE = 1024
LONGEST_USER = 128
LONGEST_CALL_ID = 256
LONGEST_URI = 512

_QUOTED = re.compile(r'^\s*"(?:\\.|[^"\\])*"')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONNECTION = re.compile(r"c=IN IP4 ([0-9.]+)(?:/[0-9/]+)? *")
_RTCP = re.compile(r"a=rtcp:\d+(?: IN IP4 ([0-9.]+))? *")
_AUDIO_LINE = re.compile(r"m=audio \S+ RTP/S?AVPF? .*")  # and no DTLS, which this PJSIP does not have
# Of the suites everybody has, a key and salt of 30 bytes in base64; of others, some; with lifetime and MKI (RFC 4568).
_KEY = re.compile(
    r"a=crypto:\d{1,9} (?:AES_CM_128_HMAC_SHA1_(?:80|32) inline:[A-Za-z0-9+/]{40}"
    r"|(?!AES_CM_128_HMAC_SHA1)[A-Z0-9_]{1,40} inline:[A-Za-z0-9+/]{20,90}={0,2})"
    r"(?:\|2\^\d{1,2})?(?:\|\d{1,3}:[1-4])? *"
)
_FORMS = {"c=": _CONNECTION, "a=rtcp:": _RTCP, "m=audio": _AUDIO_LINE, "a=crypto": _KEY}
_LOOKED_AT = tuple(_FORMS)
_LINE_END = re.compile(r"[\r\n]")  # either ends a line for PJSIP
_KEY_RELAY = re.compile(r"\s*Signal ?= ?[0-9A-Da-d*#] ?\r?\n(?:Duration ?= ?\d{1,5} ?)?\s*")
_Q850 = re.compile(r"(?:^|,)\s*Q\.850\b[^,]*?;\s*cause\s*=\s*(\d{1,3})\b", re.IGNORECASE)
_AUDIO = re.compile(r"^m=audio ", re.MULTILINE)
_AUDIO_FORMATS = re.compile(r"^m=audio (\d{1,6})\b[^ ]* [^ ]+ ([^\r\n]*)", re.MULTILINE)
_RTPMAP = re.compile(r"^a=rtpmap:(\d+) ([^/\s]+)/", re.MULTILINE)
_STATIC = {"0": "PCMU", "8": "PCMA", "9": "G722"}  # payload types that need no rtpmap (RFC 3551, 6)
_URI_HOST = re.compile(r"sips?:(?:[^@\s<>,]*@)?([^\s<>;:?,]+)", re.IGNORECASE)
_CALLER = re.compile(r"[A-Za-z0-9+*#._~-]{1,64}\Z")
_NAME = re.compile(r"[A-Za-z0-9!%*_+`'~.-]{1,64}\Z")
_TARGET = re.compile(r"(?:sips?|tel):[^\s<>\"\x00-\x1f\x7f]{1,500}\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """What we read of a request: the user that was asked for, who asked, and the wanted headers."""

    call_id: str
    called: str
    caller: str
    remote_uri: str
    headers: Mapping[str, str]
    is_reachable: bool  # by IPv4 addresses alone, without asking a name server


def read_request(raw: str, wanted: Iterable[str]) -> Request:
    """Never raises: what cannot be read is empty. Header names come out as spelled in `wanted`."""
    first, lines = _lines(raw)
    names = {name.casefold(): name for name in wanted}
    headers: dict[str, str] = {}
    call_id = sender = ""
    is_reachable = True
    for line in lines:
        name, _, value = line.partition(":")
        name = name.strip().casefold()
        if name in {"from", "f"} and not sender:
            sender = address(value)
        elif name in {"call-id", "i"} and not call_id:
            call_id = one_line(value, LONGEST_CALL_ID)
        elif name in {"contact", "m", "record-route", "route"}:
            is_reachable = is_reachable and all(is_ipv4(host) for host in _URI_HOST.findall(value))
        if (known := names.get(name)) is not None:
            joined = f"{headers[known]}, {value.strip()}" if known in headers else value
            headers[known] = one_line(joined)
    parts = first.split(" ")
    target = parts[1] if len(parts) > 1 else ""
    return Request(call_id, user_part(target), user_part(sender), sender, headers, is_reachable)


def values(raw: str, *names: str) -> list[str]:
    """All values of a header, given its name and short form in lower case, in the order of the message's lines."""
    return [value for name, value in fields(raw) if name in names]


def fields(raw: str) -> list[tuple[str, str]]:
    """Name in small letters and value of every header."""
    pairs = (line.partition(":") for line in _lines(raw)[1])
    return [(name.strip().casefold(), value.strip()) for name, _, value in pairs]


def _lines(raw: str) -> tuple[str, list[str]]:
    """The first line of a message, and its headers unfolded."""
    text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    first, _, rest = text.partition("\r\n\r\n")[0].partition("\r\n")
    return first, re.sub(r"\r\n[ \t]+", " ", rest).split("\r\n")


def address(value: str) -> str:
    """The URI in a From, To or Contact value, with or without display name and angle brackets."""
    value = _QUOTED.sub("", value)
    start = value.find("<")
    uri = value[start + 1 :].partition(">")[0] if start >= 0 else value.partition(";")[0]
    return one_line(uri, LONGEST_URI)


def user_part(uri: str) -> str:
    """`sip:+8210;x=y:secret@host` gives `+8210`; empty where the URI names no user."""
    scheme, _, rest = uri.strip().partition(":")
    if scheme.casefold() == "tel":
        user = rest
    elif "@" in rest:
        user = rest.partition("@")[0].partition(":")[0]
    else:
        return ""
    return one_line(unquote(user.partition(";")[0], errors="replace"), LONGEST_USER)


def is_key_relay(body: str) -> bool:
    """Whether this application/dtmf-relay body is one that PJSIP reads without harm."""
    return _KEY_RELAY.fullmatch(body) is not None


def is_safe_sdp(body: str) -> bool:
    """Whether every address in it is a plain IPv4 one, and audio that is encrypted has keys that are some (SDES).

    PJSIP would abort over others, or wait for a name server.
    """
    keyed = encrypted = False
    for line in _LINE_END.split(body):
        if line.startswith(_LOOKED_AT):
            form = next(form for start, form in _FORMS.items() if line.startswith(start))
            found = form.fullmatch(line)
            if not found or (form.groups and found[1] and not is_ipv4(found[1])):
                return False
            keyed = keyed or form is _KEY
            encrypted = encrypted or (form is _AUDIO_LINE and " RTP/SAVP" in line)
    return keyed or not encrypted


def one_line(value: str, longest: int = LONGEST_VALUE) -> str:
    """Bounded, and without anything that could begin another line or header."""
    return _CONTROL.sub(" ", value[: longest * 2]).strip()[:longest]


def is_target(uri: str) -> bool:
    """Whether `uri` can stand in Refer-To or a request line without becoming anything else."""
    return _TARGET.match(uri) is not None


def from_value(caller_id: str | None, host: str) -> str:
    """What From says: that caller's number, or nobody (RFC 3323, 4.1.1.3). SipError where it is no number or name."""
    if caller_id is None:
        return '"Anonymous" <sip:anonymous@anonymous.invalid>'
    if not is_caller_id(caller_id):
        raise SipError("This is no caller id: digits, letters and + * # . _ ~ - only.")
    return f"<sip:{quote(caller_id, safe='+*._~-')}@{host}>"


def is_caller_id(text: str) -> bool:
    """Whether From can say it as it is."""
    return _CALLER.match(text) is not None


def is_allowed(uri: str, patterns: Iterable[str]) -> bool:
    """Whether a configured pattern (fnmatch) covers all of `uri`; letters' case does not matter."""
    return any(fnmatchcase(uri.casefold(), pattern.casefold()) for pattern in patterns)


def outgoing(headers: Mapping[str, str] | None, allowed: Iterable[str]) -> dict[str, str]:
    """Only what the allow-list names, each as one line: a flow's value can never add a header of its own."""
    known = {name.casefold() for name in (*allowed, "Reason", "Retry-After")}
    kept = {}
    for name, value in (headers or {}).items():
        if name.casefold() in known and _NAME.match(name):
            kept[name] = one_line(value)
        else:
            log.warning("header_not_allowed", name=one_line(name, 64))
    return kept


def q850_of(raw: str) -> int | None:
    """The ITU-T Q.850 cause in a message's Reason headers (RFC 3326, RFC 6432)."""
    found = _Q850.search(", ".join(values(raw, "reason")))
    return int(found[1]) if found else None


def has_audio(raw: str) -> bool:
    """Whether a message speaks of audio (SDP), be it in a part of its body."""
    return _AUDIO.search(raw.partition("\r\n\r\n")[2]) is not None


def host_of(uri: str) -> str:
    found = _URI_HOST.match(uri)
    return found[1] if found else ""


def with_host(uri: str, host: str) -> str:
    """`uri` with an address in place of its host's name."""
    found = _URI_HOST.match(uri)
    return uri[: found.start(1)] + host + uri[found.end(1) :] if found else uri


def has_codec(body: str, codecs: Iterable[str]) -> bool:
    """Whether an SDP's audio offers one of `codecs`; yes, where no line of it speaks of audio that is switched on."""
    known = set(codecs)
    named = {number: name.upper() for number, name in _RTPMAP.findall(body)}
    lines = [formats.split() for port, formats in _AUDIO_FORMATS.findall(body) if int(port)]
    return not lines or any(named.get(number, _STATIC.get(number)) in known for line in lines for number in line)


def with_codecs(body: str, codecs: tuple[str, ...]) -> str:
    """An SDP of our own with these codecs alone, in this order, and the keys (RFC 4733) as they were."""
    found = _AUDIO_FORMATS.search(body)
    if not found:
        return body
    named = {number: name.upper() for number, name in _RTPMAP.findall(body)}
    offered = found[2].split()
    kept = [number for codec in codecs for number in offered if named.get(number, _STATIC.get(number)) == codec]
    kept += [number for number in offered if named.get(number) == "TELEPHONE-EVENT"]
    dropped = tuple(f"a={name}:{number} " for number in {*offered} - {*kept} for name in ("rtpmap", "fmtp"))
    lines = (body[: found.start(2)] + " ".join(kept) + body[found.end(2) :]).split("\r\n")
    return "\r\n".join(line for line in lines if not line.startswith(dropped))


def is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def reason(code: int, text: str) -> str:
    """A Reason header value (RFC 3326)."""
    quoted = one_line(text, 120).replace("\\", "\\\\").replace('"', '\\"')
    return f'SIP;cause={code};text="{quoted}"'
