"""Blocks of the pipeline by themselves, for tests and benchmarks that hold each against its reference."""

import hashlib
import importlib.util
import os
import re
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from build_native import COMPILE, STRICT
from cffi import FFI

NATIVE = Path(__file__).resolve().parent
CACHE = NATIVE / "build"

_MARKED = re.compile(r"/\* cffi: (?:tests )?begin \*/\n(.*?)/\* cffi: (?:tests )?end \*/", re.DOTALL)


def load(*names: str) -> tuple[Any, Any]:
    """`ffi` and `lib` of `ve_<name>.h` and `<name>.c` for each name, dependencies first.

    Declared is what a header marks for Python and for tests; other structs are opaque, but `ffi.new` makes them.
    """
    headers = [NATIVE / "include" / f"ve_{name}.h" for name in names]
    sources = [source for name in names if (source := NATIVE / "src" / f"{name}.c").exists()]
    everything = [*sorted((NATIVE / "include").glob("*.h")), *sources, Path(__file__)]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in everything)).hexdigest()[:16]
    module = f"_blocks_{'_'.join(names)}_{digest}"
    target = CACHE / f"{module}.so"
    if not target.exists():
        _build(module, headers, sources, target)
    spec = importlib.util.spec_from_file_location(module, target)
    if spec is None or spec.loader is None:
        raise ImportError(f"{target} is no extension module")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded.ffi, loaded.lib


def _build(module: str, headers: list[Path], sources: list[Path], target: Path) -> None:
    ffi = FFI()
    for header in headers:
        text = header.read_text(encoding="utf-8")
        hidden = re.findall(r"^struct (ve_\w+) \{", _MARKED.sub("", text), re.MULTILINE)
        ffi.cdef("\n".join([*(f"struct {name} {{ ...; }};" for name in hidden), *_MARKED.findall(text)]))
    ffi.set_source(module, "\n".join(f'#include "{header.name}"' for header in headers))
    include = (f"-I{NATIVE / 'include'}", f"-I{sysconfig.get_path('include')}")
    compiler = [*os.environ.get("CC", "cc").split(), *COMPILE, *include]
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        glue, fresh = Path(work, "glue.c"), Path(work, "fresh.so")
        ffi.emit_c_code(str(glue))
        objects = [Path(work, f"{source.stem}.o") for source in (*sources, glue)]
        for source, made in zip((*sources, glue), objects, strict=True):
            strict = () if source == glue else STRICT
            subprocess.run([*compiler, *strict, "-c", source, "-o", made], check=True)
        subprocess.run([*compiler, "-shared", *objects, "-o", fresh, "-lm", "-ldl"], check=True)
        fresh.replace(target)
