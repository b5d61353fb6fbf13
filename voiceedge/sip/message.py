"""A SIP message as a line of a ladder needs it, and its text without what would open somebody's door."""

import re
from dataclasses import dataclass

from voiceedge.sip.headers import one_line, q850_of, values

LONGEST_PHRASE = 60
_FIRST = re.compile(r"SIP/2\.0 (\d{3}) ?([^\r\n]*)|([A-Za-z]{1,32}) ")
_SEQUENCE = re.compile(r"(\d{1,10})\s+([A-Za-z]{1,32})")
_AUDIO = re.compile(r"^m=audio (\d{1,6})\S* \S+ ([\d ]{1,200})", re.MULTILINE)
_NAMED = re.compile(r"^a=rtpmap:(\d{1,3}) ([\w-]{1,32})/", re.MULTILINE)
_DIRECTION = re.compile(r"^a=(sendonly|recvonly|inactive)\b", re.MULTILINE)
_STATIC = {"0": "PCMU", "8": "PCMA", "9": "G722", "13": "CN", "18": "G729"}  # RFC 3551, 6
_BESIDE = {"telephone-event", "CN"}
_CONTROL = re.compile(r"[^\t\r\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # and what XML forbids
_SECRETS = (
    (re.compile(r"(\binline:)[^\s|;]+"), r"\1…"),  # RFC 4568
    (re.compile(r"^((?:Proxy-)?Authorization\s*:\s*\w+)[^\r\n]*", re.MULTILINE | re.IGNORECASE), r"\1 …"),
)


@dataclass(frozen=True, slots=True)
class SipFacts:
    """`method` is that of CSeq but for an ACK or CANCEL, `code` None of a request; `codecs` of its SDP, in order."""

    method: str
    code: int | None
    phrase: str
    sequence: int
    codecs: tuple[str, ...]
    direction: str  # of its audio where that does not go both ways
    q850: int | None


def read_message(raw: bytes) -> SipFacts:
    """Never raises: what cannot be read is empty."""
    text = raw.decode("utf-8", "replace")
    first = _FIRST.match(text)
    counted = _SEQUENCE.match(next(iter(values(text, "cseq")), ""))
    sequence, method = (int(counted[1]), counted[2].upper()) if counted else (0, "")
    code, phrase, asked = first.groups() if first else (None, None, None)
    sdp = text.partition("\r\n\r\n")[2]
    direction = _DIRECTION.search(sdp)
    return SipFacts(
        method=(asked or method).upper(),
        code=int(code) if code else None,
        phrase=one_line(phrase or "", LONGEST_PHRASE),
        sequence=sequence,
        codecs=_codecs(sdp),
        direction=direction[1] if direction else "",
        q850=q850_of(text),
    )


def without_secrets(raw: bytes) -> str:
    """The whole text but for passwords' digests and the keys of encrypted audio. Personal data stay in it.

    What a terminal would obey is replaced.
    """
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", raw.decode("utf-8", "replace"))
    for secret, instead in _SECRETS:
        text = secret.sub(instead, text)
    return text


def _codecs(sdp: str) -> tuple[str, ...]:
    audio = _AUDIO.search(sdp)
    if not audio:
        return ()
    if audio[1] == "0":
        return ("no audio",)
    named = _STATIC | dict(_NAMED.findall(sdp))
    found = (named.get(kind, kind) for kind in audio[2].split())
    return tuple(codec for codec in found if codec not in _BESIDE)
