"""Whisper deciding at the end of a turn: what it hears freely, what given the menu, and how each phrase fits."""

import os
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
from voiceedge.speech.evidence import PhraseScore, WhisperEvidence
from voiceedge.speech.heard import Expectation
from voiceedge.speech.wording import companions, gap, unlooped

_RATE_HZ = 16_000
_HOP = 160  # samples a mel frame; the encoder puts out one vector for two of them
_WINDOWS = (800, 1500, 3000)  # mel frames: 8, 15 and 30 s; the encoder's cost grows with the window
_SHORTEST_S = 0.12  # less cannot hold a syllable, and Whisper would invent a sentence
_QUIETEST_RMS = 30.0  # of 16-bit samples, about -61 dBov: the noise of a line
_TOKENS_A_SECOND, _SPARE_TOKENS = 12, 12  # fast Korean is 8 a second; more is Whisper repeating itself
_SCORED = 4  # phrases, primed with one another only: the decoder reads the primer again for each of them
_SPARE_VECTORS = 50  # of silence, a second, kept when phrases are scored: with less of it their scores collapse
_PRIMER_TOKENS = 96  # long menus prime with their first phrases only
_PRIMER_DIGITS = {"ko": "공 일 이 삼 사 오 육 칠 팔 구", "en": "zero one two three four five six seven eight nine"}
_FOREIGN = {"ko": ((0x3040, 0x30FF), (0x3400, 0x9FFF))}  # kana and Han: Whisper's slips in short Korean words
_TINY = 1e-9


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
        self._suppressed = lru_cache(self._find_foreign)
        self._tokens = lru_cache(maxsize=8192)(self._encode_text)

    def score(self, pcm: bytes, expectation: Expectation) -> WhisperEvidence:
        """Evidence from 16 kHz 16-bit audio: the same audio and expectation always give the same evidence."""
        samples = np.frombuffer(pcm, "<i2", count=len(pcm) // 2).astype(np.float32)
        if samples.size < _SHORTEST_S * _RATE_HZ:
            return WhisperEvidence(notes=("too short",))
        if float(np.sqrt(np.mean(samples**2))) < _QUIETEST_RMS:
            return WhisperEvidence(notes=("silence",))
        notes = ("longer than 30 s: the rest is unheard",) if samples.size > _WINDOWS[-1] * _HOP else ()
        tokenizer = self._tokenizer(expectation.language)
        encoded = self._encode(samples / 32768)
        seconds = samples.size / _RATE_HZ
        primer = self._primer(expectation.language, _expected(expectation))
        free, no_speech = self._transcribe(encoded, expectation.language, (), seconds)
        primed, _ = self._transcribe(encoded, expectation.language, primer, seconds) if primer else (free, no_speech)
        transcripts = [tokenizer.decode(tokens).strip() for tokens in (free, primed)]
        phrases = _likeliest(transcripts, expectation)
        heard = np.asarray(encoded)[:, : samples.size // (2 * _HOP) + _SPARE_VECTORS]
        own, *scores = self._explain(heard, expectation.language, phrases, primed or [tokenizer.eot])
        ranked = sorted(map(PhraseScore, phrases, scores), key=lambda score: -score.log_probability)
        return WhisperEvidence(transcripts[0], transcripts[1], own, no_speech, tuple(ranked), notes)

    def _make_tokenizer(self, language: str) -> Tokenizer:
        return Tokenizer(self._model.hf_tokenizer, self._model.model.is_multilingual, "transcribe", language)

    def _encode_text(self, language: str, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(language).encode(f" {text}"))  # Whisper's transcripts begin with a space

    def _find_foreign(self, language: str) -> list[int]:
        """Tokens that no transcript of this language may hold, besides the model's own list (-1)."""
        tokenizer, ranges = self._tokenizer(language), _FOREIGN.get(language, ())
        texts = ((token, tokenizer.decode([token])) for token in range(tokenizer.eot)) if ranges else ()
        return [-1, *(token for token, text in texts if any(a <= ord(c) <= b for c in text for a, b in ranges))]

    def _primer(self, language: str, said: list[str]) -> list[int]:
        """What Whisper is told was said before: the menu. It then spells what it hears as the menu does."""
        if not said:
            return []
        tokens = self._tokens(language, ", ".join(said) + ".")
        return [self._tokenizer(language).sot_prev, *tokens[:_PRIMER_TOKENS]]

    def _encode(self, samples: NDArray[np.floating]) -> Any:
        mel = self._model.feature_extractor(samples)[:, : _WINDOWS[-1]]
        window = next(frames for frames in _WINDOWS if frames >= mel.shape[1])
        # Padding must look like silence: zero is a loud hiss on this scale and costs a third of the accuracy.
        return self._model.encode(np.pad(mel, ((0, 0), (0, window - mel.shape[1])), constant_values=mel.min()))

    def _transcribe(
        self, encoded: Any, language: str, primer: list[int] | tuple[()], seconds: float
    ) -> tuple[list[int], float]:
        tokenizer = self._tokenizer(language)
        prompt = [*primer, *tokenizer.sot_sequence, tokenizer.no_timestamps]
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            max_length=len(prompt) + int(_SPARE_TOKENS + _TOKENS_A_SECOND * seconds),
            suppress_tokens=self._suppressed(language),
            return_no_speech_prob=True,
        )[0]
        return [token for token in result.sequences_ids[0] if token < tokenizer.eot], float(result.no_speech_prob)

    def _explain(self, heard: NDArray[Any], language: str, phrases: list[str], transcript: list[int]) -> list[float]:
        """The mean log probability of the transcript's tokens and of each phrase's, given the audio and the phrases."""
        rows = [transcript, *(list(self._tokens(language, phrase)) for phrase in phrases)]
        start = [*self._primer(language, phrases), *self._tokenizer(language).sot_sequence]
        batch = ctranslate2.StorageView.from_array(np.repeat(heard, len(rows), axis=0))
        # Nobody needs the alignment that goes with it: one frame of it is the least that can be asked for.
        results = self._model.model.align(batch, start, rows, 2)
        return [float(np.mean(np.log(np.maximum(result.text_token_probs, _TINY)))) for result in results]


def _expected(expectation: Expectation) -> list[str]:
    digits = [_PRIMER_DIGITS[expectation.language]] if expectation.digits else []
    return [*digits, *dict.fromkeys(phrase.text for phrase in expectation.phrases)]


def _likeliest(transcripts: list[str], expectation: Expectation) -> list[str]:
    """Each phrase once; of many, those most like what was transcribed."""
    texts = [unlooped(transcript) for transcript in transcripts]
    gaps: dict[str, float] = {}
    for phrase in expectation.phrases:
        beside = companions(phrase, expectation)
        distance = sum(gap(text, phrase.text, expectation.language, beside) for text in texts)
        gaps[phrase.text] = min(distance, gaps.get(phrase.text, distance))
    return sorted(gaps, key=lambda text: gaps[text])[:_SCORED]
