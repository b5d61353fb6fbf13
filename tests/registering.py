"""Phones of a test that log in at a registrar, or pay for a call with a password (digest, RFC 2617)."""

import hashlib
import itertools
import re

from peer import Message, Peer

REALM = "voiceedge"
_sequence = itertools.count(1)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def authorization(
    challenge: Message, method: str, uri: str, user: str, password: str, *, ha1: str | None = None
) -> dict[str, str]:
    """The header that answers a 401 or 407 (RFC 2617, MD5, qop=auth)."""
    given = challenge["www-authenticate"] or challenge["proxy-authenticate"]
    said = dict(re.findall(r'(\w+)="?([^",]+)"?', given))

    ha1 = md5(f"{user}:{said['realm']}:{password}") if ha1 is None else ha1
    ha2 = md5(f"{method}:{uri}")
    response = md5(f"{ha1}:{said['nonce']}:00000001:c0ffee:auth:{ha2}")
    fields = f'username="{user}", realm="{said["realm"]}", nonce="{said["nonce"]}", uri="{uri}", response="{response}"'
    name = "Authorization" if challenge["www-authenticate"] else "Proxy-Authorization"
    return {name: f'Digest {fields}, algorithm=MD5, qop=auth, nc=00000001, cnonce="c0ffee"'}


async def register(
    peer: Peer,
    port: int,
    password: str,
    *,
    contact: str = "",
    expires: int = 300,
    realm: str = REALM,
    call_id: str = "",
    host: str = "127.0.0.1",
) -> Message:
    """REGISTER as `peer.user` at this port of `host`; returns the last answer. `expires` 0 logs out."""
    home, name = f"sip:{realm}", f"<sip:{peer.user}@{realm}>"
    own = {"From": f"{name};tag=r1", "To": name, "Call-ID": call_id or f"reg-{peer.port}"}
    own |= {"Contact": contact or f"<{peer.uri}>", "Expires": str(expires)}
    to = (host, port)
    first = await peer.transact("REGISTER", home, own | {"CSeq": f"{next(_sequence)} REGISTER"}, "", to)
    if first.status != 401:
        return first
    own |= authorization(first, "REGISTER", home, peer.user, password) | {"CSeq": f"{next(_sequence)} REGISTER"}
    return await peer.transact("REGISTER", home, own, "", to)
