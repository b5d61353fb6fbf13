"""What a caller says and hears in the media benchmark."""

from dataclasses import dataclass

import numpy as np
from rtp import RATE, Pcm, tone

from voiceedge.audio.espeak import Espeak
from voiceedge.errors import PromptError

_PHRASES = ("배송", "환불")
_PROMPT = "Press one for your delivery, two for a refund, or hold the line, and a colleague will be with you shortly."
_KEYS_HZ = {"1": (697, 1209), "5": (770, 1336), "9": (852, 1477)}
_KEY_MS = 100
_HISS = 10  # of 32768: no line is silent


@dataclass(frozen=True)
class Script:
    """Phrases and keys in band, with what a channel must notice of them."""

    pcm: Pcm
    onsets: int
    keys: str


def voice() -> Espeak:
    """Raises PromptError."""
    found = Espeak.find()
    if not found:
        raise PromptError("espeak-ng is not here: run scripts/setup")
    return found


def script(voice: Espeak) -> Script:
    """Two phrases and three keys, each by itself."""
    first, second = (voice.render(phrase, "ko", "", 1.0) for phrase in _PHRASES)
    one, five, nine = (tone(low, _KEY_MS, 0.1) + tone(high, _KEY_MS, 0.1) for low, high in _KEYS_HZ.values())
    order = (
        _quiet(800),
        first,
        _quiet(900),
        one,
        _quiet(300),
        five,
        _quiet(900),
        second,
        _quiet(900),
        nine,
        _quiet(500),
    )
    clean = np.concatenate(order)
    return Script(with_hiss(clean[: len(clean) // 160 * 160]), len(_PHRASES), "".join(_KEYS_HZ))


def prompt(voice: Espeak) -> Pcm:
    """In another language: what one synthetic voice says twice is its own echo to a canceller."""
    return voice.render(_PROMPT, "en", "", 1.0)


def with_hiss(pcm: Pcm) -> Pcm:
    hiss = np.random.default_rng(1).normal(0, _HISS, len(pcm))
    return np.clip(pcm + hiss, -32768, 32767).astype(np.int16)


def _quiet(ms: int) -> Pcm:
    return np.zeros(ms * RATE // 1000, np.int16)
