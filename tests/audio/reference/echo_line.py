"""A line with an echo, as ITU-T G.168 describes it: hybrids, a composite source signal, a delay and G.711."""

import json
from functools import cache
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from voiceedge.speech.telephone import mu_law_round_trip

G168 = json.loads(Path(__file__).with_name("g168.json").read_text(encoding="utf-8"))
LINE_NOISE_RMS = 8.0  # −72 dBov


def at_level(samples: np.ndarray, dbov: float) -> np.ndarray:
    """Scaled to a mean power (0 dBov: that of a full-scale square wave), rounded to 16 bits."""
    scale = 32768 * 10 ** (dbov / 20) / np.sqrt(np.mean(samples.astype(float) ** 2))
    return np.clip(np.round(samples * scale), -32768, 32767).astype(np.int16)


def pcmu(samples: np.ndarray) -> np.ndarray:
    """Through G.711 µ-law and back."""
    return mu_law_round_trip(np.clip(np.round(samples), -32768, 32767).astype(np.int16).astype(float))


@cache
def hybrid(model: int, loss_db: float, rate: int = 8000) -> np.ndarray:
    """The echo path `model`, scaled to an echo return loss (for white noise)."""
    path = np.array(G168["hybrids"][f"m{model}"], float)
    if rate != 8000:
        path = resample_poly(path, rate, 8000)
    return path / np.sqrt(np.sum(path**2)) * 10 ** (-loss_db / 20)


def composite_source(seconds: float, dbov: float, side: str = "far", seed: int = 1) -> np.ndarray:
    """G.168 Annex C: 48.69 ms of voice, 200 ms of noise, 101.31 ms (near: 127 ms) of pause; then that inverted."""
    random = np.random.default_rng(seed)
    period = np.array(G168["voiced"][side], float)
    voice = np.resize(period, round(0.04869 * 8000))
    pause = np.zeros(round((0.10131 if side == "far" else 0.127) * 8000))
    parts: list[np.ndarray] = []
    sign = 1
    while sum(map(len, parts)) < seconds * 8000:
        noise = random.normal(0, np.sqrt(np.mean(voice**2)), 1600)
        parts += [sign * voice, sign * noise, pause]
        sign = -sign
    return at_level(np.concatenate(parts)[: round(seconds * 8000)], dbov)


def speech_like(seconds: float, dbov: float, rate: int = 8000, seed: int = 1) -> np.ndarray:
    """Syllables of 150 … 350 ms with moving pitch and formants, and pauses: what no two calls have the same."""
    random = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * rate:
        length = int(random.uniform(0.15, 0.35) * rate)
        time_s = np.arange(length) / rate
        pitch = random.uniform(90, 220) * (1 + random.uniform(-0.3, 0.3) * time_s / time_s[-1])
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        formants = (random.uniform(300, 800), random.uniform(900, 2200), random.uniform(2300, 3200))
        sound = 0.02 * random.normal(0, 1, length)
        for harmonic in range(1, int(3400 / pitch.max())):
            at_hz = harmonic * pitch.mean()
            weight = 0.02 + sum(1 / (1 + ((at_hz - hz) / 120) ** 2) / (n + 1) for n, hz in enumerate(formants))
            sound += weight * np.sin(harmonic * phase + harmonic**2)
        if random.uniform() < 0.4:  # a fricative before the vowel
            hiss = np.diff(random.normal(0, 0.2, int(random.uniform(0.05, 0.12) * rate)), prepend=0)
            sound = np.concatenate([hiss, sound])
        parts += [sound * np.hanning(len(sound)) ** 0.5, np.zeros(int(random.uniform(0.02, 0.25) * rate))]
    return at_level(np.concatenate(parts)[: int(seconds * rate)], dbov)


def echo_of(far: np.ndarray, path: np.ndarray, delay: int) -> np.ndarray:
    """What of `far` comes back, `delay` samples late."""
    return np.concatenate([np.zeros(delay), np.convolve(far, path)])[: len(far)]


def received(echo: np.ndarray, caller: np.ndarray | float = 0.0, seed: int = 1) -> np.ndarray:
    """What the gateway sends: the echo, the caller and the line's noise, coded as G.711."""
    return pcmu(echo + caller + np.random.default_rng(seed).normal(0, LINE_NOISE_RMS, len(echo)))


def power_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples.astype(float) ** 2) + 1e-3) - 20 * np.log10(32768))


def loss_db(near: np.ndarray, out: np.ndarray, rate: int, start_s: float, end_s: float) -> float:
    """By how much `out` is weaker than `near` in an interval."""
    part = slice(int(start_s * rate), int(end_s * rate))
    return power_db(near[part]) - power_db(out[part])
