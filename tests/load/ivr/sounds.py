"""What the callers of the IVR load say and hear."""

import numpy as np
from rtp import PCMU, RATE, Pcm, encode

from voiceedge.audio.espeak import Espeak
from voiceedge.errors import PromptError

HISS_DBOV = -55.0  # of the caller's line and room, all the time
MURMUR_S = 20.0  # somebody says a word once in …
_MURMUR = "잠시만요."
_PROMPT = "Press one for your delivery, two for a refund, or hold the line, and a colleague will be with you shortly."


def caller(*, talks: bool) -> bytes:
    """PCMU of somebody who listens, in a room where a voice is heard now and then; or who `talks` all the time."""
    words = _voice().render(_MURMUR, "ko", "", 1.0)
    heard = np.zeros(int(MURMUR_S * RATE), np.int16)
    for start in range(0, len(heard) - len(words), len(words)) if talks else (0,):
        heard[start : start + len(words)] = words
    hiss = np.random.default_rng(1).normal(0, 32768 * 10 ** (HISS_DBOV / 20), len(heard))
    return encode(PCMU, np.clip(heard + hiss, -32768, 32767).astype(np.int16))


def prompt(seconds: float) -> Pcm:
    """Speech in another language, from its first sample to its last: what is heard after it is no part of it."""
    words = _voice().render(_PROMPT, "en", "", 1.0)
    sounding = np.flatnonzero(np.abs(words) > 1000)
    return np.resize(words[sounding[0] : sounding[-1]], int(seconds * RATE))


def _voice() -> Espeak:
    found = Espeak.find()
    if not found:
        raise PromptError("espeak-ng is not here: run scripts/setup")
    return found
