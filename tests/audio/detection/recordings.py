"""Recordings of people and music: three Debian packages, and the evaluation corpus where VOICEEDGE_CORPUS names it."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from voiceedge.audio import wav
from voiceedge.audio.speech_level import active_level
from voiceedge.speech.telephone import LINE_RATE_HZ, voice_band

Samples = NDArray[np.float64]  # 8 kHz, in units of 16-bit samples

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
MUSIC = Path("/usr/share/asterisk/moh")
SPEAKERS = Path("/usr/share/pocketsphinx/test/data")
PACKAGES = {
    "asterisk-core-sounds-en-wav": PROMPTS,
    "asterisk-moh-opsound-wav": MUSIC,
    "pocketsphinx-testdata": SPEAKERS,
}
SPEECH_DBOV = -26.0  # the level at which telephony is tested (ITU-T P.800)
PROMPT_DBOV = -20.0  # the level of our own prompts
NOT_SPEECH = ("tone", "beep", "silence", "monkeys", "confbridge-join", "confbridge-leave", "glorious", "tt-")


@dataclass(frozen=True)
class Recording:
    name: str
    samples: Samples  # as the line carries it, active at SPEECH_DBOV


def missing_packages() -> list[str]:
    return [package for package, path in PACKAGES.items() if not path.is_dir()]


def corpus() -> Path | None:
    folder = Path(os.environ.get("VOICEEDGE_CORPUS", "/nowhere")) / "korean_read_speech"
    return folder if folder.is_dir() else None


def korean(every: int = 1) -> Iterator[Recording]:
    """One speaker reading; the evaluation corpus."""
    folder = corpus()
    if folder:
        for entry in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))[::every]:
            yield _recording(folder / entry["file"])


def speakers(every: int = 1) -> Iterator[Recording]:
    """Several speakers of English, read and spontaneous."""
    for path in sorted(SPEAKERS.glob("**/*.wav"))[::every]:
        yield _recording(path)
    for path in sorted(SPEAKERS.glob("**/*.raw"))[::every]:
        narrow = soxr.resample(np.fromfile(path, "<i2").astype(np.float64), 16_000, LINE_RATE_HZ)
        yield Recording(path.stem, _at_level(voice_band(narrow)))


def prompts(every: int = 1) -> Iterator[Recording]:
    """A professional speaker, in hundreds of short pieces."""
    for path in _spoken_prompts()[::every]:
        yield _recording(path)


def _spoken_prompts() -> list[Path]:
    return [
        path
        for path in sorted(PROMPTS.glob("**/*.wav"))
        if not any(word in str(path.relative_to(PROMPTS)) for word in NOT_SPEECH)
    ]


@cache
def music() -> dict[str, Samples]:
    """Hold music, at the level of speech."""
    return {path.stem: _as_loud(voice_band(_load(path))) for path in sorted(MUSIC.glob("*.wav"))}


@cache
def babble(seconds: float, voices: int = 8) -> Samples:
    """So many prompts at once, for so long."""
    rng = np.random.default_rng(8)
    paths, wanted = _spoken_prompts(), int(seconds * LINE_RATE_HZ)
    together = np.zeros(wanted)
    for _ in range(voices):
        parts: list[Samples] = []
        while sum(map(len, parts)) < wanted:
            part = _load(paths[int(rng.integers(len(paths)))])
            if len(part) > LINE_RATE_HZ:
                parts.append(part)
        together += np.concatenate(parts)[:wanted]
    return _as_loud(voice_band(together))


@cache
def announcement(seconds: float) -> Samples:
    """Prompts, one after another with a short pause, as the service plays them."""
    rng = np.random.default_rng(9)
    paths, parts, wanted = _spoken_prompts(), [], int(seconds * LINE_RATE_HZ)
    while sum(map(len, parts)) < wanted:
        parts += [_recording(paths[int(rng.integers(len(paths)))]).samples, np.zeros(LINE_RATE_HZ // 2)]
    return np.concatenate(parts)[:wanted] * 10 ** ((PROMPT_DBOV - SPEECH_DBOV) / 20)


def _load(path: Path) -> Samples:
    return wav.load(path, LINE_RATE_HZ).astype(np.float64)


def _recording(path: Path) -> Recording:
    return Recording(path.stem, _at_level(voice_band(_load(path))))


def _at_level(samples: Samples) -> Samples:
    level = active_level(samples, LINE_RATE_HZ)
    assert level
    return samples * 10 ** ((SPEECH_DBOV - level.dbov) / 20)


def _as_loud(samples: Samples) -> Samples:
    """By the mean of all of it: what has no pauses has no active part."""
    return samples * 32768 * 10 ** (SPEECH_DBOV / 20) / np.sqrt(np.mean(samples**2))
