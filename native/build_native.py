"""Builds the C pipeline and its cffi binding in place: `python native/build_native.py`."""

import os
import re
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from cffi import FFI

NATIVE = Path(__file__).resolve().parent
TARGET = NATIVE.parent / "voiceedge" / "audio" / "_native.abi3.so"

# Headers in the order in which their declarations depend on each other.
HEADERS = tuple(
    f"ve_{name}.h"
    for name in (
        *("events", "vad", "echo", "level", "dtmf", "tone_plan", "gain", "judge"),
        *("stream", "player", "opus", "recorder", "channel", "bridge", "media"),
    )
)
COMPILE = ("-std=c11", "-D_GNU_SOURCE", "-O3", "-g1", "-fPIC", "-fvisibility=hidden")
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Werror")


def declarations() -> str:
    """What Python sees of the headers: the parts between `cffi: begin` and `cffi: end`."""
    parts: list[str] = []
    for header in HEADERS:
        text = (NATIVE / "include" / header).read_text(encoding="utf-8")
        parts += re.findall(r"/\* cffi: begin \*/\n(.*?)/\* cffi: end \*/", text, re.DOTALL)
    return "\n".join(parts)


def build(target: Path = TARGET) -> Path:
    """Compile our sources strictly and cffi's generated one as it is, for every Python from 3.11 on (limited API)."""
    compiler = os.environ.get("CC", "cc").split()
    ffi = FFI()
    ffi.cdef(declarations())
    ffi.set_source("voiceedge.audio._native", "\n".join(f'#include "{header}"' for header in HEADERS))
    with tempfile.TemporaryDirectory(prefix="voiceedge-native-") as work:
        glue = Path(work, "glue.c")
        ffi.emit_c_code(str(glue))
        include = (f"-I{NATIVE / 'include'}", f"-I{sysconfig.get_path('include')}")
        objects = []
        for source in (*sorted((NATIVE / "src").glob("*.c")), glue):
            flags = () if source == glue else STRICT
            objects.append(Path(work, source.stem + ".o"))
            subprocess.run([*compiler, *COMPILE, *flags, *include, "-c", source, "-o", objects[-1]], check=True)
        fresh = target.with_suffix(".new")  # a running process keeps the file it has mapped
        subprocess.run([*compiler, "-shared", *objects, "-o", fresh, "-lm", "-ldl"], check=True)
        fresh.replace(target)
    return target


if __name__ == "__main__":
    build()
