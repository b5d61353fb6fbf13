"""WAV files that anyone may have made: each is loaded, or refused by the one error that callers expect."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["voiceedge"]):
    from voiceedge.audio import wav
    from voiceedge.errors import PromptError

MEMORY = os.memfd_create("wav")
FILE = Path(f"/proc/self/fd/{MEMORY}")
RIFF = b"RIFF\xff\xff\xff\xffWAVE"


def file_of(data: bytes) -> bytes:
    """The bytes as they are, or as the inner part of something that looks right from outside."""
    shape, rest = data[:1], data[1:]
    if shape < b"\x20":
        return rest
    if shape < b"\x40":
        return RIFF + rest
    form, body = (rest[:16], rest[16:]) if shape < b"\xc0" else (rest[:40], rest[40:])
    return RIFF + b"fmt " + len(form).to_bytes(4, "little") + form + b"data" + len(body).to_bytes(4, "little") + body


def load(data: bytes) -> None:
    os.ftruncate(MEMORY, 0)
    os.pwrite(MEMORY, file_of(data), 0)
    with suppress(PromptError):
        wav.load(FILE, 8000)
    with suppress(PromptError):
        wav.load_channels(FILE)


if __name__ == "__main__":
    atheris.Setup(sys.argv, load)
    atheris.Fuzz()
