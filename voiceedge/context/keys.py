"""Secret keys of this installation: made at first use, kept in the data directory, readable by its owner only."""

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from voiceedge.errors import StoreError

KEY_BYTES = 32
SHARED_KEYS = "token", "pseudonym"  # nodes of one site must have the same: copied from the first to the others


def load_key(data_dir: Path, name: str) -> bytes:
    """The key called `name`. Several processes may ask for it at the same moment: all get the same one."""
    path = data_dir / f"{name}.key"
    try:
        if not path.exists():
            _create(path)
        key = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}: make site.data_dir writable for this user.") from error
    if len(key) != KEY_BYTES:
        raise StoreError(f"{path}: is not a key of {KEY_BYTES} bytes: restore it, or remove it for a new one.")
    return key


def fingerprint(key: bytes) -> str:
    """Tells keys apart and gives none away: 64 bits."""
    return hashlib.sha256(key).hexdigest()[:16]


def keys_fingerprint(data_dir: Path) -> str:
    """Of all keys that nodes share."""
    return fingerprint(b"".join(load_key(data_dir, name) for name in SHARED_KEYS))


def _create(path: Path) -> None:
    """Write under another name first, so that nobody ever reads half a key; the first to link the name wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
