"""Sealed files: recordings at rest, encrypted while they grow (AES-256-GCM), each under a key of its own.

    | VESEAL1, line feed | key id | nonce | file key, wrapped by the site's key |   8 + 8 + 12 + 48 bytes
    | chunk 0: nonce | ciphertext, tag |                                            12 + CHUNK + 16 bytes
    | chunk 1 …                        |                                            the last one may be shorter

A chunk's number and whether it is the last are authenticated with it (the STREAM construction of Hoang, Reyhanitabar,
Rogaway and Vizár, CRYPTO 2015), so none can be altered, moved, repeated or cut off unnoticed. What is not sealed yet
lies in a draft, which belongs in memory (tmpfs), and gives its room back chunk by chunk.
"""

import contextlib
import ctypes
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from voiceedge.errors import ConfigError, NativeError

SUFFIX = ".sealed"
CHUNK = 64 * 1024  # of the draft; 2 s of WAV, 20 s of Opus
KEY_BYTES = 32

_MAGIC = b"VESEAL1\n"
_NONCE, _TAG, _ID = 12, 16, 8
_HEADER = len(_MAGIC) + _ID + _NONCE + KEY_BYTES + _TAG
_SEALED = _NONCE + CHUNK + _TAG


@dataclass(frozen=True, slots=True)
class SiteKey:
    """The key that wraps those of the files. `id` tells which one a file needs, and nothing else about it."""

    secret: bytes

    @property
    def id(self) -> bytes:
        return sha256(b"voiceedge site key" + self.secret).digest()[:_ID]


def load_site_key(path: Path) -> SiteKey:
    """From a file with 64 hexadecimal digits (`openssl rand -hex 32`). Raises ConfigError that says how to make one."""
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii"))
    except OSError as error:
        raise ConfigError(f"{path}: the key of recordings cannot be read: {error.strerror}.") from error
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise ConfigError(f"{path}: is no key of recordings. Make one: openssl rand -hex {KEY_BYTES} > {path}")
    return SiteKey(secret)


@dataclass(frozen=True, slots=True)
class Vault:
    """How a site keeps recordings: under which key, and where their drafts lie meanwhile (memory, not a disk)."""

    key: SiteKey
    drafts: Path

    def begin(self, path: Path) -> Path:
        """An unused place for the draft of `path`. Raises OSError."""
        self.drafts.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.drafts / f"{os.getpid()}-{path.name.removesuffix(SUFFIX)}"


def sweep(drafts: Path) -> None:
    """Remove the drafts of processes that are gone: what they had sealed is all there will be."""
    for draft in drafts.glob("*-*"):
        if not Path("/proc", draft.name.partition("-")[0]).exists():
            with contextlib.suppress(OSError):
                draft.unlink()


class Sealer:
    """Seals a draft that another writes, whose beginning may change to its end. One thread at a time."""

    def __init__(self, key: SiteKey, draft: Path, path: Path) -> None:
        """Raises OSError, FileExistsError among them."""
        self._draft_path = draft
        self._draft = os.open(draft, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            os.close(self._draft)
            raise
        secret, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_NONCE)
        self._cipher = AESGCM(secret)
        self._header = _MAGIC + key.id + nonce + AESGCM(key.secret).encrypt(nonce, secret, _MAGIC)
        self._next = 1  # chunk 0 holds what may change: it is sealed anew whenever others follow

    def advance(self) -> None:
        """Seal the chunks that others follow. Raises OSError."""
        complete = self._last()
        if complete <= self._next:
            return
        for number in range(self._next, complete):
            self._seal(number, last=False)
            _punch_hole(self._draft, number * CHUNK, CHUNK)
        self._next = complete
        self._seal(0, last=False)

    def finish(self) -> None:
        """Seal the rest of a draft that nobody writes any more, and remove it. Raises OSError."""
        last = self._last()
        for number in (*range(self._next, last + 1), *((0,) if last else ())):
            self._seal(number, last=number == last)
        if not last:
            self._seal(0, last=True)
        os.fsync(self._file)
        self.abandon()

    def abandon(self) -> None:
        """Leave the file as it is, and no draft."""
        self._draft_path.unlink()
        os.close(self._file)
        os.close(self._draft)

    def _last(self) -> int:
        return max(0, (os.fstat(self._draft).st_size - 1) // CHUNK)

    def _seal(self, number: int, *, last: bool) -> None:
        nonce = secrets.token_bytes(_NONCE)
        plain = os.pread(self._draft, CHUNK, number * CHUNK)
        sealed = nonce + self._cipher.encrypt(nonce, plain, _place(number, last=last))
        _write(self._file, sealed, _HEADER + number * _SEALED)
        if not number:
            _write(self._file, self._header, 0)


class EndsEarlyError(NativeError):
    """The end of a sealed file is missing; all before it was given."""


def unseal(key: SiteKey, path: Path) -> Iterator[bytes]:
    """The contents, chunk by chunk. Raises NativeError where the key is another one, or the file was altered.

    A file whose end is missing (power was lost) is given as far as it goes before EndsEarlyError.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER)
        magic, rest = head[: len(_MAGIC)], head[len(_MAGIC) :]
        if not head:
            raise NativeError(
                f"{path}: is empty: nothing of it was kept. Its worker was killed before the first of it was sealed, "
                "or it has only just begun."
            )
        if magic != _MAGIC or len(head) != _HEADER:
            raise NativeError(f"{path}: is no sealed recording.")
        if rest[:_ID] != key.id:
            raise NativeError(f"{path}: was sealed with another key; give the one that was in use then.")
        try:
            secret = AESGCM(key.secret).decrypt(rest[_ID : _ID + _NONCE], rest[_ID + _NONCE :], _MAGIC)
        except InvalidTag:
            raise NativeError(f"{path}: its header is damaged.") from None
        cipher, number = AESGCM(secret), 0
        sealed = file.read(_SEALED)
        while True:
            following = file.read(_SEALED)
            last = not following
            try:
                yield _opened(cipher, sealed, number, last=last)
            except InvalidTag:
                if last and (plain := _unfinished(cipher, sealed, number)) is not None:
                    yield plain
                    raise EndsEarlyError(f"{path}: ends early: power was lost, or its end was cut off.") from None
                raise NativeError(f"{path}: chunk {number} is damaged or was altered.") from None
            if last:
                return
            sealed, number = following, number + 1


def _opened(cipher: AESGCM, sealed: bytes, number: int, *, last: bool) -> bytes:
    if len(sealed) < _NONCE + _TAG:
        raise InvalidTag
    return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _place(number, last=last))


def _unfinished(cipher: AESGCM, sealed: bytes, number: int) -> bytes | None:
    try:
        return _opened(cipher, sealed, number, last=False)
    except InvalidTag:
        return None


def _place(number: int, *, last: bool) -> bytes:
    return number.to_bytes(8, "big") + bytes([last])


def _write(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(file, view, offset)
        view, offset = view[done:], offset + done


_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_PUNCH_HOLE = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE (fallocate(2))


def _punch_hole(file: int, offset: int, length: int) -> None:
    """Give the room back; where the file system cannot, the draft just stays as long as the call."""
    _libc.fallocate(file, _PUNCH_HOLE, offset, length)
