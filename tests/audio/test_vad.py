"""The detector called from C against the same one called from Python: every decision, in every mode, at both rates."""

from importlib.util import find_spec

import numpy as np
import pytest
import webrtcvad
from blocks import load

ffi, lib = load("vad")


def extension(name: str) -> bytes:
    found = find_spec(name)
    assert found
    return str(found.origin).encode()


@pytest.fixture
def api() -> object:
    found = ffi.new("struct ve_vad_api *")
    assert lib.ve_vad_load(found, extension("_webrtcvad")) == ffi.NULL
    assert lib.ve_vad_self_test(found) == ffi.NULL
    return found


def babble(rate: int) -> np.ndarray:
    """Ten seconds between noise and vowels, at levels from inaudible to full scale."""
    chance = np.random.default_rng(11)
    parts = []
    for _ in range(40):
        time_s = np.arange(rate // 4) / rate
        vowel = sum(np.sin(2 * np.pi * chance.uniform(90, 250) * k * time_s) / k for k in range(1, 12))
        mixed = chance.uniform() * vowel + chance.uniform() * chance.standard_normal(len(time_s))
        parts.append(mixed * 10 ** chance.uniform(1, 4.3))
    return np.concatenate(parts).clip(-32768, 32767).astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_c_and_python_hear_the_same(api, rate: int, mode: int) -> None:
    samples, block = babble(rate), rate // 50
    native, python = lib.ve_vad_open(api, mode), webrtcvad.Vad(mode)
    decisions = []
    for start in range(0, len(samples), block):
        part = samples[start : start + block]
        heard = api.process(native, rate, ffi.from_buffer("int16_t[]", part), block)
        assert heard == python.is_speech(part.tobytes(), rate)
        decisions.append(heard)
    api.destroy(native)
    assert 50 < sum(decisions) < len(decisions) - 20


def test_a_mode_that_is_not_there_is_refused(api) -> None:
    assert lib.ve_vad_open(api, 4) == ffi.NULL


def test_a_library_that_is_no_detector_is_named() -> None:
    found = ffi.new("struct ve_vad_api *")
    assert b"cannot be loaded" in ffi.string(lib.ve_vad_load(found, b"/nowhere.so"))
    assert b"does not export" in ffi.string(lib.ve_vad_load(found, extension("_ctypes")))
