"""A channel as one would write it with NumPy, SciPy, soxr and webrtcvad: what the C code is held against."""

import numpy as np
import soxr
import webrtcvad
from numpy.typing import NDArray
from scipy.signal import lfilter

RATE, FRAME, HOP = 8000, 160, 40
KEYS_HZ = (697, 770, 852, 941, 1209, 1336, 1477, 1633)
TONES_HZ = (350, 440, 480, 620, 1100, 2100)
TAIL = 256  # 32 ms
CLIPPED = 32_000  # near the end of the scale, also of A-law and µ-law


def _correlator(frequencies_hz: tuple[int, ...], samples: int) -> NDArray[np.complex64]:
    times_s = np.arange(samples) / RATE
    window = np.hanning(samples)[:, np.newaxis]
    return (window * np.exp(-2j * np.pi * np.outer(times_s, frequencies_hz))).astype(np.complex64)


class ReferenceChannel:
    """A frame of 20 ms in, one out: level, voice gate, keys, tones, gain, 16 kHz audio in a ring; echo where wanted."""

    def __init__(self, *, echo: bool) -> None:
        self._vad = webrtcvad.Vad(2)
        self._wider = soxr.ResampleStream(RATE, 2 * RATE, 1, dtype="int16", quality="HQ")
        self._offset = np.zeros(1)
        self._last = np.zeros(HOP, np.float32)
        self._keys, self._tones = _correlator(KEYS_HZ, 2 * HOP), _correlator(TONES_HZ, FRAME)
        self._ring, self._head = np.zeros(1 << 18, np.int16), 0
        self._taps, self._line = np.zeros(TAIL, np.float32), np.zeros(TAIL - 1 + FRAME, np.float32)
        self._echo = echo
        self._played = 0

    def put(self, frame: bytes, heard: NDArray[np.int16]) -> float:
        raw = np.frombuffer(frame, np.int16)
        clean, self._offset = lfilter([1.0, -1.0], [1.0, -127 / 128], raw, zi=self._offset)
        samples = clean.astype(np.float32)
        if self._echo:
            samples = self._cancel(samples, heard.astype(np.float32))
        level = 10 * np.log10(np.mean(samples**2) / 32768.0**2 + 1e-10)
        clipped = np.count_nonzero(np.abs(raw) >= CLIPPED)
        windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([self._last, samples]), 2 * HOP)[::HOP]
        self._last = samples[-HOP:]
        keys, tones = np.abs(windows @ self._keys), np.abs(samples @ self._tones)
        voiced = self._vad.is_speech(samples.astype(np.int16).tobytes(), RATE)
        louder = np.clip(samples * 1.5, -32768, 32767).astype(np.int16)
        wide = self._wider.resample_chunk(louder)
        at = self._head % len(self._ring)
        self._ring[at : at + len(wide)] = wide[: len(self._ring) - at]
        self._head += len(wide)
        return float(level + clipped + keys.max() + tones.max() + voiced)

    def get(self, prompt: NDArray[np.int16]) -> NDArray[np.int16]:
        at = self._played % (len(prompt) - FRAME)
        self._played += FRAME
        return prompt[at : at + FRAME].copy()

    def _cancel(self, near: NDArray[np.float32], far: NDArray[np.float32]) -> NDArray[np.float32]:
        """NLMS, a sample at a time."""
        self._line = np.concatenate([self._line[-TAIL + 1 :], far])
        out = np.empty_like(near)
        for i, sample in enumerate(near):
            window = self._line[i : i + TAIL]
            out[i] = error = sample - self._taps @ window
            self._taps += (0.5 * error / (window @ window + 1e4)) * window
        return out
