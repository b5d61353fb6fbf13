"""The C echo canceller as tests and benchmarks use it, and the gate that decides whether its output is a voice."""

from importlib.util import find_spec
from typing import Any

import numpy as np
from blocks import load
from reference.echo_line import power_db

ffi, lib = load("delay", "geigel", "nlms", "suppressor", "echo")
vad_ffi, vad_lib = load("vad")


class Canceller:
    def __init__(
        self, rate: int = 8000, tail_ms: int = 32, longest_delay_ms: int = 300, suppression: bool = False
    ) -> None:
        self.state = ffi.new("struct ve_echo *")
        wanted = ffi.new("struct ve_echo_settings *", [tail_ms, longest_delay_ms, suppression])
        assert lib.ve_echo_open(self.state, rate, wanted) == 0
        self.frame = rate // 50

    def put(self, far: np.ndarray, near: np.ndarray, chops: list[int] | None = None) -> np.ndarray:
        far, near = (np.ascontiguousarray(np.round(side), np.int16) for side in (far, near))
        out, cancelled = np.zeros_like(near), np.zeros_like(near)
        at, turn = 0, 0
        while at < len(far):
            count = min((chops or [self.frame])[turn % len(chops or [1])], len(far) - at)
            lib.ve_echo_put(
                self.state,
                ffi.cast("int16_t *", far[at:].ctypes.data),
                ffi.cast("int16_t *", near[at:].ctypes.data),
                ffi.cast("int16_t *", cancelled[at:].ctypes.data),
                ffi.cast("int16_t *", out[at:].ctypes.data),
                count,
            )
            at, turn = at + count, turn + 1
        return out

    def report(self) -> Any:
        report = ffi.new("struct ve_echo_report *")
        lib.ve_echo_report(self.state, report)
        return report


def voice_blocks(samples: np.ndarray, rate: int = 8000) -> np.ndarray:
    """What the pipeline's gate takes for voice: WebRTC's detector in mode 2, from −50 dBov on."""
    api = vad_ffi.new("struct ve_vad_api *")
    found = find_spec("_webrtcvad")
    assert found is not None
    assert found.origin is not None
    assert vad_lib.ve_vad_load(api, found.origin.encode()) == vad_ffi.NULL
    handle = vad_ffi.new("void **")
    assert api.create(handle) == 0
    assert api.init(handle[0]) == 0
    assert api.set_mode(handle[0], 2) == 0
    blocks = np.ascontiguousarray(samples[: len(samples) // (rate // 50) * (rate // 50)], np.int16).reshape(
        -1, rate // 50
    )
    voice = [
        api.process(handle[0], rate, vad_ffi.from_buffer("int16_t[]", block), len(block)) == 1
        and power_db(block) >= -50
        for block in blocks
    ]
    api.destroy(handle[0])
    return np.array(voice)
