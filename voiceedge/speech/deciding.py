"""Whisper deciding at the end of a turn: a free transcript, and how well each expected phrase explains the audio."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read at import: nothing is ever fetched at run time

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from voiceedge.errors import ModelMissingError
from voiceedge.speech import jamo
from voiceedge.speech.evidence import PhraseScore, WhisperEvidence
from voiceedge.speech.heard import Expectation

_RATE_HZ = 16_000
_HOP = 160  # samples a mel frame
_WINDOWS = (800, 1500, 3000)  # mel frames: 8, 15 and 30 s; the encoder's cost grows with the window
_SHORTEST_S = 0.12  # less cannot hold a syllable, and Whisper would invent a sentence
_QUIETEST_RMS = 30.0  # of 16-bit samples, about -61 dBov: the noise of a line
_TOKENS_A_SECOND, _SPARE_TOKENS = 12, 12  # fast Korean is 8 a second; more is Whisper repeating itself
_MOST_PHRASES = 40
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class _Free:
    tokens: list[int]
    no_speech_probability: float
    notes: tuple[str, ...]


class Whisper:
    """The deciding recogniser. Load it after the fork, which its thread pool does not survive; one thread at a time."""

    def __init__(self, directory: Path, threads: int = 2) -> None:
        try:
            self._model = WhisperModel(
                str(directory), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelMissingError(f"{directory}: not a model that faster-whisper can load: {error}") from error
        self._tokenizer = lru_cache(self._make_tokenizer)
        self._tokens = lru_cache(maxsize=8192)(self._encode_text)

    def score(self, pcm: bytes, expectation: Expectation) -> WhisperEvidence:
        """Evidence from 16 kHz 16-bit audio: the same audio and expectation always give the same evidence."""
        samples = np.frombuffer(pcm, "<i2", count=len(pcm) // 2).astype(np.float32)
        if samples.size < _SHORTEST_S * _RATE_HZ:
            return WhisperEvidence(notes=("too short",))
        if float(np.sqrt(np.mean(samples**2))) < _QUIETEST_RMS:
            return WhisperEvidence(notes=("silence",))
        tokenizer = self._tokenizer(expectation.language)
        encoded, frames = self._encode(samples / 32768)
        free = self._transcribe(encoded, tokenizer, seconds=samples.size / _RATE_HZ)
        transcript = tokenizer.decode(free.tokens).strip()
        phrases = _shortlist(transcript, [phrase.text for phrase in expectation.phrases])
        rows = [tuple(free.tokens), *(self._tokens(expectation.language, phrase) for phrase in phrases)]
        own, *scores = self._explain(encoded, frames, tokenizer, rows)
        ranked = sorted(map(PhraseScore, phrases, scores), key=lambda score: -score.log_probability)
        cut = ("longer than 30 s: the rest is unheard",) if samples.size > _WINDOWS[-1] * _HOP else ()
        return WhisperEvidence(transcript, own, free.no_speech_probability, tuple(ranked), (*free.notes, *cut))

    def _make_tokenizer(self, language: str) -> Tokenizer:
        return Tokenizer(self._model.hf_tokenizer, self._model.model.is_multilingual, "transcribe", language)

    def _encode_text(self, language: str, phrase: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(language).encode(f" {phrase}"))  # Whisper's transcripts begin with a space

    def _encode(self, samples: NDArray[np.floating]) -> tuple[Any, int]:
        mel = self._model.feature_extractor(samples)[:, : _WINDOWS[-1]]
        window = next(frames for frames in _WINDOWS if frames >= mel.shape[1])
        # Padding must look like silence: zero is a loud hiss on this scale and costs a third of the accuracy.
        padded = np.pad(mel, ((0, 0), (0, window - mel.shape[1])), constant_values=mel.min())
        return self._model.encode(padded), window

    def _transcribe(self, encoded: Any, tokenizer: Tokenizer, seconds: float) -> _Free:
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        most = int(_SPARE_TOKENS + _TOKENS_A_SECOND * seconds)
        result = self._model.model.generate(
            encoded, [prompt], beam_size=1, max_length=len(prompt) + most, return_no_speech_prob=True
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
        notes = ("transcript cut: it repeated itself",) if len(tokens) >= most else ()
        return _Free(tokens, float(result.no_speech_prob), notes)

    def _explain(self, encoded: Any, frames: int, tokenizer: Tokenizer, rows: list[tuple[int, ...]]) -> list[float]:
        """The mean log probability of each row of tokens, given the audio."""
        batch = ctranslate2.StorageView.from_array(np.repeat(np.asarray(encoded), len(rows), axis=0))
        results = self._model.model.align(batch, tokenizer.sot_sequence, [list(row) for row in rows], frames // 2)
        return [float(np.mean(np.log(np.maximum(result.text_token_probs, _TINY)))) for result in results]


def _shortlist(transcript: str, phrases: list[str]) -> list[str]:
    """Each phrase once; of very many, those most like the transcript."""
    distinct = list(dict.fromkeys(phrases))
    if len(distinct) <= _MOST_PHRASES:
        return distinct
    return sorted(distinct, key=lambda phrase: jamo.distance_inside(transcript, phrase)[0])[:_MOST_PHRASES]
