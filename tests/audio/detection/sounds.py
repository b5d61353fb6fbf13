"""Sounds that are neither a voice nor a key: ten minutes of each, and how often they are taken for one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from detection.hearing import hear
from detection.line import CLEAN
from detection.recordings import MUSIC, SPEECH_DBOV, Samples, music, prompts, speakers
from detection.recordings import korean as corpus_speech
from reference.dtmf import KEYS, tone
from reference.tones import played

from voiceedge.audio.events import KeyDown, Offset, Onset, ToneBegun, ToneEnded
from voiceedge.audio.silero import Silero
from voiceedge.audio.tones import ToneKind, load_plan
from voiceedge.speech.telephone import LINE_RATE_HZ, voice_band

_FULL = 32768.0


@dataclass
class Taken:
    """What was made of so many minutes of a sound."""

    minutes: float
    onsets: int
    speaking_s: float
    keys: int
    tones: int

    @classmethod
    def of(cls, samples: Samples, silero: Silero | None, seed: int = 0) -> "Taken":
        noticed = hear(CLEAN.carry(samples, seed), silero=silero)
        changes = [one for one in noticed if isinstance(one.event, Onset | Offset)]
        ends_ms = [*(one.at_ms for one in changes[1:]), len(samples) * 1000 / LINE_RATE_HZ]
        return cls(
            minutes=len(samples) / LINE_RATE_HZ / 60,
            onsets=sum(isinstance(one.event, Onset) for one in changes),
            speaking_s=sum(
                (end_ms - one.at_ms) / 1000
                for one, end_ms in zip(changes, ends_ms, strict=False)
                if isinstance(one.event, Onset)
            ),
            keys=sum(isinstance(one.event, KeyDown) for one in noticed),
            tones=sum(
                isinstance(one.event, ToneBegun)
                or (isinstance(one.event, ToneEnded) and one.event.kind is ToneKind.BEEP)
                for one in noticed
            ),
        )


def sounds(minutes: float) -> dict[str, Callable[[], Samples]]:
    """By name; `minutes` of each."""
    seconds = minutes * 60
    tunes = {f"music: {path.stem}": _tune(path.stem, seconds) for path in sorted(MUSIC.glob("*.wav"))}
    return tunes | {
        "music in pieces of 4 s": lambda: _pieces(seconds),
        "ringback (Korea)": lambda: _network("kr", ToneKind.RINGBACK, seconds),
        "ringback (ITU)": lambda: _network("itu", ToneKind.RINGBACK, seconds),
        "busy tone": lambda: _network("kr", ToneKind.BUSY, seconds),
        "keys": lambda: _keyed(seconds),
        "breath": lambda: _breath(seconds),
        "hiss, -45 dBov": lambda: (
            voice_band(np.random.default_rng(1).standard_normal(_count(seconds))) * _FULL * 10 ** (-45 / 20)
        ),
        "mains hum and clicks": lambda: _hum(seconds),
    }


def speech(every: int) -> Samples:
    """All of it, one after another: nobody should talk a key or a tone."""
    spoken = [one.samples for one in (*corpus_speech(every), *speakers(every), *prompts(every))]
    return np.concatenate([part for samples in spoken for part in (samples, np.zeros(LINE_RATE_HZ // 2))])


def _count(seconds: float) -> int:
    return round(seconds * LINE_RATE_HZ)


def _tune(name: str, seconds: float) -> Callable[[], Samples]:
    return lambda: music()[name][: _count(seconds)]


def _pieces(seconds: float) -> Samples:
    """What a queue does when it breaks in: music that begins and ends in the middle of a note, a second apart."""
    rng = np.random.default_rng(6)
    tunes, parts = list(music().values()), []
    for _ in range(round(seconds / 5)):
        tune = tunes[int(rng.integers(len(tunes)))]
        start = int(rng.integers(len(tune) - 4 * LINE_RATE_HZ))
        parts += [np.zeros(LINE_RATE_HZ), tune[start : start + 4 * LINE_RATE_HZ]]
    return np.concatenate(parts)


def _network(plan: str, kind: ToneKind, seconds: float) -> Samples:
    wanted = next(tone for tone in load_plan(plan).tones if tone.kind is kind)
    return played(wanted, seconds, SPEECH_DBOV + 6)


def _keyed(seconds: float) -> Samples:
    rng, parts = np.random.default_rng(7), []
    for number in range(round(seconds / 0.4)):
        key = KEYS[number % len(KEYS)]
        pressed = tone(key, float(rng.uniform(50, 300)), LINE_RATE_HZ, (SPEECH_DBOV, SPEECH_DBOV), (0.0, 0.0)) * _FULL
        parts += [pressed, np.zeros(max(1, round(0.4 * LINE_RATE_HZ) - len(pressed)))]
    return np.concatenate(parts)


def _breath(seconds: float) -> Samples:
    """Into the microphone, every three seconds: noise of a second that swells and fades, duller or sharper."""
    rng, parts = np.random.default_rng(4), []
    for _ in range(round(seconds / 3)):
        length = _count(rng.uniform(0.4, 1.2))
        noise = np.convolve(rng.standard_normal(length), np.ones(int(rng.integers(1, 5))), "same") * np.hanning(length)
        noise *= _FULL * 10 ** (rng.uniform(-45, -30) / 20) / np.sqrt(np.mean(noise**2))
        parts += [noise, np.zeros(_count(3) - length)]
    return voice_band(np.concatenate(parts))


def _hum(seconds: float) -> Samples:
    """60 Hz with its harmonics, and a click every second or so."""
    rng, time_s = np.random.default_rng(5), np.arange(_count(seconds)) / LINE_RATE_HZ
    hum = sum(np.sin(2 * np.pi * 60 * n * time_s) / n for n in (1, 2, 3, 5, 7)) * _FULL * 10 ** (-45 / 20)
    for at in rng.integers(0, len(hum) - 80, round(seconds)):
        hum[at : at + 80] += rng.choice([-1, 1]) * 12000 * np.exp(-np.arange(80) / 12)
    return hum
