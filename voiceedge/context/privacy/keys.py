"""Secret keys of this installation: made at first use, kept in the data directory, readable by its owner only."""

import hashlib
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from voiceedge.clock import Clock
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


@dataclass(frozen=True, slots=True)
class Key:
    id: str  # tells it from others, and gives nothing away
    secret: bytes = field(repr=False)


class KeyRing:
    """A key that is replaced from time to time: one signs, others verify what they signed before, or will sign next.

    `NAME.key` signs; `NAME-next.key` verifies already, so that it can be copied to all nodes before one signs with it;
    `NAME-until-T.key` verifies what it has signed until T (Unix time). Read anew each time: nothing need be restarted.
    """

    def __init__(self, data_dir: Path, name: str, clock: Clock) -> None:
        self._data_dir, self._name, self._clock = data_dir, name, clock

    def signing(self) -> Key:
        """Raises StoreError, as all of these."""
        return _key(load_key(self._data_dir, self._name))

    def verifying(self, key_id: str) -> Key | None:
        keys = [self.signing(), *(_key(load_key(self._data_dir, name)) for name in self._others())]
        return next((key for key in keys if key.id == key_id), None)

    def prepare(self) -> Path:
        """Make the key that will sign next."""
        name = f"{self._name}-next"
        load_key(self._data_dir, name)
        return self._data_dir / f"{name}.key"

    def rotate(self, keep_s: float) -> Key:
        """Let the next key sign, and the one that did verify for `keep_s` yet; what is older is deleted."""
        self.signing()
        following, path = self.prepare(), self._data_dir / f"{self._name}.key"
        now = self._clock.now().timestamp()
        try:
            for old, until in self._former():
                if until <= now:
                    old.unlink()
            self._data_dir.joinpath(f"{self._name}-until-{int(now + keep_s)}.key").hardlink_to(path)
            following.replace(path)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}: make site.data_dir writable for this user.") from error
        return self.signing()

    def _others(self) -> list[str]:
        now = self._clock.now().timestamp()
        names = [path.stem for path, until in self._former() if until > now]
        following = f"{self._name}-next"
        return [*names, *([following] if (self._data_dir / f"{following}.key").exists() else ())]

    def _former(self) -> list[tuple[Path, int]]:
        pattern = re.compile(rf"{re.escape(self._name)}-until-(\d{{1,12}})")
        found = [(path, pattern.fullmatch(path.stem)) for path in self._data_dir.glob(f"{self._name}-until-*.key")]
        return [(path, int(match[1])) for path, match in found if match]


def _key(secret: bytes) -> Key:
    return Key(hashlib.sha256(secret).hexdigest()[:8], secret)


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
