"""The door to the C pipeline: the one place where its modules are found and its error codes become exceptions."""

import errno
import importlib.machinery
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceedge.errors import NativeError

try:
    from voiceedge.audio._native import ffi, lib
except ImportError as error:
    raise NativeError(f"The C pipeline is not built ({error}): run `python native/build_native.py`.") from error

__all__ = ["check", "extension", "ffi", "lib", "load_bridge", "raise_problem", "samples", "text"]

_REASONS = {
    errno.EINVAL: "a value is out of range",
    errno.ENOMEM: "out of memory",
    errno.ENOBUFS: "too many prompts are waiting; stop the player or wait for some to be played",
    errno.EPIPE: "nobody listens any more; the stream was stopped, or the call is over",
    errno.EPERM: "this must run on the SIP pump thread, after libInit",
    errno.EALREADY: "the port is open already",
    errno.ENOTCONN: "the port is not open",
}


def check(status: int, doing: str) -> int:
    """The one place where a C status becomes an exception."""
    if status < 0:
        raise NativeError(f"The audio pipeline refused {doing}: {_REASONS.get(-status, os.strerror(-status))}.")
    return int(status)


def samples(pcm: NDArray[np.int16], doing: str) -> Any:
    """The samples as C sees them, of the same memory wherever they lie in one piece."""
    if pcm.dtype != np.int16 or pcm.ndim != 1:
        raise NativeError(f"Only mono int16 samples can be {doing}, not {pcm.dtype} of shape {pcm.shape}.")
    return ffi.from_buffer("int16_t[]", np.ascontiguousarray(pcm))


def text(message: Any) -> str:
    return "" if message == ffi.NULL else bytes(ffi.string(message)).decode()


def raise_problem(message: Any) -> None:
    if problem := text(message):
        raise NativeError(f"The audio pipeline cannot work: {problem}.")


def load_bridge(*, loaded: bool) -> Any:
    out = ffi.new("struct ve_bridge **")
    raise_problem(lib.ve_bridge_load(out, os.fsencode(extension("pjsua2._pjsua2", "pjsua2-python")), loaded))
    return out[0]


def extension(name: str, distribution: str) -> Path:
    """Where an extension module lies, found without running any of its package's code."""
    package, _, module = name.rpartition(".")
    found = importlib.util.find_spec(package or module)
    folders = found.submodule_search_locations if found and package else None
    if found and package:
        found = importlib.machinery.PathFinder.find_spec(module, folders)
    if not found or not found.origin:
        raise NativeError(f"{distribution} is not installed: run `uv pip install {distribution}`.")
    return Path(found.origin)
