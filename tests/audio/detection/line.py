"""What the line does to a call before we hear it: noise, G.711 and lost packets."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from detection.recordings import SPEECH_DBOV, Samples, announcement, babble, music
from reference.echo_line import echo_of, hybrid

from voiceedge.speech.telephone import LINE_RATE_HZ, mu_law_round_trip, voice_band

PACKET = LINE_RATE_HZ // 50  # 20 ms
IDLE_DBOV = -68.0  # a quiet line is not silent
_HYBRID = 3  # of those in ITU-T G.168, Annex D
_ECHO_DELAY = LINE_RATE_HZ * 60 // 1000  # network and jitter buffers, there and back
_NOISE_S = 60.0  # of babble and hiss; longer calls hear them again


@dataclass(frozen=True)
class Line:
    """`noise`: hiss, babble or music, so far below speech. A lost packet is silence, or the one before once more.

    `echo_loss_db`: an analogue line behind a gateway, whose hybrid sends so much less of our prompts back.
    """

    name: str
    noise: str = "hiss"
    snr_db: float = IDLE_DBOV * -1 + SPEECH_DBOV
    loss: float = 0.0
    repeats: bool = False
    echo_loss_db: float | None = None

    def prompt(self, length: int) -> np.ndarray | None:
        """What the caller hears meanwhile."""
        if self.echo_loss_db is None:
            return None
        return np.resize(np.rint(announcement(_NOISE_S)), length).astype(np.int16)

    def carry(self, clean: Samples, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        noise = _noise(self.noise)
        start = int(rng.integers(len(noise)))
        heard = clean + np.resize(np.roll(noise, -start), len(clean)) * 10 ** (-self.snr_db / 20)
        prompt = self.prompt(len(clean))
        if prompt is not None and self.echo_loss_db is not None:
            heard += echo_of(prompt, hybrid(_HYBRID, self.echo_loss_db), _ECHO_DELAY)
        return self._packets(np.rint(mu_law_round_trip(heard)).clip(-32768, 32767).astype(np.int16), rng)

    def _packets(self, pcm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        packets = np.resize(pcm, (-(-len(pcm) // PACKET), PACKET))
        for number in np.flatnonzero(rng.random(len(packets)) < self.loss):
            packets[number] = packets[number - 1] if self.repeats and number else 0
        return packets.ravel()[: len(pcm)]


CLEAN = Line("clean")
LINES = (
    CLEAN,
    *(Line(f"{noise}, {snr} dB", noise, snr) for noise in ("hiss", "babble", "music") for snr in (20, 15, 10)),
    Line("5 % lost, silence", loss=0.05),
    Line("5 % lost, repeated", loss=0.05, repeats=True),
    Line("prompt's echo, -10 dB", echo_loss_db=10.0),
)


@cache
def _noise(kind: str) -> Samples:
    """At the level of speech."""
    if kind == "babble":
        return babble(_NOISE_S)
    if kind == "music":
        return np.concatenate(list(music().values()))
    white = voice_band(np.random.default_rng(3).standard_normal(int(_NOISE_S * LINE_RATE_HZ)))
    return white * 32768 * 10 ** (SPEECH_DBOV / 20) / white.std()
