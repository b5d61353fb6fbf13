"""Tokens in the headers of a call: User-to-User (RFC 7433), as it is or in hexadecimal, or any other header."""

import binascii
import re
from collections.abc import Iterator, Mapping

from voiceedge.context.resuming.tokens import tokens_in

HEADER = "user-to-user"
MOST = 3  # tokens that are tried
_LONGEST = 1024
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")


def tokens_of(headers: Mapping[str, str]) -> list[str]:
    """What reads as tokens, each once, User-to-User first; `headers` are only those that are believed."""
    names = sorted(headers, key=lambda name: name.casefold() != HEADER)
    texts = (text for name in names for text in _texts(name, headers[name][:_LONGEST]))
    return list(dict.fromkeys(token for text in texts for token in tokens_in(text)))[:MOST]


def _texts(name: str, value: str) -> Iterator[str]:
    if name.casefold() != HEADER:
        yield value
        return
    for data, is_hex in uui_of(value):
        yield _decoded(data) if is_hex else data


def uui_of(value: str) -> Iterator[tuple[str, bool]]:
    """Each uui-value of the header, without its quotation marks, and whether it is hexadecimal."""
    for one in _split(value, ","):
        data, *parameters = (part.strip() for part in _split(one, ";"))
        if data.startswith('"'):
            data = re.sub(r"\\(.)", r"\1", data[1:].removesuffix('"'))
        given = dict(part.lower().replace(" ", "").partition("=")[::2] for part in parameters)
        encoding = given.get("encoding", "hex").strip('"')  # hex is the default (RFC 7433, 4.1)
        yield data, encoding == "hex" and _HEX.fullmatch(data) is not None


def _split(text: str, separator: str) -> Iterator[str]:
    """At each separator that is in no quotation marks."""
    start, quoted, escaped = 0, False, False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _decoded(data: str) -> str:
    """A first octet may say which protocol it is (ITU-T Q.931, 4.5.30): it is no part of a token."""
    text = binascii.unhexlify(data).decode("latin-1")
    return text if text[:1].isprintable() else text[1:]
